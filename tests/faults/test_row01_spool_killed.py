"""Rows 1, 2, 4 and 31: the receiving process killed anywhere, and a disk that refuses.

The oracle is conservation: what was acknowledged comes out once and unchanged, nothing else does.
"""

import random
import signal
import socket
import subprocess
import threading
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path

import pytest

from collectors.spool.spool import Spool
from tests.faults.spool_drivers import (
    COMMIT,
    RECEIVE,
    check_commits,
    contents,
    frame,
    start,
    whole_lines,
)

SEED = 20261127


def message(source: str, number: int) -> bytes:
    return f"<13>{source} {number:07} {number * 2654435761 % 2**32:08x}".encode() + b"." * 60


class Client:
    """Sends messages over TCP until the other side dies; what it may have sent is remembered."""

    def __init__(self) -> None:
        self.sent = 0

    def send_until_it_breaks(self, port: int) -> None:
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=5) as link:
            while True:
                numbers = range(self.sent, self.sent + 50)
                self.sent += 50
                octets = self.sent % 100 == 0
                link.sendall(
                    b"".join(
                        b"%d %s" % (len(m), m) if octets else m + b"\n"
                        for m in (message("net", n) for n in numbers)
                    )
                )
                time.sleep(0.001)


def receive_while_killed(home: Path, kills: int) -> tuple[Client, int, list[bytes]]:
    """Return the client, the lines written to the file, and everything acknowledged."""
    rng, client, lines, acked = random.Random(SEED), Client(), 0, []
    for _kill in range(kills):
        process = start(RECEIVE, home / "spool", home / "*.log")
        assert process.stdout is not None
        port = int(process.stdout.readline().split()[1])
        sending = threading.Thread(target=client.send_until_it_breaks, args=(port,))
        reading: list[bytes] = []
        out = process.stdout
        collecting = threading.Thread(target=lambda f=out, r=reading: r.append(f.read()))
        sending.start()
        collecting.start()
        until = time.monotonic() + rng.uniform(0.02, 0.4)
        with (home / "a.log").open("ab") as log:
            while time.monotonic() < until:
                log.write(b"".join(message("file", n) + b"\n" for n in range(lines, lines + 20)))
                log.flush()
                lines += 20
                time.sleep(0.002)
        process.send_signal(signal.SIGKILL)
        process.wait()
        sending.join()
        collecting.join()
        acked += whole_lines(reading[0])
        out.close()
        assert process.stderr is not None
        assert b"Traceback" not in process.stderr.read()
        process.stderr.close()
    return client, lines, acked


def settle_files(home: Path, lines: int, acked: list[bytes]) -> None:
    """Let a last process read the rest of the file and stop as an admin stops it."""
    process = start(RECEIVE, home / "spool", home / "*.log")
    assert process.stdout is not None
    last = message("file", lines - 1)
    while last not in acked:
        line = process.stdout.readline()
        assert line, "it ended"
        acked.append(line.rstrip(b"\n"))
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=30)
    assert process.returncode == 0


def check_received(home: Path, client: Client, lines: int, acked: list[bytes]) -> None:
    spool = Spool.open(home / "spool")
    records = [record for _number, record in spool.read(0, 10_000_000)]
    assert spool.status()["lost"] == 0
    spool.close()
    net = Counter(r.frame.raw for r in records if r.input == "net")
    files = {(r.origin, r.frame.position): r.frame.raw for r in records if r.input != "net"}
    told = Counter(one for one in acked if one.startswith(b"<13>net"))
    assert len(told) > 1000
    assert not told - net, "an acknowledged message is lost"
    assert max(net.values()) == 1
    sent = {message("net", number) for number in range(client.sent)}
    whole = {raw for raw in net if raw in sent}
    # A message cut by the death of the connection is kept as far as it came.
    assert all(any(one.startswith(raw) for one in sent) for raw in set(net) - whole)
    assert sorted(files.values()) == [message("file", number) for number in range(lines)]


@pytest.mark.parametrize(
    "kills",
    [
        pytest.param(30, marks=pytest.mark.slow),
        pytest.param(1000, marks=[pytest.mark.soak, pytest.mark.timeout(1800)]),
    ],
)
def test_killed_at_random_moments_nothing_acknowledged_is_lost(tmp_path: Path, kills: int) -> None:
    client, lines, acked = receive_while_killed(tmp_path, kills)
    settle_files(tmp_path, lines, acked)
    check_received(tmp_path, client, lines, acked)


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
