"""Lines: a record ends at LF or CR LF; empty ones are skipped.

So is a hole, many NUL bytes at the beginning of a line: a writer that does not append leaves one as
long as the old file when that is truncated under it (copytruncate), a power loss a shorter one.
"""

from collections.abc import Iterator
from typing import BinaryIO, Final

from collectors.frame import MAX_RECORD, Frame
from collectors.framing import chunks

_HOLE: Final = bytes(16)


def frames(stream: BinaryIO) -> Iterator[Frame]:
    """Return the lines of a stream; the last one counts even without a line end."""
    cutter = LineCutter()
    for data in chunks(stream):
        yield from cutter.feed(data)
    if last := cutter.rest():
        yield last


class LineCutter:
    """Cuts lines without doing I/O: feed it bytes, it gives the lines they complete.

    Holds at most MAX_RECORD bytes of an unfinished line, however long that grows.
    """

    def __init__(self, offset: int = 0) -> None:
        self._start = offset
        self._kept = bytearray()
        self._length = 0
        self._hole = 0  # bytes of the unfinished line that are a hole

    @property
    def offset(self) -> int:
        """Where the unfinished line begins: everything before it has been given out."""
        return self._start

    def feed(self, data: bytes) -> list[Frame]:
        """Return the lines that these bytes complete."""
        lines = data.split(b"\n")
        tail = lines.pop()
        found: list[Frame] = []
        if lines and self._length:
            self._extend(lines[0])
            self._finish(found, bytes(self._kept), self._length, self._hole)
            self._kept.clear()
            self._length = self._hole = 0
            del lines[0]
        for line in lines:
            self._finish(found, line, len(line))
        self._extend(tail)
        return found

    def rest(self) -> Frame | None:
        """Return the unfinished line as a record, None when there is none; changes nothing."""
        found: list[Frame] = []
        start = self._start
        self._finish(found, bytes(self._kept), self._length, self._hole)
        self._start = start
        return found[0] if found else None

    def _extend(self, part: bytes) -> None:
        self._kept += part[: MAX_RECORD - len(self._kept)]
        self._length += len(part)
        if self._kept.startswith(b"\0" if self._hole else _HOLE):
            kept = len(self._kept)
            self._kept = self._kept.lstrip(b"\0")
            self._hole += kept - len(self._kept)

    def _finish(self, found: list[Frame], line: bytes, length: int, hole: int = 0) -> None:
        start = self._start
        self._start = start + length + 1
        if line.startswith(_HOLE):
            hole = len(line)
            line = line.lstrip(b"\0")
            hole -= len(line)
        if length - hole <= MAX_RECORD:
            if raw := line.rstrip(b"\r"):
                found.append(Frame(raw, str(start), start))
        else:
            found.append(Frame(line[:MAX_RECORD], str(start), start, truncated=True))
