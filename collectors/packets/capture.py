"""Capture files: pcap and pcapng (also as they grow) to frames, without doing I/O.

pcap: draft-ietf-opsawg-pcap; pcapng: draft-ietf-opsawg-pcapng.
"""

from collections.abc import Iterable, Iterator
from struct import Struct
from typing import Final

MAX_FRAME: Final = 1 << 20
"""Bytes that one captured frame may have; more is damage (tcpdump writes at most 256 KiB)."""

Captured = tuple[int, int, bytes, int]
"""Microseconds since 1970, link type (LINKTYPE_*), the bytes captured, their number on the wire."""

MAGICS: Final = {
    b"\xd4\xc3\xb2\xa1": ("<", 1),
    b"\xa1\xb2\xc3\xd4": (">", 1),
    b"\x4d\x3c\xb2\xa1": ("<", 1000),
    b"\xa1\xb2\x3c\x4d": (">", 1000),
}
"""First bytes of a pcap file -> byte order, units of its clock per microsecond."""
PCAPNG: Final = b"\x0a\x0d\x0d\x0a"

_MAX_BLOCK: Final = 1 << 24
_MAX_INTERFACES: Final = 1 << 12
_MICROS: Final = 1_000_000
_LATEST: Final = 253_402_300_799 * _MICROS  # the last second of the year 9999


def is_capture(head: bytes) -> bool:
    """Tell whether a file that begins so is a capture."""
    return head[:4] in MAGICS or head[:4] == PCAPNG


def frames(pieces: Iterable[bytes]) -> Iterator[list[Captured]]:
    """Return the frames of a capture as they come; `Damaged` ends them where the file is broken."""
    cutter = Cutter()
    for piece in pieces:
        yield cutter.feed(piece)
        if cutter.problem:
            break
    cutter.finish()
    if cutter.problem:
        raise Damaged(cutter.problem)


class Damaged(ValueError):
    """A capture file cannot be read on from here; what came before is good."""


class Cutter:
    """Cuts a capture into frames; feed it bytes. After damage `problem` says what and where."""

    def __init__(self) -> None:
        self.problem = ""
        self._offset = 0  # of the buffer's first byte in the file
        self._parts: list[bytes] = []
        self._held = 0
        self._need = 24
        self._format: _Pcap | _Pcapng | None = None

    @property
    def recognised(self) -> bool:
        """Tell whether the first bytes were those of a capture."""
        return self._format is not None

    def feed(self, data: bytes) -> list[Captured]:
        """Return the frames that these bytes complete, none after damage."""
        if self.problem:
            return []
        self._parts.append(data)
        self._held += len(data)
        if self._held < self._need:
            return []
        buffer = b"".join(self._parts)
        found: list[Captured] = []
        try:
            if self._format is None:
                self._format = _recognised(buffer)
            used, self._need = self._format.cut(buffer, found)
        except Damaged as damage:
            self.problem = f"{damage} (in or after byte {self._offset})"
            return found
        rest = buffer[used:]
        self._parts, self._held = [rest], len(rest)
        self._offset += used
        return found

    def finish(self) -> None:
        """Say that no more bytes come: what is left over is a frame that was cut off."""
        if not self.problem and self._held:
            self.problem = f"the last {self._held} bytes are an unfinished record"


def _recognised(buffer: bytes) -> "_Pcap | _Pcapng":
    if buffer[:4] == PCAPNG:
        return _Pcapng()
    if buffer[:4] in MAGICS:
        return _Pcap(*MAGICS[buffer[:4]])
    raise Damaged("this is not a capture file")


class _Pcap:
    """The old format: a file header, then records of one link type."""

    def __init__(self, order: str, scale: int) -> None:
        self._record = Struct(order + "IIII")
        self._linktype = Struct(order + "I")
        self._scale = scale
        self._link: int | None = None

    def cut(self, buffer: bytes, found: list[Captured]) -> tuple[int, int]:
        """Add the whole records; return the bytes used and the bytes needed to go on."""
        position, size, scale = 0, len(buffer), self._scale
        if self._link is None:
            self._link = self._linktype.unpack_from(buffer, 20)[0] & 0xFFFF
            position = 24
        link, unpack = self._link, self._record.unpack_from
        while position + 16 <= size:
            seconds, fraction, captured, length = unpack(buffer, position)
            if captured > MAX_FRAME:
                raise Damaged(f"a frame of {captured} bytes")
            end = position + 16 + captured
            if end > size:
                return position, end - position
            micros = seconds * _MICROS + fraction // scale
            found.append((micros, link, buffer[position + 16 : end], length))
            position = end
        return position, 16


class _Pcapng:
    """The new format: blocks; sections may differ in byte order, interfaces in link type."""

    def __init__(self) -> None:
        self._order = "<"
        self._interfaces: list[tuple[int, int, int]] = []  # link type, ticks per second, offset s

    def cut(self, buffer: bytes, found: list[Captured]) -> tuple[int, int]:
        """Add the frames of whole blocks; return the bytes used and the bytes needed to go on."""
        position, size = 0, len(buffer)
        while position + 12 <= size:
            if buffer[position : position + 4] == PCAPNG:
                self._section(buffer[position + 8 : position + 12])
            kind, length = Struct(self._order + "II").unpack_from(buffer, position)
            if length < 12 or length % 4 or length > _MAX_BLOCK:
                raise Damaged(f"a block of {length} bytes")
            if position + length > size:
                return position, length
            self._block(kind, buffer[position + 8 : position + length - 4], found)
            position += length
        return position, 12

    def _section(self, magic: bytes) -> None:
        if magic not in (b"\x4d\x3c\x2b\x1a", b"\x1a\x2b\x3c\x4d"):
            raise Damaged("a section of unknown byte order")
        self._order = "<" if magic[0] == 0x4D else ">"
        self._interfaces = []

    def _block(self, kind: int, body: bytes, found: list[Captured]) -> None:
        if kind == 6 and len(body) >= 20:  # enhanced packet
            number, high, low, captured, length = Struct(self._order + "5I").unpack_from(body)
            self._frame(number, high << 32 | low, body[20:], captured, length, found)
        elif kind == 1 and len(body) >= 8:  # interface description
            self._interface(body)
        elif kind == 3 and len(body) >= 4:  # simple packet: no time, interface 0
            length = Struct(self._order + "I").unpack_from(body)[0]
            self._frame(0, 0, body[4:], min(length, len(body) - 4), length, found)
        elif kind == 2 and len(body) >= 20:  # packet (obsolete)
            number, _, high, low, captured, length = Struct(self._order + "HH4I").unpack_from(body)
            self._frame(number, high << 32 | low, body[20:], captured, length, found)

    def _frame(
        self, number: int, ticks: int, data: bytes, size: int, length: int, found: list[Captured]
    ) -> None:
        if number >= len(self._interfaces) or size > len(data):
            raise Damaged("a frame of an unknown interface or beyond its block")
        link, per_second, offset = self._interfaces[number]
        micros = min(max(ticks * _MICROS // per_second + offset * _MICROS, 0), _LATEST)
        found.append((micros, link, data[:size], length))

    def _interface(self, body: bytes) -> None:
        if len(self._interfaces) >= _MAX_INTERFACES:
            raise Damaged("too many interfaces")
        link = Struct(self._order + "H").unpack_from(body)[0]
        per_second, offset = _MICROS, 0
        for code, value in self._options(body[8:]):
            if code == 9 and value:  # if_tsresol
                exponent = value[0] & 0x7F
                per_second = 2**exponent if value[0] & 0x80 else 10**exponent
            elif code == 14 and len(value) == 8:  # if_tsoffset
                offset = Struct(self._order + "q").unpack(value)[0]
        self._interfaces.append((link, per_second, offset))

    def _options(self, data: bytes) -> Iterator[tuple[int, bytes]]:
        position = 0
        while position + 4 <= len(data):
            code, length = Struct(self._order + "HH").unpack_from(data, position)
            if code == 0:
                return
            yield code, data[position + 4 : position + 4 + length]
            position += 4 + length + -length % 4
