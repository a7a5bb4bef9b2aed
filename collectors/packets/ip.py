"""IPv4 (RFC 791) and IPv6 (RFC 8200): headers, extension headers, fragments."""

from dataclasses import dataclass, field
from struct import unpack_from
from typing import Final, NamedTuple

from collectors.packets.link import Refused

MAX_DATAGRAM: Final = 65535
_MAX_HEADERS: Final = 16


class Packet(NamedTuple):
    """An IP packet: protocol, packed addresses, where its payload lies in `data`.

    `length` counts the IP packet as its header does. `fragment` is (identification, offset,
    more follow) for a fragment, else None. `data` is the frame, or a reassembled payload.
    """

    protocol: int
    addresses: bytes
    data: bytes
    start: int
    end: int
    length: int
    fragment: tuple[bytes, int, bool] | None = None


def ipv4(data: bytes, offset: int) -> Packet:
    """Return the IPv4 packet at an offset; raise Refused for a broken header."""
    if offset + 20 > len(data):
        raise Refused("short IPv4 header")
    first, total, word = data[offset], *unpack_from("!2xH2xH", data, offset)
    header = (first & 15) * 4
    if first >> 4 != 4 or header < 20 or offset + header > len(data):
        raise Refused("broken IPv4 header")
    if total == 0:  # left to the network card (segmentation offload)
        total = len(data) - offset
    if total < header:
        raise Refused("broken IPv4 length")
    end = min(offset + total, len(data))
    fragment = None
    if word & 0x3FFF:
        fragment = (data[offset + 4 : offset + 6], (word & 0x1FFF) * 8, bool(word & 0x2000))
    addresses = data[offset + 12 : offset + 20]
    return Packet(data[offset + 9], addresses, data, offset + header, end, total, fragment)


def ipv6(data: bytes, offset: int) -> Packet:
    """Return the IPv6 packet at an offset, its extension headers skipped; raise Refused."""
    if offset + 40 > len(data) or data[offset] >> 4 != 6:
        raise Refused("broken IPv6 header")
    size, protocol = unpack_from("!HB", data, offset + 4)
    end = min(offset + 40 + size, len(data)) if size else len(data)  # size 0: a jumbogram
    addresses = data[offset + 8 : offset + 40]
    protocol, start, fragment = _walk(data, protocol, offset + 40, end)
    return Packet(protocol, addresses, data, start, end, 40 + size, fragment)


def whole(packet: Packet) -> Packet:
    """Return a reassembled packet with the extension headers skipped that were inside it."""
    if packet.protocol not in _EXTENSIONS or len(packet.addresses) == 8:
        return packet
    protocol, start, fragment = _walk(packet.data, packet.protocol, packet.start, packet.end)
    if fragment is not None:
        raise Refused("fragment inside a fragment")
    return packet._replace(protocol=protocol, start=start)


def _walk(
    data: bytes, protocol: int, start: int, end: int
) -> tuple[int, int, tuple[bytes, int, bool] | None]:
    """Skip extension headers; return the protocol, where its header is, and the fragment if any."""
    for _ in range(_MAX_HEADERS):
        if protocol not in _EXTENSIONS:
            break
        if start + 8 > end:
            raise Refused("short IPv6 extension header")
        if protocol == _FRAGMENT:
            word = unpack_from("!H", data, start + 2)[0]
            protocol, identification = data[start], data[start + 4 : start + 8]
            start += 8
            if word & 0xFFF9:  # an atomic fragment (RFC 6946) is a whole packet
                return protocol, start, (identification, word & 0xFFF8, bool(word & 1))
            continue
        scale, extra = (4, 2) if protocol == _AUTHENTICATION else (8, 1)
        protocol, start = data[start], start + (data[start + 1] + extra) * scale
    else:
        raise Refused("too many IPv6 extension headers")
    if start > end:
        raise Refused("short IPv6 extension header")
    return protocol, start, None


_FRAGMENT: Final = 44
_AUTHENTICATION: Final = 51
# Hop-by-hop, routing, destination options, mobility, HIP, shim6.
_EXTENSIONS: Final = frozenset({0, 43, _FRAGMENT, _AUTHENTICATION, 60, 135, 139, 140})


@dataclass(slots=True)
class _Pieces:
    time: int
    held: dict[int, bytes] = field(default_factory=dict)
    total: int = -1  # length of the datagram, once its last fragment has come
    size: int = 0


class Fragments:
    """Puts datagrams together. Of two fragments at one offset the first to come wins; where
    others overlap, the one that begins earlier. Incomplete datagrams are given up.

    Bounded by datagrams, fragments and bytes held; `expired` counts datagrams given up. Times are
    microseconds.
    """

    TIMEOUT: Final = 60_000_000

    def __init__(self, datagrams: int = 1024, fragments: int = 256, held: int = 1 << 24) -> None:
        self._limits = (datagrams, fragments, held)
        self._pending: dict[bytes, _Pieces] = {}
        self._held = 0
        self.expired = 0

    def __len__(self) -> int:
        return len(self._pending)

    def add(self, packet: Packet, time: int) -> Packet | None:
        """Return the whole packet when this fragment completes it."""
        assert packet.fragment is not None  # noqa: S101 - for the type checker
        identification, offset, more = packet.fragment
        payload = packet.data[packet.start : packet.end]
        if offset + len(payload) > MAX_DATAGRAM or not payload:
            raise Refused("fragment beyond a datagram")
        key = packet.addresses + bytes((packet.protocol,)) + identification
        pieces = self._pending.get(key)
        if pieces is not None and abs(time - pieces.time) > self.TIMEOUT:
            self._forget(key)
            pieces = None
        if pieces is None:
            self._make_room()
            pieces = self._pending[key] = _Pieces(time)
        if not more and pieces.total < 0:
            pieces.total = offset + len(payload)
        if offset not in pieces.held:
            pieces.held[offset] = payload
            pieces.size += len(payload)
            self._held += len(payload)
        if len(pieces.held) > self._limits[1]:
            self._forget(key)
            raise Refused("too many fragments")
        if not 0 <= pieces.total <= pieces.size:
            return None
        joined = _joined(pieces)
        if joined is None:
            return None
        self._forget(key, complete=True)
        length = packet.length - len(payload) + len(joined)
        return whole(Packet(packet.protocol, packet.addresses, joined, 0, len(joined), length))

    def clear(self) -> None:
        """Give up what is incomplete."""
        self.expired += len(self._pending)
        self._pending.clear()
        self._held = 0

    def _make_room(self) -> None:
        datagrams, _, held = self._limits
        while self._pending and (len(self._pending) >= datagrams or self._held > held):
            self._forget(next(iter(self._pending)))

    def _forget(self, key: bytes, *, complete: bool = False) -> None:
        self._held -= self._pending.pop(key).size
        self.expired += not complete


def _joined(pieces: _Pieces) -> bytes | None:
    """Return the datagram, None while a hole is left; of overlaps the lower offset's bytes win."""
    joined = bytearray()
    for offset in sorted(pieces.held):
        if offset > len(joined):
            return None
        joined += pieces.held[offset][len(joined) - offset :]
    return bytes(joined[: pieces.total]) if len(joined) >= pieces.total else None
