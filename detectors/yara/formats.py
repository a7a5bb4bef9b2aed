"""The containers that are looked into: zip, gzip, tar, VBA; a member is a name and its pieces.

Read by hand, so that nothing is believed: sizes in headers bound nothing, names are bytes and
never paths, no module guesses, recurses or keeps a list of a million members.
"""

import struct
import zlib
from collections.abc import Iterator
from typing import Final

from detectors.yara import vba

Entry = tuple[bytes, Iterator[bytes]]

PIECE: Final = 1 << 18
"""Bytes that are unpacked at a time."""

_BLOCK: Final = 512
_END: Final = struct.Struct("<4s4H2LH")
_CENTRAL: Final = struct.Struct("<4s6H3L5H2L")
_LOCAL: Final = struct.Struct("<4s5H3L2H")
_COMMENT: Final = 0xFFFF
_ENDS: Final = 64
_ENCRYPTED: Final = 1
_STORED, _DEFLATED = 0, 8
_TAR_LINK: Final = b"L"
_TAR_FILES: Final = (b"0", b"\0", b"7")


class Unreadable(ValueError):
    """A container or a member that is damaged, encrypted, or packed in a way not known here."""


def entries(data: bytes) -> Iterator[Entry] | None:
    """Return the members of a container, None when the data is no container."""
    if data.startswith(b"\x1f\x8b\x08"):
        return gzip(data)
    if data[257:262] == b"ustar":
        return tar(data)
    if (directory := _directory(data)) is not None:
        return zipped(data, *directory)
    if data.startswith(b"PK\3\4"):
        return _broken("a zip archive without its directory")
    return iter([(b"macros", vba.modules(data))]) if vba.MARK in data else None


def _broken(why: str) -> Iterator[Entry]:
    raise Unreadable(why)
    yield


def gzip(data: bytes) -> Iterator[Entry]:
    """Yield the one member of a gzip file (RFC 1952)."""
    name, at = b"", 10
    flags = data[3] if len(data) > 3 else 0
    if flags & 4:
        at += 2 + int.from_bytes(data[at : at + 2], "little")
    if flags & 8:
        name = data[at : max(data.find(b"\0", at, at + 4096), at)]
    yield name or b"content", _inflated(data, 31)


def _inflated(data: bytes | memoryview, wbits: int) -> Iterator[bytes]:
    """Yield what a deflate stream unpacks to; gzip members may follow each other."""
    engine = zlib.decompressobj(wbits)
    rest = memoryview(data)
    while rest:
        taken = rest[:PIECE]
        try:
            piece = engine.decompress(taken, PIECE)
        except zlib.error as error:
            raise Unreadable(f"damaged: {error}") from error
        left = len(engine.unused_data if engine.eof else engine.unconsumed_tail)
        rest = rest[len(taken) - left :]
        if piece:
            yield piece
        if engine.eof:
            if wbits < 0 or bytes(rest[:2]) != b"\x1f\x8b":
                return
            engine = zlib.decompressobj(wbits)
    while tail := engine.decompress(engine.unconsumed_tail, PIECE):
        yield tail
    if not engine.eof:
        raise Unreadable("cut off")


def _directory(data: bytes) -> tuple[int, int] | None:
    """Return where the central directory starts, and how far the archive is shifted."""
    floor = max(0, len(data) - _END.size - _COMMENT)
    end = len(data)
    for _ in range(_ENDS):  # a comment may contain what looks like the end
        end = data.rfind(b"PK\5\6", floor, end)
        if end < 0 or end + _END.size > len(data):
            return None
        *_, size, offset, _comment = _END.unpack_from(data, end)
        for at in (end - size, offset):
            if at >= 0 and data[at : at + 4] == b"PK\1\2":
                return at, max(at - offset, 0)  # something may stand before the archive
    return None


def zipped(data: bytes, at: int, base: int) -> Iterator[Entry]:
    """Yield the members that the central directory at this place names (APPNOTE 4.3)."""
    while data[at : at + 4] == b"PK\1\2" and at + _CENTRAL.size <= len(data):
        found = _CENTRAL.unpack_from(data, at)
        flags, method, packed = found[3], found[4], found[8]
        lengths, place = found[10:13], found[16]
        name = data[at + _CENTRAL.size : at + _CENTRAL.size + lengths[0]]
        at += _CENTRAL.size + sum(lengths)
        if not name.endswith(b"/"):
            yield name, _zip_member(data, base + place, packed, method, flags)


def _zip_member(data: bytes, at: int, packed: int, method: int, flags: int) -> Iterator[bytes]:
    if flags & _ENCRYPTED:
        raise Unreadable("encrypted")
    try:
        local = _LOCAL.unpack_from(data, at)
    except struct.error as error:
        raise Unreadable("damaged: no such place in the archive") from error
    start = at + _LOCAL.size + local[9] + local[10]
    body = memoryview(data)[start : start + packed]
    if method == _STORED:
        yield from (bytes(body[n : n + PIECE]) for n in range(0, len(body), PIECE))
    elif method == _DEFLATED:
        yield from _inflated(body, -15)
    else:
        raise Unreadable(f"packed by method {method}, which is not unpacked here")


def tar(data: bytes) -> Iterator[Entry]:
    """Yield the regular files of a tar archive (POSIX ustar, GNU long names)."""
    at, long_name = 0, b""
    while at + _BLOCK <= len(data):
        head = data[at : at + _BLOCK]
        at += _BLOCK
        if not head.strip(b"\0"):
            continue
        size, kind = _tar_number(head[124:136]), head[156:157]
        body = memoryview(data)[at : at + size]
        at += -(-size // _BLOCK) * _BLOCK
        if kind == _TAR_LINK:
            long_name = bytes(body[:4096]).rstrip(b"\0")
        elif kind in _TAR_FILES:
            name = long_name or head[:100].partition(b"\0")[0]
            yield name, _slices(body)
            long_name = b""
    if at > len(data):
        raise Unreadable("cut off")


def _slices(body: memoryview) -> Iterator[bytes]:
    for at in range(0, len(body), PIECE):
        yield bytes(body[at : at + PIECE])


def _tar_number(field: bytes) -> int:
    if field[0] & 0x80:
        return int.from_bytes(field, "big") & ~(0x80 << 8 * (len(field) - 1))
    digits = field.strip(b" \0")
    try:
        return int(digits or b"0", 8)
    except ValueError as error:
        raise Unreadable("damaged: a size that is no number") from error
