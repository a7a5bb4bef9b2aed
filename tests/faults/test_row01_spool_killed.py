"""Rows 1, 2, 4 and 31: the receiving process killed anywhere, and a disk that refuses.

The oracle is conservation: what was acknowledged comes out once and unchanged, nothing else does.
"""

import signal
import subprocess
from pathlib import Path

import pytest

from tests.faults.spool_drivers import (
    COMMIT,
    check_commits,
    contents,
    finish_and_check,
    frame,
    receive_while_dying,
    start,
    whole_lines,
)


@pytest.mark.parametrize(
    "kills",
    [
        pytest.param(30, marks=pytest.mark.slow),
        pytest.param(1000, marks=[pytest.mark.soak, pytest.mark.timeout(1800)]),
    ],
)
def test_killed_at_random_moments_nothing_acknowledged_is_lost(tmp_path: Path, kills: int) -> None:
    seen = receive_while_dying(tmp_path, tmp_path / "spool", kills, lambda process: process.kill())
    finish_and_check(tmp_path, tmp_path / "spool", seen)


def strace(*inject: str) -> list[str]:
    options = [part for one in inject for part in ("-e", f"inject={one}")]
    return ["strace", "-f", "-qq", "-o", "/dev/null", *options]


SYSCALLS = ("fdatasync", "fsync", "pwrite64", "rename", "unlink", "ftruncate", "fallocate")


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("call", SYSCALLS)
def test_killed_at_every_system_call_that_matters(tmp_path: Path, call: str) -> None:
    killed = 0
    for when in range(1, 60):
        folder = tmp_path / str(when)
        under = strace(f"{call}:signal=KILL:when={when}")
        out, err = start(COMMIT, folder, 15, 0, under=under).communicate(timeout=60)
        lines = whole_lines(out)
        assert b"Traceback" not in err
        check_commits(folder, lines)
        if b"done" in lines:
            break
        killed += 1
        # Killed again while it recovers and goes on (row 2).
        under = strace(f"{call}:signal=KILL:when=2")
        again, _err = start(COMMIT, folder, 3, 0, under=under).communicate(timeout=60)
        check_commits(folder, lines + whole_lines(again))
        final, err = start(COMMIT, folder, 3, 0).communicate(timeout=60)
        assert b"done" in final, err
        check_commits(folder, lines + whole_lines(again) + whole_lines(final))
    assert killed >= (0 if call == "ftruncate" else 1)
    assert killed < 58, "the sweep has to reach the end"


@pytest.mark.slow
@pytest.mark.parametrize("call", ["pwrite64", "fsync", "rename"])
@pytest.mark.parametrize("failing", ["1", "2..3", "5"])
def test_killed_after_a_sync_that_failed_nothing_counts_twice(
    tmp_path: Path, failing: str, call: str
) -> None:
    """What the failed sync was about may be on the disk, and is written again elsewhere."""
    killed = 0
    for when in range(1, 60):
        folder = tmp_path / str(when)
        under = strace(f"fdatasync:error=EIO:when={failing}", f"{call}:signal=KILL:when={when}")
        out, err = start(COMMIT, folder, 6, 0, under=under).communicate(timeout=60)
        lines = whole_lines(out)
        assert b"Traceback" not in err
        check_commits(folder, lines)
        if b"done" in lines:
            break
        killed += 1
    assert 1 <= killed < 58


@pytest.mark.parametrize(
    "inject",
    [
        "fdatasync:error=EIO:when=3",
        "fdatasync:error=EIO:when=1..4",
        "pwrite64:error=ENOSPC:when=4",
        "pwrite64:error=EROFS:when=2..9",
        "rename:error=EIO:when=1+",
        "fsync:error=EIO:when=2+3",
    ],
)
def test_a_disk_that_refuses_stops_nothing_and_nothing_is_believed_that_failed(
    tmp_path: Path, inject: str
) -> None:
    out, err = start(COMMIT, tmp_path / "s", 12, 0, under=strace(inject)).communicate(timeout=60)
    lines = whole_lines(out)
    assert lines[-1] == b"done", err.decode()
    assert lines[:-1] == [frame(number) for number in range(12)]
    check_commits(tmp_path / "s", lines)


def test_a_failed_sync_ends_its_segment_and_the_frames_are_written_again(tmp_path: Path) -> None:
    under = strace("fdatasync:error=EIO:when=2")
    out, err = start(COMMIT, tmp_path / "s", 2, 0, under=under).communicate(timeout=60)
    assert b"done" in out
    assert b"inputs wait" in err
    segments = sorted((tmp_path / "s").glob("*.seg"))
    assert len(segments) == 2
    assert sorted(contents(tmp_path / "s")) == [0, 1]


def test_a_second_receiver_is_refused(tmp_path: Path) -> None:
    first = start(COMMIT, tmp_path / "s", 1000, 0.05)
    assert first.stdout is not None
    first.stdout.readline()
    second = start(COMMIT, tmp_path / "s", 1, 0)
    _out, err = second.communicate(timeout=30)
    first.kill()
    first.communicate()
    assert f"already running as process {first.pid}".encode() in err


def test_strace_is_what_kills(tmp_path: Path) -> None:
    """The sweep proves nothing if the injection does not work."""
    under = strace("fdatasync:signal=KILL:when=3")
    process = start(COMMIT, tmp_path / "s", 10, 0, under=under)
    out, _err = process.communicate(timeout=60)
    assert len(whole_lines(out)) == 2
    assert process.returncode in (-signal.SIGKILL, 128 + signal.SIGKILL)
    assert subprocess.run(["strace", "-V"], capture_output=True, check=True).stdout
