"""Row 5: no room for bytes or files: inputs wait, the process lives, and goes on by itself."""

import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path

import pytest

from collectors.spool.record import Batch
from collectors.spool.spool import Spool, SpoolFull
from soc.store.open import open_store
from tests.elastic.flow import drained, flow


@pytest.fixture
def small(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Path]:
    """A memory disk with the options of the test."""
    if os.geteuid() != 0:
        if os.environ.get("CI") == "true":
            pytest.fail("a full disk is only proven as root")
        pytest.skip("a small disk needs root")
    at = tmp_path / "small"
    at.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", request.param, "tmpfs", at], check=True)
    yield at
    subprocess.run(["umount", "--lazy", at], check=True)


def fill(spool: Spool) -> int:
    """Append until the disk is full; return how many frames were taken in, the refused one too."""
    for number in range(100_000):
        spool.append([Batch("in", [b"%06d" % number + os.urandom(3000).hex().encode()], 1)])
        try:
            spool.commit()
        except SpoolFull:
            return number + 1
    raise AssertionError("it never becomes full")


@pytest.mark.parametrize("small", ["size=1M"], indirect=True)
def test_a_full_disk(small: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("collectors.spool.tail.SEGMENT", 100_000)
    spool = Spool.open(small / "spool", clock=iter(range(10**9)).__next__)
    taken = fill(spool)
    assert spool.full
    durable = spool.committed
    assert durable == taken - 1
    assert "No space left" in spool.problem
    with pytest.raises(SpoolFull):
        spool.commit()
    numbers = []
    for _round in range(200):  # the store answers again: what is drained makes room
        page = spool.read(spool.checkpoint, 20)
        numbers += [int(record.frame.raw[:6]) for _number, record in page]
        spool.settle(spool.checkpoint + len(page))
        try:
            spool.commit()
        except SpoolFull:
            continue
        if not page:
            break
    assert not spool.full
    assert numbers == list(range(taken))
    spool.close()
    spool = Spool.open(small / "spool")
    assert spool.checkpoint == taken
    spool.close()


@pytest.mark.parametrize("small", ["size=1M"], indirect=True)
def test_a_restart_on_a_full_disk(small: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("collectors.spool.tail.SEGMENT", 100_000)
    spool = Spool.open(small / "spool")
    taken = fill(spool) - 1
    spool.close()
    with (small / "rest").open("wb", buffering=0) as file, suppress(OSError):
        while True:
            file.write(bytes(4096))
    assert shutil.disk_usage(small).free == 0
    spool = Spool.open(small / "spool", clock=iter(range(10**9)).__next__)
    found = spool.read(0, 100_000)
    assert [int(record.frame.raw[:6]) for _number, record in found] == list(range(taken))
    spool.settle(taken)
    assert spool.status()["segments"] == 1, "drained segments are deleted on a full disk, too"
    spool.append([Batch("in", [b"again"], 1)])
    assert spool.commit() == taken + 1
    spool.close()


@pytest.mark.slow
@pytest.mark.parametrize("small", ["size=4M"], indirect=True)
def test_a_collector_that_is_started_on_a_full_disk_drains_its_spool(
    small: Path, tmp_path: Path
) -> None:
    with flow(small, {"url": f"sqlite:{tmp_path}/store"}) as node:
        node.write(10)
        node.settle()
        node.write(10)
        with (small / "rest").open("wb", buffering=0) as file, suppress(OSError):
            while True:
                file.write(bytes(4096))
        node.start()
        with closing(open_store(tmp_path / "store")) as store:
            deadline = time.monotonic() + 60
            while len(list(drained(store))) < 20:
                assert time.monotonic() < deadline, node.said()
                assert node.process is not None
                assert node.process.poll() is None, node.said()
                time.sleep(0.1)
        (small / "rest").unlink()
        node.stop()


@pytest.mark.parametrize("small", ["size=4M,nr_inodes=9"], indirect=True)
def test_no_file_can_be_made(small: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("collectors.spool.tail.SEGMENT", 10_000)
    spool = Spool.open(small / "spool", clock=iter(range(10**9)).__next__)
    taken = fill(spool)
    assert taken > 4
    found = spool.read(0, 100_000)
    assert len(found) == taken - 1
    spool.settle(taken - 1)
    assert spool.commit() == taken
    spool.close()


@pytest.mark.parametrize("small", ["size=1M"], indirect=True)
def test_a_disk_smaller_than_a_segment(small: Path) -> None:
    spool = Spool.open(small / "spool", clock=iter(range(10**9)).__next__)
    fill(spool)
    for _round in range(5):
        spool.settle(spool.committed)
        before = spool.committed
        assert spool.commit() == before + 1, "the one that was refused"
        fill(spool)
        assert spool.committed > before + 50
        assert len(spool.read(before, 1000)) == spool.committed - before
    spool.close()
