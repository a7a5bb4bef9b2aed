"""House rules that no linter knows."""

import re
from pathlib import Path

import pytest

from tests.data import ROOT

SOURCES = sorted(
    path
    for package in ("soc", "collectors", "detectors", "playbooks", "rules")
    for path in (ROOT / package).rglob("*.py")
)
POSSESSIVE_GROUP = re.compile(r"\)[*+?]\+|\(\?>")


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_possessive_groups(path: Path) -> None:
    """Python 3.11.2, which Debian 12 ships, matches possessive groups wrongly (CPython #101955)."""
    assert not POSSESSIVE_GROUP.search(path.read_text("utf-8"))
