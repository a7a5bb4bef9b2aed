"""Decoders: frames in, a protocol and a line about each out; a decoder may stop early."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Final, NamedTuple

from collectors.packets.tools.conversation import Frame
from collectors.packets.tools.sandbox import Limits

MAX_INFO: Final = 4096
"""Characters of a line about a packet."""
BATCH: Final = 10_000
"""Frames that a decoder gets at once, or fewer when they are large."""
BATCH_BYTES: Final = 1 << 25


class Decoded(NamedTuple):
    """What a decoder says about a frame."""

    protocol: str
    info: str


class Outcome(NamedTuple):
    """What a decoder said, frame by frame; `problem` tells why there are fewer lines."""

    rows: list[Decoded]
    problem: str


Decode = Callable[[Sequence[Frame]], Outcome]


def limits_for(frames: Sequence[Frame]) -> Limits:
    """Return what the decoding of so many frames may cost, ten times what it usually does."""
    count = len(frames)
    return Limits(15 + count / 300, 2 << 30, (1 << 20) + count * MAX_INFO)


def batches(frames: Iterable[Frame]) -> Iterator[list[Frame]]:
    """Yield frames in portions that bound the memory of both sides."""
    batch: list[Frame] = []
    size = 0
    for frame in frames:
        batch.append(frame)
        size += len(frame.data)
        if len(batch) >= BATCH or size >= BATCH_BYTES:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch
