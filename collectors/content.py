"""Content of a file: unpacked if it is gzip, recoded if it is UTF-16, and bounded."""

import codecs
import io
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Final

from soc.errors import InputError

MAX_CONTENT: Final = 1 << 36
"""Bytes that a packed file may unpack to."""
MAX_RATIO: Final = 300
"""How many bytes may come out of one packed byte, once more than a few MiB have come out; logs
pack 5 to 60 to 1, zeros 1,030 to 1."""

_FREE: Final = 1 << 26
_PIECE: Final = 1 << 16
_GZIP: Final = b"\x1f\x8b"
_UTF16: Final = {codecs.BOM_UTF16_LE: "utf-16-le", codecs.BOM_UTF16_BE: "utf-16-be"}


class Content(io.RawIOBase):
    """A readable, not seekable stream over pieces of bytes, with the first ones to look at."""

    def __init__(self, pieces: Iterator[bytes], head: int) -> None:
        self._pieces = pieces
        self._buffer = bytearray()
        while len(self._buffer) < head and (piece := next(pieces, b"")):
            self._buffer += piece
        self.head = bytes(self._buffer[:head])

    def readable(self) -> bool:
        """Return True: this is a stream for reading."""
        return True

    def readinto(self, target: memoryview) -> int:  # type: ignore[override]
        """Fill the target with what is there; 0 is the end."""
        while not self._buffer:
            piece = next(self._pieces, None)
            if piece is None:
                return 0
            self._buffer += piece
        size = min(len(target), len(self._buffer))
        target[:size] = self._buffer[:size]
        del self._buffer[:size]
        return size


class Opened:
    """An open file: `pieces()` gives its content, `problem` says where that ended too early."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.problem = ""
        self._file = _open(path)
        self.size = path.stat().st_size

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    @property
    def done(self) -> int:
        """Bytes of the file read so far, packed ones if it is packed."""
        return min(self._file.tell(), self.size)

    @property
    def plain(self) -> bool:
        """Tell whether the file is neither packed nor UTF-16."""
        self._file.seek(0)
        return self._take(2) not in (_GZIP, *_UTF16)

    def line_after(self, position: int) -> int:
        """Return where a line begins, at this position of a plain file or the next after it."""
        self._file.seek(position - 1)
        for piece in self._read():
            end = piece.find(b"\n")
            if end >= 0:
                return position + end
            position += len(piece)
        return self.size

    def part(self, start: int, stop: int) -> Iterator[bytes]:
        """Return a range of a plain file."""
        self._file.seek(start)
        while start < stop and (data := self._take(min(_PIECE, stop - start))):
            start += len(data)
            yield data

    def pieces(self) -> Iterator[bytes]:
        """Return the content from the beginning; raise InputError for a decompression bomb."""
        self._file.seek(0)
        self.problem = ""
        packed = self._take(2) == _GZIP
        self._file.seek(0)
        return self._unpacked() if packed else self._read()

    def _unpacked(self) -> Iterator[bytes]:
        total, inside = 0, False
        engine = zlib.decompressobj(wbits=31)
        for packed in self._read():
            data = packed
            while data:
                try:
                    piece = engine.decompress(data, _PIECE)
                except zlib.error as error:
                    self.problem = f"damaged after {total} unpacked bytes: {error}"
                    return
                total += len(piece)
                self._guard(total)
                yield piece
                inside, data = not engine.eof, engine.unconsumed_tail
                if engine.eof:  # another member may follow, or padding
                    data = engine.unused_data.lstrip(b"\0")
                    engine = zlib.decompressobj(wbits=31)
        if inside:
            self.problem = f"cut off after {total} unpacked bytes"

    def _read(self) -> Iterator[bytes]:
        while data := self._take(_PIECE):
            yield data

    def _take(self, size: int) -> bytes:
        try:
            return self._file.read(size)
        except OSError as error:  # a bad sector, a network file system that has gone
            raise InputError(
                f"cannot be read to its end: {error.strerror}; what came before counts",
                where=str(self.path),
                hint="dmesg; make a copy of it elsewhere",
            ) from error

    def _guard(self, total: int) -> None:
        if total > min(MAX_CONTENT, max(_FREE, MAX_RATIO * self._file.tell())):
            raise InputError(
                f"unpacks to more than {total >> 20} MiB, as a decompression bomb does",
                where=str(self.path),
                hint="unpack it yourself if you trust it",
            )


def _open(path: Path) -> BinaryIO:
    try:
        return path.open("rb")
    except FileNotFoundError:
        raise InputError("no such file", where=str(path), hint="ls the folder") from None
    except IsADirectoryError:
        raise InputError(
            "this is a directory", where=str(path), hint="name the files in it"
        ) from None
    except OSError as error:
        raise InputError(
            f"cannot be read: {error.strerror}", where=str(path), hint="check the permissions"
        ) from error


def recoded(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """Return UTF-16 content that begins with a byte order mark as UTF-8, other content as it is."""
    first = next(pieces, b"")
    while len(first) == 1 and (more := next(pieces, b"")):
        first += more
    encoding = _UTF16.get(first[:2])
    if encoding is None:
        if first:
            yield first
        yield from pieces
        return
    decoder = codecs.getincrementaldecoder(encoding)("replace")
    yield decoder.decode(first[2:]).encode()
    for piece in pieces:
        yield decoder.decode(piece).encode()
    yield decoder.decode(b"", final=True).encode()
