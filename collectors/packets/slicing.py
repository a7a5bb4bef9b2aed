"""Slices: the frames of one flow out of a capture, as evidence."""

import hashlib
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from struct import pack
from typing import BinaryIO, Final

from collectors.content import Opened
from collectors.packets.capture import MAX_FRAME, Captured, Cutter
from collectors.packets.communityid import ICMP, ICMP6, community_id, icmp_ports
from collectors.packets.ip import Packet, ipv4, ipv6
from collectors.packets.link import IPV4, Found, Other, Refused, network
from collectors.packets.tunnel import IN_UDP, in_ip
from soc.errors import InputError

_MAX_TUNNELS: Final = 4
_MAX_FRAGMENTS: Final = 4096
_PORTED: Final = frozenset({6, 17, 132, 136})


@dataclass(frozen=True, slots=True)
class Slice:
    """What was written: its frames, and the SHA-256 of the new capture."""

    frames: int
    sha256: str


def slice_capture(path: Path, flow: str, out: BinaryIO) -> Slice:
    """Write the frames of the flow with this community ID (seed 0) to a pcap.

    Frames that carry the flow in a tunnel belong to it, and so do its fragments from the first one
    on. Raises InputError for what cannot be read, and for frames of several link types.
    """
    digest, frames, link = hashlib.sha256(), 0, -1
    locate = Locator()
    for micros, kind, data, length in _frames(path):
        if flow not in locate.flows(kind, data):
            continue
        if link < 0:
            link = kind
            _write(out, digest, pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, MAX_FRAME, link))
        elif kind != link:
            raise InputError(
                "the flow's frames are of several link types, which one pcap cannot hold",
                where=str(path),
                hint="editcap can take the interfaces of a pcapng apart",
            )
        head = pack("<IIII", micros // 10**6, micros % 10**6, len(data), length)
        _write(out, digest, head + data)
        frames += 1
    return Slice(frames, digest.hexdigest())


def _write(out: BinaryIO, digest: "hashlib._Hash", data: bytes) -> None:
    digest.update(data)
    out.write(data)


def _frames(path: Path) -> Iterator[Captured]:
    opened, cutter = Opened(path), Cutter()
    try:
        for piece in opened.pieces():
            yield from cutter.feed(piece)
        cutter.finish()
        if not cutter.recognised:
            raise InputError(cutter.problem, where=str(path), hint="give a pcap or pcapng file")
    finally:
        opened.close()


class Locator:
    """Tells to which flows a frame belongs, without following them."""

    def __init__(self) -> None:
        self._fragments: OrderedDict[bytes, str] = OrderedDict()

    def flows(self, link: int, data: bytes) -> list[str]:
        """Return the community IDs of the packets in a frame, the outermost first."""
        found: list[str] = []
        try:
            place: Found | None = network(link, data)
            while place is not None and len(found) <= _MAX_TUNNELS:
                kind, offset, _ = place
                packet = ipv4(data, offset) if kind == IPV4 else ipv6(data, offset)
                name = self._name(packet)
                if not name:
                    break
                found.append(name)
                place = _inside(packet)
        except (Refused, Other):
            pass
        return found

    def _name(self, packet: Packet) -> str:
        """Return the flow's ID; fragments have the one of their first, "" before that came."""
        fragment = packet.fragment
        key = packet.addresses + bytes((packet.protocol,)) + (fragment[0] if fragment else b"")
        if fragment and fragment[1]:
            return self._fragments.get(key, "")
        name = _community_id(packet)
        if fragment:
            self._fragments[key] = name
            if len(self._fragments) > _MAX_FRAGMENTS:
                self._fragments.popitem(last=False)
        return name


def _community_id(packet: Packet) -> str:
    protocol, addresses, data, start, end, *_ = packet
    half = len(addresses) // 2
    ports: tuple[int, int] | None = None
    one_way = False
    if protocol in _PORTED or protocol in (ICMP, ICMP6):
        if start + 4 > end:
            raise Refused("short transport header")
        if protocol in _PORTED:
            ports = data[start] << 8 | data[start + 1], data[start + 2] << 8 | data[start + 3]
        else:
            near, far, one_way = icmp_ports(protocol, data[start], data[start + 1])
            ports = near, far
    return community_id(addresses[:half], addresses[half:], protocol, ports, one_way=one_way)


def _inside(packet: Packet) -> Found | None:
    protocol, _, data, start, end, _, fragment = packet
    if fragment:
        return None
    if protocol == 17:
        find = IN_UDP.get(data[start + 2] << 8 | data[start + 3])
        return find(data[:end], start + 8) if find else None
    return in_ip(protocol, data[:end], start)
