"""Records from one process to another: whole, in parts, and with no file left open or behind."""

import multiprocessing
import os
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from soc.run import handover
from soc.run.handover import Inbox, Outbox


@contextmanager
def pair() -> Iterator[tuple[Outbox, Inbox]]:
    here, there = multiprocessing.Pipe()
    with here, there, closing(Outbox(there)) as outbox:
        yield outbox, Inbox(here)


def open_files() -> int:
    return len(os.listdir("/proc/self/fd"))


@pytest.mark.parametrize("size", [1, 1_000, 1 << 26])
def test_what_is_sent_arrives_part_by_part_in_any_order(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, size: int
) -> None:
    monkeypatch.setattr(handover, "FULL", size)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    parts = [[n] * n + ["x" * 10_000 * (n % 3)] for n in range(20)] + [[]]
    sections = []
    with pair() as (outbox, inbox):
        for part in parts:
            outbox.send(part)
            sections.append(inbox.receive())
    assert not any(isinstance(section, str) for section in sections)
    assert [list(section) for section in reversed(sections)] == parts[::-1]
    assert [list(section) for section in sections] == parts
    assert list(tmp_path.iterdir()) == []


def test_files_are_closed_as_their_parts_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(handover, "FULL", 100)
    before = open_files()
    with pair() as (outbox, inbox):
        for _ in range(50):
            outbox.send(["x" * 1_000])
            assert list(inbox.receive()) == ["x" * 1_000]
        assert open_files() == before + 4  # the line and the last file, at both ends
    del inbox
    assert open_files() == before


def test_why_there_are_none_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def failing() -> Iterator[int]:
        yield 1
        raise ValueError("no")

    with pair() as (outbox, inbox):
        outbox.send(failing())
        assert inbox.receive() == "ValueError: no"
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "nowhere"))
    with pair() as (outbox, inbox):
        outbox.send([1])
        told = inbox.receive()
    assert isinstance(told, str)
    assert told.startswith("FileNotFoundError")
