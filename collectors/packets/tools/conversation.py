"""Conversations: who talks with whom in a frame, in tunnels and fragments too."""

from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final, NamedTuple

from collectors.packets.communityid import ICMP, ICMP6, community_id, icmp_ports
from collectors.packets.ip import Fragments, Packet, ipv4, ipv6, whole
from collectors.packets.link import IPV4, Found, Other, Refused, network
from collectors.packets.tunnel import IN_UDP, TUNNELS, in_ip

TCP: Final = 6
UDP: Final = 17
_PORTED: Final = frozenset({TCP, UDP, 132, 136})
_MAX_TUNNELS: Final = 4


class Frame(NamedTuple):
    """A frame of a capture: its number from 1, microseconds since 1970, LINKTYPE_*, its bytes.

    `length` is what it had on the wire.
    """

    number: int
    micros: int
    link: int
    data: bytes
    length: int


class Ends(NamedTuple):
    """The two ends of a packet; addresses are packed, `numbers` stand for the ports of ICMP too."""

    protocol: int
    source: bytes
    destination: bytes
    numbers: tuple[int, int] | None
    one_way: bool = False

    @property
    def ports(self) -> tuple[int, int] | None:
        """Source and destination port where the protocol has ports."""
        return self.numbers if self.protocol in _PORTED else None


@lru_cache(maxsize=1 << 16)
def name(ends: Ends) -> str:
    """Return the conversation's community ID (version 1, seed 0)."""
    return community_id(
        ends.source, ends.destination, ends.protocol, ends.numbers, one_way=ends.one_way
    )


def ends_of(packet: Packet) -> Ends:
    """Return the ends of a packet that is whole or a first fragment; raise Refused."""
    protocol, addresses, data, start, end, *_ = packet
    half = len(addresses) // 2
    source, destination = addresses[:half], addresses[half:]
    if protocol in (ICMP, ICMP6):
        if start + 2 > end:
            raise Refused("short ICMP header")
        kind, answer, one_way = icmp_ports(protocol, data[start], data[start + 1])
        return Ends(protocol, source, destination, (kind, answer), one_way)
    if protocol not in _PORTED:
        return Ends(protocol, source, destination, None)
    if start + 4 > end:
        raise Refused("short transport header")
    ports = data[start] << 8 | data[start + 1], data[start + 2] << 8 | data[start + 3]
    return Ends(protocol, source, destination, ports)


@dataclass(slots=True)
class Look:
    """What a frame holds: its packets with their ends, the outermost first.

    `datagram` names the datagram that the frame has a fragment of; `complete` says that it was the
    last one missing: the packets from there on are those of the whole datagram. `stopped` is why
    it went no deeper, `other` that the frame is sound and simply carries no IP.
    """

    packets: list[tuple[Ends, Packet]] = field(default_factory=list)
    vlans: tuple[int, ...] = ()
    datagram: bytes = b""
    complete: bool = False
    stopped: str = ""
    other: bool = False


class Looker:
    """Looks into frames; remembers fragments within bounds, nothing else."""

    def __init__(self) -> None:
        self._fragments = Fragments()

    def look(self, frame: Frame) -> Look:
        """Return what a frame holds; never raises for what it holds."""
        seen = Look()
        try:
            place: Found | None = network(frame.link, frame.data)
            data = frame.data
            while place is not None:
                if len(seen.packets) > _MAX_TUNNELS:
                    raise Refused("too many tunnels")
                kind, offset, vlans = place
                seen.vlans += vlans
                packet = ipv4(data, offset) if kind == IPV4 else ipv6(data, offset)
                joined = self._joined(packet, frame.micros, seen)
                if joined is None:
                    break
                seen.packets.append((ends_of(joined), joined))
                place, data = _inside(joined), joined.data
        except Refused as error:
            seen.stopped = str(error)
        except Other as error:
            seen.stopped, seen.other = str(error), True
        except (IndexError, ValueError) as error:  # a parser's bug costs a frame, not the run
            seen.stopped = f"bug: {type(error).__name__}"
        return seen

    def _joined(self, packet: Packet, micros: int, seen: Look) -> Packet | None:
        """Return the packet to look into; of an incomplete datagram note the first fragment."""
        if packet.fragment is None:
            return packet
        identification, offset, _more = packet.fragment
        seen.datagram = packet.addresses + bytes((packet.protocol,)) + identification
        joined = self._fragments.add(packet, micros)
        seen.complete = joined is not None
        if joined is None and offset == 0:
            first = whole(packet)
            seen.packets.append((ends_of(first), first))
        return joined


def _inside(packet: Packet) -> Found | None:
    """Return where the packet inside this one is, None where it is no tunnel."""
    protocol, _, data, start, end, *_ = packet
    if protocol == UDP and start + 8 <= end:
        find = IN_UDP.get(data[start + 2] << 8 | data[start + 3])
        return find(data[:end], start + 8) if find is not None else None
    return in_ip(protocol, data[:end], start) if protocol in TUNNELS else None
