"""The real spool on a real disk against a model of thirty lines, with crashes and damage."""

import errno
import os
import random
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from collectors.spool.block import Block, decode, encode, header, pieces
from collectors.spool.record import Batch
from collectors.spool.segments import listing
from collectors.spool.spool import Spool
from soc.errors import StoreError

CONTENT = st.lists(st.binary(max_size=30), max_size=5)


class Model:
    """What a spool is: frames in order, how many are durable and settled, the last position."""

    def __init__(self) -> None:
        self.frames: list[bytes] = []
        self.durable = self.settled = 0
        self.position: int | None = None
        self.pending_position: int | None = None
        self.tried: list[tuple[int, int | None]] = []
        """Commits that failed: what they wrote may be there after a crash, or not."""

    def append(self, frames: list[bytes], position: int) -> None:
        self.frames += frames
        self.pending_position = position

    def commit(self) -> None:
        self.durable = len(self.frames)
        if self.pending_position is not None:
            self.position, self.pending_position = self.pending_position, None
        self.tried = []

    def commit_in_vain(self) -> None:
        position = self.position if self.pending_position is None else self.pending_position
        self.tried.append((len(self.frames), position))

    def crash(self, end: int, position: int | None) -> None:
        assert (end, position) in [(self.durable, self.position), *self.tried]
        self.durable, self.position, self.tried = end, position, []
        del self.frames[self.durable :]
        self.pending_position = None

    def read(self, after: int) -> list[tuple[int, bytes]]:
        return list(enumerate(self.frames))[after : self.durable]


class SpoolAndModel(RuleBasedStateMachine):
    """Whatever is done to both, they tell the same."""

    def __init__(self) -> None:
        super().__init__()
        self.patch = pytest.MonkeyPatch()
        self.patch.setattr("collectors.spool.tail.SEGMENT", 600)
        self.folder = Path(tempfile.mkdtemp())
        self.model = Model()
        self.steps = 0
        self.open()

    def open(self) -> None:
        self.spool = Spool.open(self.folder / "spool", clock=lambda: 0.0)

    @rule(frames=CONTENT)
    def append(self, frames: list[bytes]) -> None:
        self.steps += 1
        batches = [Batch("in", [frame], 1) for frame in frames[:1]]
        batches += [Batch("in", frames[1:], 2, origin="o", offsets=list(range(len(frames) - 1)))]
        self.spool.append([one for one in batches if one.raws], ("in", {"at": self.steps}))
        self.model.append(frames, self.steps)

    @rule()
    def commit(self) -> None:
        self.model.commit()
        assert self.spool.commit() == self.model.durable

    @rule(kept=st.booleans(), call=st.sampled_from(["fdatasync", "pwrite"]))
    def commit_in_vain(self, kept: bool, call: str) -> None:
        """The disk refuses; what was written is there all the same, or was dropped."""
        if self.model.durable == len(self.model.frames) and self.model.pending_position is None:
            return

        def refused(descriptor: int, *_: object) -> int:
            if not kept:
                os.ftruncate(descriptor, self.spool._tail.live.size)  # type: ignore[union-attr]
            raise OSError(errno.EIO, "told to")

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(f"os.{call}", refused)
            with pytest.raises(StoreError, match="cannot be written"):
                self.spool.commit()
        if call == "fdatasync" and kept:
            self.model.commit_in_vain()

    @rule(share=st.floats(0, 1))
    def settle(self, share: float) -> None:
        settled = int(self.model.settled + share * (self.model.durable - self.model.settled))
        self.model.settled = settled
        self.spool.settle(settled, {"settled": settled})

    @rule()
    def restart(self) -> None:
        self.spool.close()
        self.open()
        self.crashed()
        assert self.spool.checkpoint == self.model.settled

    def crashed(self) -> None:
        position = self.spool.position("in")
        self.model.crash(self.spool.committed, position["at"] if position else None)

    @rule(torn=st.binary(max_size=50), zeros=st.booleans())
    def crash_in_a_write(self, torn: bytes, zeros: bool) -> None:
        """The process dies while it appends: anything may lie behind the last commit."""
        with self.crashing():
            segments = listing(self.folder / "spool")
            if segments:
                with segments[-1].path.open("ab") as file:
                    file.write(bytes(len(torn)) if zeros else torn)

    @rule()
    def lose_the_checkpoint(self) -> None:
        with self.crashing():
            (self.folder / "spool" / "checkpoint").unlink(missing_ok=True)

    @contextmanager
    def crashing(self) -> Iterator[None]:
        """Go on from a copy of the files as they lie there now."""
        copy = self.folder / "copy"
        shutil.copytree(self.folder / "spool", copy)
        self.spool.close()
        shutil.rmtree(self.folder / "spool")
        copy.rename(self.folder / "spool")
        yield
        self.open()
        self.crashed()
        # A checkpoint may be behind: then frames are read again, from where it says.
        assert self.spool.checkpoint <= self.model.settled
        self.model.settled = self.spool.checkpoint

    @invariant()
    def the_same_comes_out(self) -> None:
        after = self.model.settled
        found = [(number, record.frame.raw) for number, record in self.spool.read(after, 10_000)]
        assert found == self.model.read(after)

    @invariant()
    def the_position_is_that_of_the_frames(self) -> None:
        position = self.spool.position("in")
        assert position == (self.model.position and {"at": self.model.position})
        assert self.spool.status()["lost"] == 0

    @invariant()
    def the_books_balance(self) -> None:
        status = self.spool.status()
        inputs = status["inputs"].get("in", {})
        assert inputs.get("received", 0) == status["received"] == self.model.durable
        assert status["settled"] + status["pending"] == status["received"]

    @precondition(lambda self: self.model.durable > self.model.settled)
    @rule(share=st.floats(0, 1), limit=st.integers(1, 4))
    def read_in_part(self, share: float, limit: int) -> None:
        after = int(self.model.settled + share * (self.model.durable - self.model.settled))
        found = [(number, record.frame.raw) for number, record in self.spool.read(after, limit)]
        assert found == self.model.read(after)[:limit]

    def teardown(self) -> None:
        self.patch.undo()
        self.spool.close()
        shutil.rmtree(self.folder)


TestSpoolAndModel = SpoolAndModel.TestCase
TestSpoolAndModel.settings = settings(max_examples=25, stateful_step_count=30, deadline=None)


def filled(folder: Path, commits: int = 30) -> tuple[list[bytes], list[int]]:
    """Fill a spool; return its frames and the mark behind each commit."""
    rng = random.Random(7)
    frames: list[bytes] = []
    marks = [0]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("collectors.spool.tail.SEGMENT", 1500)
        spool = Spool.open(folder)
        for _commit in range(commits):
            some = [rng.randbytes(rng.randrange(1, 40)).hex().encode() for _n in range(3)]
            spool.append([Batch("in", some, 1)], ("in", {"at": len(frames)}))
            spool.commit()
            frames += some
            marks.append(len(frames))
        spool.close()
    return frames, marks


def drained(folder: Path) -> tuple[dict[int, bytes], dict[str, Any]]:
    """Return all frames that come out, by number, and the status once they are settled."""
    spool = Spool.open(folder)
    found = {}
    at = spool.checkpoint
    while page := spool.read(at, 7):
        found.update({number: record.frame.raw for number, record in page})
        at = page[-1][0] + 1
    spool.settle(spool.committed)
    status = spool.status()
    spool.close()
    received = sum(one.get("received", 0) for one in status["inputs"].values())
    assert received == status["received"] == status["settled"] == len(found) + status["lost"]
    return found, status


@pytest.mark.parametrize("seed", range(40))
def test_a_damaged_byte_costs_the_frames_of_its_block_and_they_are_counted(
    tmp_path: Path, seed: int
) -> None:
    frames, marks = filled(tmp_path / "spool")
    rng = random.Random(seed)
    (segment,) = rng.sample(listing(tmp_path / "spool")[:-1], 1)
    data = bytearray(segment.path.read_bytes())
    data[rng.randrange(len(data))] ^= rng.randrange(1, 256)
    segment.path.write_bytes(data)
    found, status = drained(tmp_path / "spool")
    missing = sorted(set(range(len(frames))) - set(found))
    assert all(found[number] == frames[number] for number in found)
    assert len(missing) == 3, "one commit of three frames is one block"
    assert missing[0] in marks
    assert (status["lost"], status["pending"]) == (3, 0)
    assert status["lost_bytes"] > 0


@pytest.mark.parametrize("seed", range(25))
def test_whatever_is_done_to_a_segment_no_frame_is_invented(tmp_path: Path, seed: int) -> None:
    frames, _marks = filled(tmp_path / "spool")
    rng = random.Random(seed)
    (segment,) = rng.sample(listing(tmp_path / "spool"), 1)
    data = bytearray(segment.path.read_bytes())
    at, size = rng.randrange(len(data)), rng.randrange(1, 600)
    match seed % 5:
        case 0:
            del data[at:]  # truncated
        case 1:
            data[at : at + size] = bytes(len(data[at : at + size]))  # zeroed
        case 2:
            data[at : at + size] = rng.randbytes(size)
        case 3:
            del data[at : at + size]  # shifted
        case 4:
            data[at:at] = data[:size]  # a piece of it twice
    segment.path.write_bytes(data)
    found, status = drained(tmp_path / "spool")
    assert all(found[number] == frames[number] for number in found)
    missing = set(range(max(found, default=0))) - set(found)
    assert status["lost"] >= len(missing)
    assert status["pending"] == 0


def test_damage_that_is_read_twice_is_counted_once(tmp_path: Path) -> None:
    frames, _marks = filled(tmp_path / "spool")
    listing(tmp_path / "spool")[1].path.unlink()
    spool = Spool.open(tmp_path / "spool")
    first = spool.read(0, 10_000)
    assert spool.read(0, 10_000) == first
    assert spool.status()["lost"] == 0, "it counts when it is settled"
    spool.settle(spool.committed)
    assert spool.status()["lost"] == len(frames) - len(first)
    spool.close()


def test_a_damaged_block_of_the_newest_segment_is_counted_as_nobodys(tmp_path: Path) -> None:
    """Its own counts are lost with it; the sums hold all the same, and after a restart as well."""
    frames, _marks = filled(tmp_path / "spool")
    newest = listing(tmp_path / "spool")[-1]
    data = bytearray(newest.path.read_bytes())
    data[60] ^= 1
    newest.path.write_bytes(data)
    for _restart in range(2):
        spool = Spool.open(tmp_path / "spool")
        counts = spool.status()["inputs"]
        spool.close()
        assert counts == {"in": {"received": len(frames) - 3}, "?": {"received": 3}}
    _found, status = drained(tmp_path / "spool")
    assert status["lost"] == 3


def test_a_lost_segment_costs_its_frames_and_they_are_counted(tmp_path: Path) -> None:
    frames, _marks = filled(tmp_path / "spool")
    segments = listing(tmp_path / "spool")
    segments[1].path.unlink()
    found, status = drained(tmp_path / "spool")
    assert status["lost"] == len(frames) - len(found) > 0
    assert all(found[number] == frames[number] for number in found)


def test_a_segment_of_100_megabytes_of_garbage_is_stepped_over_in_bounded_time(
    tmp_path: Path,
) -> None:
    import time

    frames, _marks = filled(tmp_path / "spool")
    newest = listing(tmp_path / "spool")[-1]
    with newest.path.open("ab") as file:
        file.write(random.Random(1).randbytes(1 << 20) * 100)
    began = time.monotonic()
    spool = Spool.open(tmp_path / "spool")
    spool.append([Batch("in", [b"new"], 1)])
    spool.commit()
    assert time.monotonic() - began < 5
    spool.close()
    found, status = drained(tmp_path / "spool")
    assert list(found.values()) == [*frames, b"new"]
    assert status["lost"] == 0


def test_a_frame_that_looks_like_a_block_is_not_taken_for_one(tmp_path: Path) -> None:
    forged = encode(Block(1, "b", [Batch("in", [b"FORGED"], 1)]), b"\1" * 8, 2)
    spool = Spool.open(tmp_path / "spool")
    spool.append([Batch("in", [forged * 3, random.Random(2).randbytes(60_000)], 1)])
    spool.commit()
    spool.append([Batch("in", [b"after"], 1)])
    spool.commit()
    spool.close()
    (segment,) = listing(tmp_path / "spool")
    data = bytearray(segment.path.read_bytes())
    data[5] ^= 1  # the header of the first block
    segment.path.write_bytes(data)
    found, status = drained(tmp_path / "spool")
    assert found == {2: b"after"}
    assert status["lost"] == 2


def test_another_form_is_refused_with_an_instruction(tmp_path: Path) -> None:
    filled(tmp_path / "spool", 1)
    (segment,) = listing(tmp_path / "spool")
    import struct
    import zlib

    data = bytearray(segment.path.read_bytes())
    data[8:10] = struct.pack("<H", 9)
    data[40:44] = struct.pack("<I", zlib.crc32(data[:40]))
    segment.path.write_bytes(data)
    with pytest.raises(StoreError, match="another version") as caught:
        Spool.open(tmp_path / "spool")
    assert "drain it" in caught.value.hint


def test_blocks_are_bounded_and_whole() -> None:
    raws = [bytes([n % 256]) * (n * 37 % 3000) for n in range(2000)]
    batch = Batch("in", raws, 1, offsets=list(range(2000)), truncated=[3, 900, 1999])
    parts = [part for block in pieces([batch, batch]) for part in block]
    assert [raw for part in parts for raw in part.raws] == raws * 2
    assert [n for part in parts for n in part.offsets or ()] == list(range(2000)) * 2
    assert sum(len(part.truncated) for part in parts) == 6
    for block in pieces([batch, batch]):
        assert sum(len(part.raws) for part in block) <= 256
        assert sum(sum(map(len, part.raws)) for part in block) < (1 << 16) + 3000
        data = encode(Block(5, "b", block), b"m" * 8, 1)
        head = header(data)
        assert head is not None
        assert head.size == len(data)
        back = decode(head, data[44:])
        assert back is not None
        assert [list(one.raws) for one in back.batches] == [list(one.raws) for one in block]
