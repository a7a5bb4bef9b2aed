"""Opening a spool after whatever happened to it: the newest segments tell all there is to know."""

import os
from dataclasses import dataclass
from pathlib import Path

from collectors.spool import checkpoint as files
from collectors.spool.block import VERSION
from collectors.spool.checkpoint import Checkpoint
from collectors.spool.segments import Found, Reading, Segment, first_header, listing
from collectors.spool.state import State
from soc.errors import StoreError


@dataclass(frozen=True, slots=True)
class Recovered:
    """What was found: `end` is the mark behind the last frame, `number` the last block's."""

    checkpoint: Checkpoint
    segments: list[Segment]
    state: State
    end: int
    number: int


def recover(folder: Path, mark: bytes) -> Recovered:
    """Return what a spool holds without changing it; `mark` is for one that has none yet.

    Reads the headers of the segments' first blocks and the newest segment that begins whole, so
    that it takes the same time however much is spooled. Raises OSError, and StoreError when a newer
    version wrote it.
    """
    segments = listing(folder)
    heads = [first_header(segment) for segment in segments]
    saved = files.load(folder)
    known = saved.mark if saved else next((head.mark for head in heads if head), mark)
    for segment, head in zip(segments, heads, strict=True):
        if head and head.mark == known:
            segment.first = head.first
            if head.version != VERSION:
                raise StoreError(
                    f"the spool was written by another version of soc (form {head.version})",
                    where=str(segment.path),
                    hint="drain it with that version first",
                )
    checkpoint = saved or Checkpoint(known, sequence=_oldest(segments))
    state = State.of(checkpoint.state.as_document())
    end, number = checkpoint.sequence, state.number
    for segment in segments[_begin(segments, known) :]:
        number = max(number, segment.number)
        last = _last(segment, known, state)
        if last is not None:
            end, number = max(end, last[0]), max(number, last[1])
    return Recovered(checkpoint, segments, state, state.balance(end), number)


def _oldest(segments: list[Segment]) -> int:
    return next((s.first for s in segments if s.first is not None), 0)


def _begin(segments: list[Segment], mark: bytes) -> int:
    """Return the newest segment that begins with a state; it is the newest, if nothing is wrong."""
    for index in range(len(segments) - 1, 0, -1):
        reading = Reading(segments[index], mark)
        try:
            found = reading.next()
        finally:
            reading.close()
        if isinstance(found, Found) and found.block is not None and found.block.state is not None:
            return index
    return 0


def _last(segment: Segment, mark: bytes, state: State) -> tuple[int, int] | None:
    """Add a segment to the state; return its end and last number, None when it has no block."""
    last: tuple[int, int] | None = None
    _sync(segment)
    reading = Reading(segment, mark)
    try:
        for found in reading:
            if not isinstance(found, Found):
                continue
            if segment.first is None:
                segment.first = found.head.first
            last = (found.head.end, found.head.number)
            block = found.block
            if block is None:
                continue
            if block.state is not None and block.state["number"] > state.number:
                _replace(state, State.of(block.state))
            state.apply(found.head.number, block)
    finally:
        reading.close()
    return last


def _replace(state: State, by: State) -> None:
    state.number, state.positions, state.counts = by.number, by.positions, by.counts


def _sync(segment: Segment) -> None:
    # A killed process leaves blocks that the disk may not have yet. They are about to count as
    # durable, and the inputs' positions behind them with the next commit: so they must be.
    with segment.path.open("rb") as file:
        os.fsync(file.fileno())
