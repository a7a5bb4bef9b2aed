"""Following files: every line once, in order, through every way a log file can be turned over."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest

from collectors.inputs.follow import ROTATE_WAIT, Follower


class Reader:
    """A follower with a store beside it: what was read, and the state as last stored."""

    def __init__(self, pattern: Path | str) -> None:
        self.pattern = str(pattern)
        self.stored: Any = None
        self.lines: list[str] = []
        self.ids: list[tuple[str, str]] = []
        self.clock = 0.0
        self.follower = Follower(self.pattern, None)

    def read(self, seconds: float = 1.0) -> list[str]:
        """Poll until nothing comes; return what came."""
        self.clock += seconds
        before = len(self.lines)
        while chunks := list(self.follower.poll(self.clock)):
            for chunk in chunks:
                self.lines += [frame.raw.decode() for frame in chunk.frames]
                self.ids += [(chunk.origin, frame.position) for frame in chunk.frames]
                self.stored = chunk.state
        return self.lines[before:]

    def restart(self) -> None:
        """Stop and begin again from what was stored."""
        self.follower.close()
        self.follower = Follower(self.pattern, self.stored)

    def drain(self) -> list[str]:
        """Read until rotated files have been given up."""
        return self.read() + self.read(ROTATE_WAIT) + self.read(ROTATE_WAIT)


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "a.log"


@pytest.fixture
def reader(log: Path) -> Iterator[Reader]:
    made = Reader(log)
    yield made
    made.follower.close()
    assert len(set(made.ids)) == len(made.ids), "two records share a place"


def write(path: Path, *lines: str, end: str = "\n") -> None:
    with path.open("a") as file:
        file.write("\n".join(lines) + end)


def test_reads_what_is_there_and_what_comes(reader: Reader, log: Path) -> None:
    assert reader.read() == []
    write(log, "one", "two")
    assert reader.read() == ["one", "two"]
    write(log, "three")
    assert reader.read() == ["three"]


def test_a_half_line_waits_for_its_end(reader: Reader, log: Path) -> None:
    write(log, "one", "tw", end="")
    assert reader.read() == ["one"]
    write(log, "o")
    assert reader.read() == ["two"]


def test_a_half_line_at_a_restart_is_completed_once(reader: Reader, log: Path) -> None:
    write(log, "one", "tw", end="")
    reader.read()
    reader.restart()
    write(log, "o")
    assert reader.read() == ["two"]


def test_a_restart_repeats_and_loses_nothing(reader: Reader, log: Path) -> None:
    write(log, "one")
    reader.read()
    reader.restart()
    assert reader.read() == []
    write(log, "two")
    assert reader.read() == ["two"]


def test_a_reboot_that_numbers_the_disks_anew_repeats_nothing(reader: Reader, log: Path) -> None:
    write(log, "one")
    reader.read()
    reader.stored["files"][0]["device"] += 1
    reader.restart()
    assert reader.read() == []
    write(log, "two")
    assert reader.read() == ["two"]


def test_a_disk_that_comes_after_the_start_is_read_on(tmp_path: Path) -> None:
    folder, away = tmp_path / "mount", tmp_path / "away"
    folder.mkdir()
    lines = [f"line {number}" for number in range(200)]
    write(folder / "a.log", *lines)
    reader = Reader(folder / "a.log")
    assert reader.read() == lines
    folder.rename(away)
    reader.restart()
    assert reader.read() == []
    away.rename(folder)
    write(folder / "a.log", "next")
    assert reader.read() == ["next"]
    reader.follower.close()


def test_a_name_that_is_no_text_can_be_stored(tmp_path: Path) -> None:
    log = Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff.log"))
    write(log, "one")
    reader = Reader(tmp_path / "*.log")
    chunk = next(reader.follower.poll(0))
    assert chunk.path == f"{tmp_path}/\\xff.log"
    assert orjson.loads(orjson.dumps(chunk.state))["files"][0]["path"] == chunk.path
    reader.stored = chunk.state
    reader.restart()
    write(log, "two")
    assert reader.read() == ["two"]
    reader.follower.close()


def test_rename_reads_the_old_file_to_its_end(reader: Reader, log: Path) -> None:
    write(log, "one")
    reader.read()
    old = log.rename(log.with_suffix(".log.1"))
    write(log, "three")
    write(old, "two", end="")
    assert sorted(reader.drain()) == ["three", "two"]
    assert reader.read(60) == []
    assert len(reader.follower.state()["files"]) == 1


def test_rename_while_stopped(reader: Reader, log: Path) -> None:
    write(log, "one")
    reader.read()
    reader.follower.close()
    write(log, "two")
    log.rename(log.with_suffix(".log.1"))
    write(log, "three")
    reader.restart()
    assert sorted(reader.drain()) == ["three", "two"]


def test_deleted_and_created_again(reader: Reader, log: Path) -> None:
    write(log, "one")
    reader.read()
    log.unlink()
    write(log, "one")
    assert reader.drain() == ["one"]


def test_replaced_while_stopped_even_with_the_same_inode(reader: Reader, log: Path) -> None:
    write(log, "one", "two")
    reader.read()
    reader.follower.close()
    inode = log.stat().st_ino
    log.write_text("another file altogether\n")
    assert log.stat().st_ino == inode
    reader.restart()
    assert reader.read() == ["another file altogether"]


def test_copytruncate(reader: Reader, log: Path) -> None:
    write(log, "one", "two")
    reader.read()
    os.truncate(log, 0)
    write(log, "three")
    assert reader.read() == ["three"]


def test_truncated_and_grown_beyond_the_old_end_between_two_looks(
    reader: Reader, log: Path
) -> None:
    write(log, "one")
    reader.read()
    log.write_text("a much longer text than before\nand more\n")
    assert reader.read() == ["a much longer text than before", "and more"]


def test_written_over_with_as_many_bytes(reader: Reader, log: Path) -> None:
    log.write_text("state 1\n")
    os.utime(log, (1, 1))
    assert reader.read() == ["state 1"]
    log.write_text("state 2\n")
    assert reader.read() == ["state 2"]
    os.utime(log, (2, 2))
    assert reader.read() == []


def test_the_last_line_of_a_truncated_file_counts_without_its_end(
    reader: Reader, log: Path
) -> None:
    write(log, "one", "two", end="")
    assert reader.read() == ["one"]
    log.write_text("")
    assert reader.read() == ["two"]
    write(log, "three")
    assert reader.read() == ["three"]


def test_equal_lines_and_equal_files_are_different_records(reader: Reader, log: Path) -> None:
    write(log, "same", "same")
    reader.read()
    os.truncate(log, 0)
    write(log, "same")
    reader.read()
    assert reader.lines == ["same"] * 3


def test_rotation_inside_the_pattern_reads_nothing_twice(tmp_path: Path) -> None:
    log = tmp_path / "a.log"
    reader = Reader(tmp_path / "a.log*")
    for turn in range(4):
        for number in (3, 2, 1):
            old = tmp_path / f"a.log.{number}"
            if old.exists():
                old.rename(tmp_path / f"a.log.{number + 1}")
        if log.exists():
            log.rename(tmp_path / "a.log.1")
        write(log, f"{turn}-a", f"{turn}-b")
        reader.read()
    (tmp_path / "a.log.9.gz").write_bytes(b"\x1f\x8b")
    assert reader.drain() == []
    assert reader.lines == [f"{turn}-{part}" for turn in range(4) for part in "ab"]
    reader.follower.close()


def test_symlink_swap(tmp_path: Path) -> None:
    first, second, link = tmp_path / "1", tmp_path / "2", tmp_path / "current.log"
    write(first, "one")
    write(second, "two")
    link.symlink_to(first)
    reader = Reader(link)
    assert reader.read() == ["one"]
    link.unlink()
    link.symlink_to(second)
    assert reader.drain() == ["two"]
    reader.follower.close()


def test_many_lines_in_turns_of_a_chunk(reader: Reader, log: Path) -> None:
    lines = [f"line {number} " + "x" * 50 for number in range(20_000)]
    write(log, *lines)
    assert reader.read() == lines


def test_a_file_that_may_not_be_opened_costs_nobody_else(tmp_path: Path) -> None:
    write(tmp_path / "good.log", "one")
    (tmp_path / "folder.log").mkdir()
    os.mkfifo(tmp_path / "pipe.log")
    reader = Reader(tmp_path / "*.log")
    assert reader.read() == ["one"]
    reader.follower.close()


def test_a_file_that_cannot_be_read_is_told_once_and_costs_nobody_else(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    unreadable = Path("/sys/class/net/lo/duplex")  # a regular file, 4096 bytes, that gives none
    with pytest.raises(OSError, match="Invalid argument"):
        unreadable.read_bytes()
    (tmp_path / "bad.log").symlink_to(unreadable)
    reader = Reader(tmp_path / "*.log")
    for turn in range(3):
        write(tmp_path / "good.log", f"{turn}")
        assert reader.read() == [f"{turn}"]
    assert [record.getMessage() for record in caplog.records] == [
        f"{tmp_path}/bad.log cannot be read: Invalid argument"
    ]
    reader.follower.close()
