"""Tunnels: IP or Ethernet inside IP or UDP.

GRE (RFC 2784, 2890, 2637; ERSPAN), IP in IP, VXLAN (RFC 7348), Geneve (RFC 8926), Teredo
(RFC 4380), GTP-U (3GPP TS 29.281).
"""

from collections.abc import Callable
from struct import unpack_from
from typing import Final

from collectors.packets.link import IPV4, IPV6, Found, Other, Refused, ethernet, ethertype

TUNNELS: Final = frozenset({4, 41, 47, 137})
"""Protocols of IP that carry packets."""

_ERSPAN: Final = {0x88BE: 8, 0x22EB: 12}


def in_ip(protocol: int, data: bytes, start: int) -> Found | None:
    """Return what an IP packet's payload encapsulates, None where it is no tunnel."""
    if protocol == 4:
        return IPV4, start, ()
    if protocol == 41:
        return IPV6, start, ()
    if protocol == 47:
        return _gre(data, start)
    if protocol == 137:
        return ethertype(0x8847, data, start)
    return None


def _gre(data: bytes, start: int) -> Found:
    if start + 4 > len(data):
        raise Refused("short GRE header")
    flags, kind = unpack_from("!HH", data, start)
    version = flags & 7
    if version > 1 or flags & 0x4000:
        raise Other("GRE of an unknown version")
    offset = start + 4
    offset += 4 * bool(flags & 0x8000) + 4 * bool(flags & 0x2000) + 4 * bool(flags & 0x1000)
    if version == 1:
        offset += 4 * bool(flags & 0x0080)
    if kind in _ERSPAN:
        # Type I has no sequence number and no header of its own.
        offset += _ERSPAN[kind] if flags & 0x1000 else 0
        if kind == 0x22EB and offset <= len(data) and data[offset - 1] & 1:
            offset += 8  # the platform's part
        return ethernet(data, offset)
    if kind == 0:  # keep-alive
        raise Other("GRE keep-alive")
    return ethertype(kind, data, offset)


def _vxlan(data: bytes, start: int) -> Found | None:
    if len(data) < start + 8 or not data[start] & 8:
        return None
    return ethernet(data, start + 8)


def _geneve(data: bytes, start: int) -> Found | None:
    if len(data) < start + 8 or data[start] >> 6:
        return None
    kind = data[start + 2] << 8 | data[start + 3]
    return ethertype(kind, data, start + 8 + (data[start] & 0x3F) * 4)


def _teredo(data: bytes, start: int) -> Found | None:
    if data[start : start + 2] == b"\0\x01" and len(data) > start + 4:  # authentication
        start += 13 + data[start + 2] + data[start + 3]
    if data[start : start + 2] == b"\0\0":  # origin
        start += 8
    if len(data) < start + 40 or data[start] >> 4 != 6:
        return None
    return IPV6, start, ()


def _gtp(data: bytes, start: int) -> Found | None:
    if len(data) < start + 12 or data[start] >> 5 != 1 or data[start + 1] != 0xFF:
        return None
    offset = start + 8
    if data[start] & 7:
        offset += 4
        following = data[offset - 1]
        for _ in range(16):
            if not data[start] & 4 or not following:
                break
            if offset >= len(data) or not data[offset]:
                return None
            offset += data[offset] * 4
            following = data[offset - 1] if offset <= len(data) else 0
    version = data[offset] >> 4 if offset < len(data) else 0
    return {4: (IPV4, offset, ()), 6: (IPV6, offset, ())}.get(version)


IN_UDP: Final[dict[int, Callable[[bytes, int], Found | None]]] = {
    4789: _vxlan,
    6081: _geneve,
    3544: _teredo,
    2152: _gtp,
}
"""Destination port -> what finds the packet inside; None where it is no tunnel after all."""
