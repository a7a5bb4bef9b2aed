"""The segment files of a spool: `NUMBER.seg`, named by the number of their first block."""

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from collectors.spool.block import HEADER, MARK, MAX_BODY, Block, Header, decode, header

_NAME: Final = re.compile(r"([0-9]{16})\.seg")
_STEP: Final = 1 << 20


@dataclass(slots=True)
class Segment:
    """A segment: `size` are the bytes that are durable, `first` the sequence number of its first
    frame, None where its first block cannot be read."""

    path: Path
    number: int
    size: int
    first: int | None = None


@dataclass(frozen=True, slots=True)
class Found:
    """A block of a segment; `block` is None when its body is damaged."""

    at: int
    head: Header
    block: Block | None


@dataclass(frozen=True, slots=True)
class Gap:
    """Bytes of a segment that are no block."""

    at: int
    size: int


def named(folder: Path, number: int) -> Path:
    """Return where the segment of that number lies."""
    return folder / f"{number:016d}.seg"


def listing(folder: Path) -> list[Segment]:
    """Return the segments of a folder, oldest first; raises OSError."""
    found = []
    for entry in os.scandir(folder):
        if name := _NAME.fullmatch(entry.name):
            segment = Segment(Path(entry.path), int(name[1]), entry.stat().st_size)
            found.append(segment)
    return sorted(found, key=lambda segment: segment.number)


def first_header(segment: Segment) -> Header | None:
    """Return the header that a segment begins with, None when it is damaged; raises OSError."""
    with segment.path.open("rb") as file:
        return header(file.read(HEADER))


class Reading:
    """Reads the blocks of one segment, whatever the bytes between them are."""

    def __init__(self, segment: Segment, mark: bytes, at: int = 0) -> None:
        self.segment = segment
        self.at = at
        self._mark = mark
        self._file = segment.path.open("rb", buffering=0)

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def next(self) -> Found | Gap | None:
        """Return the next block, or the bytes that are none, None at the end; raises OSError."""
        end = self.segment.size
        if self.at >= end:
            return None
        head = self._header(self.at)
        if head is not None and self.at + head.size <= end:
            body = self._read(self.at + HEADER, head.body)
            found = Found(self.at, head, decode(head, body))
            if found.block is not None or self._goes_on(self.at + head.size):
                self.at += head.size
                return found
        start, self.at = self.at, self._search(self.at + 1)
        return Gap(start, self.at - start)

    def __iter__(self) -> Iterator[Found | Gap]:
        while (found := self.next()) is not None:
            yield found

    def _goes_on(self, at: int) -> bool:
        """Tell whether the length of a damaged block leads to the next one, or to the end."""
        return at == self.segment.size or self._header(at) is not None

    def _header(self, at: int) -> Header | None:
        found = header(self._read(at, HEADER))
        return found if found and found.mark == self._mark and found.body <= MAX_BODY else None

    def _read(self, at: int, size: int) -> bytes:
        return os.pread(self._file.fileno(), min(size, self.segment.size - at), at)

    def _search(self, at: int) -> int:
        """Return where the next header is, the segment's end when there is none."""
        end = self.segment.size
        while at < end:
            data = self._read(at, _STEP)
            place = data.find(self._mark)
            while place >= 0:
                if self._header(at + place):
                    return at + place
                place = data.find(self._mark, place + 1)
            if len(data) < MARK:
                break
            at += max(len(data) - MARK + 1, 1)
        return end
