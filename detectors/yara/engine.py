"""The one place where yara-python is imported, and never with its dangerous defaults.

By default `include` reads any file of the machine and quotes it in its error; matched data is
kept without need. Compiled rules are never loaded: they are programs (CVE-2018-12034 and kin).
"""

import importlib
from collections.abc import Mapping
from typing import Any, Final

from soc.errors import ContentError

MATCH_DATA: Final = 128
"""Bytes of a matched string that are kept."""
STRINGS: Final = 10_000
"""Strings that one rule may have."""


def engine() -> Any:  # noqa: ANN401 - yara-python has no types
    """Return the module `yara`, set up; raise ContentError where it is not installed."""
    try:
        yara = importlib.import_module("yara")
    except ImportError as error:
        raise ContentError(
            "YARA rules need yara-python, which is not installed",
            hint="pip install 'metrosoc[yara]'",
        ) from error
    yara.set_config(max_match_data=MATCH_DATA, max_strings_per_rule=STRINGS)
    return yara


def compiled(sources: Mapping[str, str]) -> Any:  # noqa: ANN401
    """Return rules compiled from their text by namespace; raise `yara.Error` with line and why."""
    return engine().compile(sources=dict(sources), includes=False)
