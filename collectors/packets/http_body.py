"""HTTP bodies on their way to the file store: content coding undone, uploads taken apart.

Everything is a stream: what is held is a window of the decoder and one boundary.
"""

import re
import zlib
from collections.abc import Callable
from typing import Final, Literal

from collectors.packets.http_head import Head, disposition, head_end, text
from collectors.packets.talk import Body, Carve, Fields

MAX_RATIO: Final = 300
"""How many bytes may come out of one packed byte, beyond FREE; pages pack 3 to 30 to 1."""
FREE: Final = 1 << 22
MAX_PARTS: Final = 64
"""Files of one upload that are carved."""

State = Literal["complete", "truncated", "gap", "damaged"]
Done = Callable[[str, Fields], None]
"""Takes a finished file: its name as sent, and its fields."""

_MAX_PART_HEAD: Final = 1 << 13
_PIECE: Final = 1 << 16
_BOUNDARY: Final = re.compile(r'boundary\s*=\s*(?:"([^"]{1,200})"|([^;,\s]{1,200}))', re.I)


class File:
    """One file: bytes in, fields out; `state` says whether all of it was there."""

    def __init__(self, carve: Carve, name: str, done: Done) -> None:
        self._carve = carve
        self._name = name
        self._done = done
        self._body: Body | None = None
        self.state: State = "complete"
        self._stopped = False

    def write(self, data: bytes) -> bool:
        """Take bytes; False when no more are wanted."""
        if self._body is None:
            self._body = self._carve()
        if not self._stopped and not self._body.write(data):
            self._stopped = True
            if self.state == "complete":
                self.state = "truncated"
        return not self._stopped

    def close(self) -> None:
        """Pass the file on, if it has any bytes."""
        if self._body is not None:
            fields = self._body.close(whole=self.state == "complete")
            fields["soc.file.state"] = self.state
            self._done(self._name, fields)
            self._body = None


class Whole:
    """A body that is one file, its content coding undone."""

    def __init__(self, head: Head, name: str, carve: Carve, done: Done) -> None:
        self._file = File(carve, name, done)
        self._coding = head.get("content-encoding").lower().strip()
        self._engine: zlib._Decompress | None = None
        self._first = True
        self._in = self._out = 0

    def write(self, data: bytes) -> None:
        """Take the next bytes."""
        if not data:
            return
        if self._first:
            self._first = False
            self._begin(data)
        if self._engine is None:
            self._file.write(data)
        elif self._file.state == "complete":
            self._inflate(data)

    def lost(self) -> None:
        """Know that bytes are missing."""
        self._file.state = "gap"  # and what comes now cannot be unpacked

    def close(self, *, whole: bool) -> None:
        """Pass the file on."""
        unfinished = self._engine is not None and not self._engine.eof
        if self._file.state == "complete" and (not whole or unfinished):
            self._file.state = "truncated"
        self._file.close()

    def _begin(self, data: bytes) -> None:
        """Choose a decoder by what really comes: some servers name a coding they do not use."""
        if self._coding in ("gzip", "x-gzip") and data[:1] == b"\x1f":
            self._engine = zlib.decompressobj(wbits=31)
        elif self._coding == "deflate" and data[0] & 15 == 8:
            self._engine = zlib.decompressobj()
        elif self._coding == "deflate" and data[0] & 6 != 6:  # without the zlib header
            self._engine = zlib.decompressobj(wbits=-15)

    def _inflate(self, data: bytes) -> None:
        engine = self._engine
        self._in += len(data)
        while data and engine is not None:
            try:
                piece = engine.decompress(data, _PIECE)
            except zlib.error:
                self._file.state = "damaged"
                return
            self._out += len(piece)
            if piece and not self._file.write(piece):
                return
            if self._out > max(FREE, MAX_RATIO * self._in):
                self._file.state = "truncated"
                return
            data = engine.unconsumed_tail
            if engine.eof:
                data = engine.unused_data
                if data[:2] != b"\x1f\x8b":
                    return
                engine = self._engine = zlib.decompressobj(wbits=31)


class Upload:
    """A multipart body (RFC 2046, 7578): each part that names a file is one."""

    def __init__(self, boundary: str, carve: Carve, done: Done) -> None:
        self._mark = b"\n--" + boundary.encode("utf-8", "surrogateescape")
        self._carve = carve
        self._done = done
        self._buffer = b"\n"
        self._in_head = False
        self._file: File | None = None
        self._parts = 0
        self._skip = False  # the line feed before the content is kept for the boundary's sake

    def write(self, data: bytes) -> None:
        """Take the next bytes."""
        buffer = self._buffer + data
        while True:
            if self._in_head:
                end = head_end(buffer, 0)
                if end < 0:
                    self._buffer = buffer if len(buffer) <= _MAX_PART_HEAD else b""
                    return
                self._open(buffer[:end])
                buffer, self._in_head = buffer[end - 1 :], False  # its LF may begin a boundary
                self._skip = True
            at = buffer.find(self._mark)
            if at < 0:
                keep = len(self._mark) + 1
                self._pass(buffer[:-keep])
                self._buffer = buffer[-keep:] if len(buffer) > keep else buffer
                return
            self._pass(buffer[: at - 1] if buffer[at - 1 : at] == b"\r" else buffer[:at])
            self._end()
            buffer, self._in_head = buffer[at + len(self._mark) :], True

    def lost(self) -> None:
        """Know that bytes are missing."""
        if self._file is not None:
            self._file.state = "gap"

    def close(self, *, whole: bool) -> None:
        """Pass on what is open; a part without its closing boundary is not complete."""
        if self._file is not None and not self._in_head:
            self._pass(self._buffer)
            if self._file.state == "complete":
                self._file.state = "truncated"
        self._end()

    def _open(self, head: bytes) -> None:
        self._parts += 1
        for line in head.split(b"\n"):
            name, _, value = line.partition(b":")
            if name.strip().lower() == b"content-disposition":
                found = disposition(text(value))
                if found and self._parts <= MAX_PARTS:
                    self._file = File(self._carve, found, self._done)

    def _pass(self, data: bytes) -> None:
        if self._skip and data:
            data, self._skip = data[1:], False
        if self._file is not None and data:
            self._file.write(data)

    def _end(self) -> None:
        self._skip = False
        if self._file is not None:
            self._file.close()
            self._file = None


def body(head: Head, name: str, carve: Carve, done: Done) -> Whole | Upload:
    """Return what takes the body of a message with this head."""
    kind = head.get("content-type")
    if kind.lower().lstrip().startswith("multipart/form-data"):
        found = _BOUNDARY.search(kind)
        if found:
            return Upload(found[1] or found[2], carve, done)
    return Whole(head, name, carve, done)
