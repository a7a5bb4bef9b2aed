"""Collecting by hand: which files a path stands for, and what is told of the rest."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest

from soc.errors import InputError, SocError
from soc.run.collecting import Reading, files_in, read_all

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


def test_a_file_that_breaks_off_while_it_is_read_costs_only_itself(folder: Path) -> None:
    (folder / "auth.log").write_text("x\n")
    broken = Path("/proc/self/mem")  # nothing is mapped at its beginning: read() says EIO
    told: list[SocError] = []
    how = Reading(datetime(2026, 11, 22, tzinfo=UTC), UTC, "node")
    events = read_all([broken, folder / "auth.log"], how, problem=told.append)
    assert [event["event.original"] for event in events] == ["x"]
    assert [error.where for error in told] == [str(broken)]
    assert "Input/output error" in str(told[0])
