"""Row 3: the power goes at random moments: an ext4 that is shut down without writing its log.

Needs root and loop devices; with CI=true it fails where it cannot have them.
"""

import fcntl
import os
import random
import struct
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.spool_drivers import (
    COMMIT,
    check_commits,
    collect,
    finish_and_check,
    receive_while_dying,
    start,
    whole_lines,
)

SHUTDOWN = 0x8004587D  # EXT4_IOC_SHUTDOWN
NO_LOG_FLUSH = 2
SEED = 20261127


def run(*command: str | Path) -> None:
    subprocess.run(list(map(str, command)), check=True, capture_output=True)


class Disk:
    """A file system of its own that can lose its power."""

    def __init__(self, folder: Path) -> None:
        self.image, self.at = folder / "disk.img", folder / "disk"
        self.at.mkdir()
        with self.image.open("wb") as file:
            file.truncate(64 << 20)
        run("mkfs.ext4", "-q", "-F", self.image)

    def mount(self) -> None:
        run("mount", "-o", "loop", self.image, self.at)

    def unmount(self) -> None:
        run("umount", self.at)

    def cut(self) -> None:
        descriptor = os.open(self.at, os.O_RDONLY)
        try:
            fcntl.ioctl(descriptor, SHUTDOWN, struct.pack("I", NO_LOG_FLUSH))
        finally:
            os.close(descriptor)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    if os.geteuid() != 0:
        if os.environ.get("CI") == "true":
            pytest.fail("power loss is only proven as root, with loop devices")
        pytest.skip("power loss needs root")
    disk = Disk(tmp_path)
    disk.mount()
    yield disk
    subprocess.run(["umount", disk.at], capture_output=True, check=False)


@pytest.mark.parametrize(
    "points",
    [
        pytest.param(50, marks=[pytest.mark.slow, pytest.mark.timeout(300)]),
        pytest.param(500, marks=[pytest.mark.soak, pytest.mark.timeout(1800)]),
    ],
)
def test_what_was_acknowledged_survives_the_power(disk: Disk, points: int) -> None:
    rng, acked = random.Random(SEED), []
    for _point in range(points):
        process = start(COMMIT, disk.at / "spool", 100_000, 0)
        assert process.stdout is not None
        told = bytearray(process.stdout.readline())
        collecting = threading.Thread(target=collect, args=(process.stdout, told))
        collecting.start()
        time.sleep(rng.uniform(0, 0.25))
        before = bytes(told)  # what is told after the cut does not count: see receive_while_dying
        disk.cut()
        process.kill()
        process.wait()
        collecting.join()
        _out, err = process.communicate()
        assert b"Traceback" not in err
        acked += [line for line in whole_lines(before) if line.startswith(b"frame")]
        disk.unmount()
        disk.mount()
        check_commits(disk.at / "spool", acked)
    assert len(acked) > points


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_what_came_by_tcp_and_from_files_survives_the_power(disk: Disk, tmp_path: Path) -> None:
    def die(process: subprocess.Popen[bytes]) -> None:
        disk.cut()
        process.kill()
        process.wait()
        disk.unmount()
        disk.mount()

    seen = receive_while_dying(tmp_path, disk.at / "spool", 20, die, late=False)
    finish_and_check(tmp_path, disk.at / "spool", seen)


def test_the_power_cut_is_real(disk: Disk) -> None:
    """What was not synced must be gone, else the test above proves nothing."""
    (disk.at / "synced").write_bytes(b"kept")
    os.sync()
    with (disk.at / "synced").open("ab") as file:
        file.write(b" lost")
        file.flush()
        disk.cut()
    disk.unmount()
    disk.mount()
    assert (disk.at / "synced").read_bytes() == b"kept"
