"""Content, not code: Sigma rules with their tests and guides, and the pipelines they need."""

from pathlib import Path
from typing import Final

SIGMA: Final = Path(__file__).parent / "sigma"
PIPELINES: Final = Path(__file__).parent / "pipelines"
