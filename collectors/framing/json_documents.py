"""JSON documents: an array of objects, or objects one after another over several lines."""

import re
from collections.abc import Iterator
from typing import BinaryIO, Final

from collectors.frame import MAX_RECORD, Frame
from collectors.framing import chunks
from soc.errors import InputError

MAX_DOCUMENT: Final = 16 * MAX_RECORD

# Skips plain bytes and whole strings at the speed of C and stops at what changes the depth; a
# quote here opens a string that does not end in this chunk. Every string can be read in one way
# only, so this is linear (possessive groups would be wrong in Python 3.11.2, Debian 12's).
_NEXT: Final = re.compile(
    rb'[^{}\[\]"]*(?:"[^"\\]*(?:\\.[^"\\]*)*"[^{}\[\]"]*)*([{}\[\]"])', re.DOTALL
)
_STRING_REST: Final = re.compile(rb'[^"\\]*(?:\\.[^"\\]*)*', re.DOTALL)
_BETWEEN: Final = b" \t\r\n,\x1e\xef\xbb\xbf"


def frames(stream: BinaryIO) -> Iterator[Frame]:
    """Return the documents of a stream; what is not JSON between them is a record, too.

    Raises InputError for a document longer than MAX_DOCUMENT.
    """
    cutter = DocumentCutter()
    for data in chunks(stream):
        yield from cutter.feed(data)
    if last := cutter.rest():
        yield last


class DocumentCutter:
    """Cuts documents by their brackets, without doing I/O and without recursion."""

    def __init__(self) -> None:
        self._pending = bytearray()  # from the end of the last record on
        self._start = 0  # offset of _pending[0] in the stream
        self._scanned = 0  # bytes of _pending that are done with
        self._depth = 0
        self._in_array = False
        self._in_string = False

    def feed(self, data: bytes) -> list[Frame]:
        """Return the documents that these bytes complete."""
        self._pending += data
        found: list[Frame] = []
        buffer = bytes(self._pending)
        position, done = self._scanned, 0
        while position < len(buffer):
            if self._in_string:
                position = self._string_end(buffer, position)
                if self._in_string:
                    break
            match = _NEXT.match(buffer, position)
            if match is None:
                position = len(buffer)
                break
            position = match.end()
            done = self._bracket(found, buffer, match[1], done, position)
        self._scanned = position - done
        del self._pending[:done]
        self._start += done
        if len(self._pending) > MAX_DOCUMENT:
            raise InputError(
                f"a JSON document is longer than {MAX_DOCUMENT >> 20} MiB",
                where=f"byte {self._start}",
                hint="split the file, or write one object per line",
            )
        return found

    def rest(self) -> Frame | None:
        """Return what is left as a record, None when it is nothing; changes nothing."""
        found: list[Frame] = []
        self._add(found, bytes(self._pending), 0, len(self._pending))
        return found[0] if found else None

    def _string_end(self, buffer: bytes, position: int) -> int:
        """Return the position behind the open string, or of what must wait for more bytes."""
        match = _STRING_REST.match(buffer, position)
        end = match.end() if match else position
        if buffer[end : end + 1] == b'"':
            self._in_string = False
            return end + 1
        return end  # the end of the buffer, or a backslash whose partner has not come yet

    def _bracket(self, found: list[Frame], buffer: bytes, char: bytes, done: int, end: int) -> int:
        """Take one bracket into account; return up to where the buffer has been given out."""
        base = 1 if self._in_array else 0
        if char == b'"':
            self._in_string = True
        elif char in b"{[":
            if self._depth == base:
                self._add(found, buffer, done, end - 1)
                done = end - 1
                if char == b"[" and not self._in_array:
                    self._in_array, done = True, end
            self._depth += 1
        elif self._depth > base:
            self._depth -= 1
            if self._depth == base:
                self._add(found, buffer, done, end)
                done = end
        elif self._in_array and char == b"]":
            self._add(found, buffer, done, end - 1)
            self._in_array, self._depth, done = False, 0, end
        return done

    def _add(self, found: list[Frame], buffer: bytes, start: int, end: int) -> None:
        kept = buffer[start:end].lstrip(_BETWEEN)
        if kept:
            offset = self._start + end - len(kept)
            raw = kept.rstrip(_BETWEEN)
            found.append(Frame(raw, str(offset), offset))
