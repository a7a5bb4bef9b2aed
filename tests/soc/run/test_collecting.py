"""Collecting by hand: which files a path stands for, and what is told of the rest."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from soc.errors import InputError, SocError
from soc.run.collecting import files_in

NOBODY = 65534


@contextmanager
def without_privileges() -> Iterator[None]:
    """Root may look everywhere: be nobody for a while."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that everybody may look into; pytest's own are for their owner."""
    with tempfile.TemporaryDirectory(dir="/tmp") as made:
        os.chmod(made, 0o755)
        yield Path(made)


def test_a_folder_that_may_not_be_looked_into_is_told_and_the_rest_is_read(folder: Path) -> None:
    closed = folder / "audit"
    closed.mkdir(mode=0o700)
    (closed / "audit.log").write_text("x\n")
    (folder / "auth.log").write_text("x\n")
    closed.chmod(0)
    told: list[SocError] = []
    with without_privileges():
        found = files_in([folder, closed / "audit.log", closed], told.append)
    closed.chmod(0o700)
    assert found == [folder / "auth.log"]
    assert [error.where for error in told] == [
        str(closed),
        str(closed / "audit.log"),
        str(closed),
    ]
    assert all("Permission denied" in str(error) for error in told)


def test_an_empty_folder_is_an_error_of_its_own(folder: Path) -> None:
    with pytest.raises(InputError, match="no file"):
        files_in([folder], pytest.fail)
