"""Content, not code: Sigma and YARA rules with tests and guides, and the pipelines they need."""

from pathlib import Path
from typing import Final

SIGMA: Final = Path(__file__).parent / "sigma"
PIPELINES: Final = Path(__file__).parent / "pipelines"
YARA: Final = Path(__file__).parent / "yara"
