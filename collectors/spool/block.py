"""The form on disk: blocks, each with its own header and checksums. No I/O here.

A segment file is blocks one after the other and nothing else. A block, little-endian:

    mark        8 bytes  random, the same in the whole spool, unknown to senders: no log line can
                         look like a block to whoever searches behind damage
    version     u16      1
    (unused)    u16
    body        u32      bytes of the body
    body_crc    u32      CRC-32 of the body
    count       u32      frames
    number      u64      of the block; only ever grows
    first       u64      sequence number of the first frame
    head_crc    u32      CRC-32 of all before it
    body                 zlib of: u32 length of the directory; the directory (JSON); for each
                         batch that has them its offsets (u64 each); the length of each frame
                         (u32 each); the frames one after the other

A block holds at most FRAMES frames and about BYTES bytes: that is what one damaged bit costs.
"""

import json
import struct
import sys
import zlib
from array import array
from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import accumulate, pairwise
from typing import Any, Final

from collectors.frame import Frame
from collectors.spool.record import Batch, Record

VERSION: Final = 1
MARK: Final = 8
FRAMES: Final = 256
BYTES: Final = 1 << 16
MAX_BODY: Final = 1 << 26
"""Bytes of an unpacked body that is believed; what claims more is damage."""

_HEAD: Final = struct.Struct("<8sHHIIIQQ")
_CRC: Final = struct.Struct("<I")
HEADER: Final = _HEAD.size + _CRC.size
_LEVEL: Final = 1

Counts = dict[str, dict[str, int]]
"""Name of an input -> what is counted (`received`, `truncated`, ...) -> how many."""


@dataclass(frozen=True, slots=True)
class Header:
    """A header whose checksum is right."""

    mark: bytes
    version: int
    body: int
    body_crc: int
    count: int
    number: int
    first: int

    @property
    def end(self) -> int:
        """The sequence number behind the last frame."""
        return self.first + self.count

    @property
    def size(self) -> int:
        """Bytes of the whole block."""
        return HEADER + self.body


@dataclass(frozen=True, slots=True)
class Block:
    """What a block says: frames, and what else became durable with them.

    `state` is set in the first block of a segment: everything that the blocks before it said.
    """

    first: int
    boot: str
    batches: Sequence[Batch] = ()
    positions: Mapping[str, Any] = field(default_factory=dict)
    counts: Counts = field(default_factory=dict)
    state: Mapping[str, Any] | None = None

    def records(self, skip: int = 0) -> Iterator[tuple[int, Record]]:
        """Yield sequence number and record of each frame from `skip` on."""
        at = self.first
        for batch in self.batches:
            if skip < at + len(batch.raws):
                yield from _records(batch, at, self.boot, skip)
            at += len(batch.raws)


def _records(batch: Batch, at: int, boot: str, skip: int) -> Iterator[tuple[int, Record]]:
    origin, cut, offsets = batch.origin or boot, set(batch.truncated), batch.offsets
    for index in range(max(skip - at, 0), len(batch.raws)):
        offset = None if offsets is None else offsets[index]
        position = str(at + index if offset is None else offset)
        frame = Frame(batch.raws[index], position, offset, index in cut)
        yield (
            at + index,
            Record(frame, batch.input, origin, batch.path, batch.peer, batch.received),
        )


def pieces(batches: Sequence[Batch]) -> Iterator[list[Batch]]:
    """Cut batches into what goes into one block each."""
    block: list[Batch] = []
    frames = size = 0
    for batch in batches:
        ends = list(accumulate(map(len, batch.raws)))
        start, before = 0, 0
        while start < len(ends):
            room = bisect_left(ends, before + BYTES - size) + 1  # the one that fills it included
            stop = min(start + FRAMES - frames, room, len(ends))
            block.append(batch.part(start, stop))
            frames, size = frames + stop - start, size + ends[stop - 1] - before
            start, before = stop, ends[stop - 1]
            if frames >= FRAMES or size >= BYTES:
                yield block
                block, frames, size = [], 0, 0
    if block:
        yield block


def encode(block: Block, mark: bytes, number: int) -> bytes:
    """Return a block as it lies on the disk."""
    directory = json.dumps(
        {
            "boot": block.boot,
            "batches": [_entry(batch) for batch in block.batches],
            "positions": block.positions,
            "counts": block.counts,
            "state": block.state,
        }
    ).encode()
    parts = [_CRC.pack(len(directory)), directory]
    for batch in block.batches:
        if batch.offsets is not None:
            parts.append(_packed("Q", batch.offsets))
        parts.append(_packed("I", list(map(len, batch.raws))))
        parts.extend(batch.raws)
    body = zlib.compress(b"".join(parts), _LEVEL)
    count = sum(len(batch.raws) for batch in block.batches)
    head = _HEAD.pack(mark, VERSION, 0, len(body), zlib.crc32(body), count, number, block.first)
    return b"".join((head, _CRC.pack(zlib.crc32(head)), body))


def header(data: bytes, at: int = 0) -> Header | None:
    """Return the header at this place, None when there is none that is right."""
    if len(data) - at < HEADER:
        return None
    head = data[at : at + _HEAD.size]
    if zlib.crc32(head) != _CRC.unpack_from(data, at + _HEAD.size)[0]:
        return None
    mark, version, _unused, body, body_crc, count, number, first = _HEAD.unpack(head)
    return Header(mark, version, body, body_crc, count, number, first)


def decode(head: Header, body: bytes) -> Block | None:
    """Return what a block says, None when its body is damaged."""
    if len(body) != head.body or zlib.crc32(body) != head.body_crc:
        return None
    unpacker = zlib.decompressobj()
    try:
        data = unpacker.decompress(body, MAX_BODY)
        if not unpacker.eof:
            return None
        return _read(head, data)
    except (zlib.error, struct.error, ValueError, KeyError, TypeError, IndexError):
        return None  # the checksum is right: whoever wrote this was broken, not the disk


def _read(head: Header, data: bytes) -> Block:
    (length,) = _CRC.unpack_from(data)
    at = _CRC.size + length
    directory = json.loads(data[_CRC.size : at])
    batches = []
    for entry in directory["batches"]:
        batch, at = _batch(entry, data, at)
        batches.append(batch)
    if at != len(data) or sum(len(batch.raws) for batch in batches) != head.count:
        raise ValueError("the directory does not fit")
    return Block(
        head.first,
        directory["boot"],
        batches,
        directory["positions"],
        directory["counts"],
        directory["state"],
    )


def _entry(batch: Batch) -> list[Any]:
    return [
        batch.input,
        batch.origin,
        batch.path,
        batch.peer,
        batch.received,
        len(batch.raws),
        batch.offsets is not None,
        list(batch.truncated),
    ]


def _batch(entry: Sequence[Any], data: bytes, at: int) -> tuple[Batch, int]:
    name, origin, path, peer, received, count, has_offsets, truncated = entry
    offsets = None
    if has_offsets:
        offsets, at = _column("Q", data, at, count)
    lengths, at = _column("I", data, at, count)
    ends = list(accumulate(lengths, initial=at))
    raws = [data[start:stop] for start, stop in pairwise(ends)]
    batch = Batch(name, raws, received, origin, path, peer, offsets, truncated)
    return batch, ends[-1]


def _packed(code: str, numbers: Sequence[int]) -> bytes:
    column = array(code, numbers)
    if sys.byteorder == "big":
        column.byteswap()
    return column.tobytes()


def _column(code: str, data: bytes, at: int, count: int) -> tuple[Sequence[int], int]:
    column = array(code)
    end = at + count * column.itemsize
    column.frombytes(data[at:end])
    if len(column) != count:
        raise ValueError("a column is cut short")
    if sys.byteorder == "big":
        column.byteswap()
    return column, end
