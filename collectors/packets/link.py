"""Link layers and tunnels: from a frame's first byte to its IP header.

Link types: https://www.tcpdump.org/linktypes.html; EtherTypes: IEEE 802 numbers.
"""

from collections.abc import Callable
from typing import Final

IPV4: Final = 0x0800
IPV6: Final = 0x86DD

ETHERNET: Final = 1
_MAX_LAYERS: Final = 16
_MAX_VLANS: Final = 3

Found = tuple[int, int, tuple[int, ...]]
"""IPV4 or IPV6, where its header begins, VLAN ids from the outside in."""


class Refused(ValueError):
    """A header is broken or cut off; the text is the reason under which the frame is counted."""


class Other(ValueError):
    """The frame is sound and carries no IP; the text says what it carries."""


def network(link: int, data: bytes) -> Found:
    """Return where the IP header is; raise Other where there is none, Refused for broken ones."""
    decode = _LINKS.get(link)
    if decode is None:
        raise Other(f"link type {link}")
    kind, offset = decode(data)
    return ethertype(kind, data, offset)


def ethernet(data: bytes, offset: int) -> Found:
    """Return where the IP header is in an Ethernet frame inside another packet."""
    if offset + 14 > len(data):
        raise Refused("short Ethernet header")
    return ethertype(_u16(data, offset + 12), data, offset + 14)


def ethertype(kind: int, data: bytes, offset: int) -> Found:
    """Return where the IP header is behind an EtherType, through VLAN, MPLS and PPPoE."""
    vlans: tuple[int, ...] = ()
    for _ in range(_MAX_LAYERS):
        if kind in (IPV4, IPV6):
            return kind, offset, vlans
        if kind in _VLAN:
            if len(vlans) < _MAX_VLANS:
                vlans += (_u16(data, offset) & 0x0FFF,)
            kind, offset = _u16(data, offset + 2), offset + 4
        elif kind in _LAYERS:
            kind, offset = _LAYERS[kind](data, offset)
        elif kind < 0x0600:
            return _length(data, offset, vlans)
        else:
            raise Other(_NAMES.get(kind, f"EtherType 0x{kind:04x}"))
    raise Refused("too many link layers")


_VLAN: Final = frozenset({0x8100, 0x88A8, 0x9100, 0x9200, 0x9300})
_NAMES: Final = {0x0806: "ARP", 0x88CC: "LLDP", 0x888E: "EAPOL", 0x8863: "PPPoE discovery"}


def _u16(data: bytes, offset: int) -> int:
    if offset + 2 > len(data):
        raise Refused("short link header")
    return data[offset] << 8 | data[offset + 1]


def _length(data: bytes, offset: int, vlans: tuple[int, ...]) -> Found:
    """An IEEE 802.3 length: LLC follows, and behind SNAP an EtherType."""
    if data[offset : offset + 6] == b"\xaa\xaa\x03\0\0\0":
        kind = _u16(data, offset + 6)
        if kind in (IPV4, IPV6):
            return kind, offset + 8, vlans
    raise Other("LLC")


def _mpls(data: bytes, offset: int) -> tuple[int, int]:
    """Skip the label stack; what is below it tells by its first half byte (RFC 4928)."""
    for _ in range(_MAX_LAYERS):
        if offset + 5 > len(data):
            raise Refused("short MPLS label")
        last = data[offset + 2] & 1
        offset += 4
        if last:
            break
    else:
        raise Refused("too many MPLS labels")
    version = data[offset] >> 4
    if version == 4:
        return IPV4, offset
    if version == 6:
        return IPV6, offset
    if version == 0 and data[offset : offset + 4] == b"\0\0\0\0":  # a pseudo wire's control word
        return 0x6558, offset + 4
    return 0x6558, offset


def _nsh(data: bytes, offset: int) -> tuple[int, int]:
    """Skip a network service header (RFC 8300)."""
    words = _u16(data, offset) & 0x3F
    kind = {1: IPV4, 2: IPV6, 3: 0x6558, 5: 0x8847}.get(_u16(data, offset + 2) & 0xFF)
    if kind is None or words < 2:
        raise Other("NSH")
    return kind, offset + words * 4


_PPP: Final = {0x0021: IPV4, 0x0057: IPV6, 0x0281: 0x8847, 0x0283: 0x8848}


def _ppp(data: bytes, offset: int) -> tuple[int, int]:
    if data[offset : offset + 2] == b"\xff\x03":  # HDLC address and control
        offset += 2
    if offset < len(data) and data[offset] & 1:  # protocol field compressed to one byte
        kind, offset = data[offset], offset + 1
    else:
        kind, offset = _u16(data, offset), offset + 2
    if kind not in _PPP:
        raise Other(f"PPP 0x{kind:04x}")
    return _PPP[kind], offset


def _raw(data: bytes, offset: int = 0) -> tuple[int, int]:
    version = data[offset] >> 4 if len(data) > offset else 0
    if version == 4:
        return IPV4, offset
    if version == 6:
        return IPV6, offset
    raise Refused("neither IPv4 nor IPv6")


def _null(data: bytes) -> tuple[int, int]:
    # The address family is in the byte order of the machine that captured, and differs by system.
    return _raw(data, 4)


def _cooked(data: bytes) -> tuple[int, int]:
    return _u16(data, 14), 16


def _cooked2(data: bytes) -> tuple[int, int]:
    return _u16(data, 0), 20


def _ethernet(data: bytes) -> tuple[int, int]:
    return _u16(data, 12), 14


def _cisco_hdlc(data: bytes) -> tuple[int, int]:
    return _u16(data, 2), 4


def _vn_tag(data: bytes, offset: int) -> tuple[int, int]:
    return _u16(data, offset + 4), offset + 6


def _again(data: bytes, offset: int) -> tuple[int, int]:
    return _u16(data, offset + 12), offset + 14


_LAYERS: Final[dict[int, Callable[[bytes, int], tuple[int, int]]]] = {
    0x8847: _mpls,
    0x8848: _mpls,
    0x8864: lambda data, offset: _ppp(data, offset + 6),
    0x880B: _ppp,  # in GRE (RFC 2637)
    0x8926: _vn_tag,
    0x894F: _nsh,
    0x6558: _again,
}


def _radiotap(data: bytes) -> tuple[int, int]:
    if len(data) < 4:
        raise Refused("short radiotap header")
    return _wifi(data, data[2] | data[3] << 8)


def _wifi(data: bytes, offset: int = 0) -> tuple[int, int]:
    """IEEE 802.11: only data frames without encryption carry IP that can be read."""
    if offset + 24 > len(data):
        raise Refused("short 802.11 header")
    first, flags = data[offset], data[offset + 1]
    if first & 0x0C != 0x08:
        raise Other("802.11 management")
    if flags & 0x40 or first & 0x40:
        raise Other("802.11 without readable data")
    start = offset + 24 + (6 if flags & 3 == 3 else 0) + (2 if first & 0x80 else 0)
    if data[start : start + 3] != b"\xaa\xaa\x03":
        raise Other("802.11 without SNAP")
    return _u16(data, start + 6), start + 8


_LINKS: Final[dict[int, Callable[[bytes], tuple[int, int]]]] = {
    0: _null,
    1: _ethernet,
    9: lambda data: _ppp(data, 0),
    12: _raw,
    14: _raw,
    50: lambda data: _ppp(data, 0),
    51: lambda data: _ppp(data, 6),
    101: _raw,
    104: _cisco_hdlc,
    105: _wifi,
    108: _null,
    113: _cooked,
    127: _radiotap,
    228: _raw,
    229: _raw,
    276: _cooked2,
}
