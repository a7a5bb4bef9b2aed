"""The dissector: frames in, records out. No I/O, no clock: time is the capture's.

    dissector = Dissector()
    records = dissector.feed(micros, linktype, data)
    records += dissector.finish()

Every frame is counted once: `frames == decoded + other + refused`.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from struct import Struct
from typing import Final

from collectors.packets.carve import Carver
from collectors.packets.communityid import ICMP, ICMP6, icmp_ports
from collectors.packets.dns import PORTS as DNS_PORTS
from collectors.packets.dns import message
from collectors.packets.flow import (
    ACK,
    DATA,
    SECOND,
    SYN,
    TCP,
    UDP,
    Flow,
    Half,
    Limits,
    Reason,
    Table,
)
from collectors.packets.ip import Fragments, Packet, ipv4, ipv6
from collectors.packets.link import ETHERNET, IPV4, Found, Other, Refused, network
from collectors.packets.probe import Probe
from collectors.packets.record import common, flow_fields, moment, swapped
from collectors.packets.stream import Memory
from collectors.packets.talk import Fields, Tools
from collectors.packets.tcp import Tcp, check
from collectors.packets.tunnel import IN_UDP, TUNNELS, in_ip

MAX_TUNNELS: Final = 4
_MAX_REASONS: Final = 256
_EIGHT: Final = frozenset({ICMP, UDP, ICMP6, 132, 136})
"""Protocols whose header has eight bytes: the ports, or the type, and the length or checksum."""
_NO_VLANS: Final[tuple[int, ...]] = ()
_SERVICES: Final = frozenset({"dns", "http", "tls"})
_PORTS: Final = Struct("!HH")


@dataclass(slots=True)
class Counters:
    """What happened to the frames; `reasons` says why some were refused, or what others are."""

    frames: int = 0
    decoded: int = 0
    other: int = 0
    refused: int = 0
    packets: int = 0
    flows: int = 0
    records: int = 0
    bugs: int = 0
    reasons: Counter[str] = field(default_factory=Counter)

    def note(self, reason: str) -> None:
        """Count a reason; hostile frames cannot make the table grow without end."""
        if reason not in self.reasons and len(self.reasons) >= _MAX_REASONS:
            reason = "more"
        self.reasons[reason] += 1


class Dissector:
    """Turns frames into records: flows, DNS, HTTP, TLS, files. Bounded in memory and time."""

    def __init__(self, *, limits: Limits | None = None, carver: Carver | None = None) -> None:
        self.counters = Counters()
        self.table = Table(limits or Limits())
        self.fragments = Fragments()
        self.memory = Memory()
        self.carver = carver or Carver()
        self._tcp = Tcp(self.memory, self._talk)
        self._out: list[Fields] = []
        self._macs = b""

    def feed(self, time: int, linktype: int, data: bytes, length: int = -1) -> list[Fields]:
        """Return the records that a frame completes.

        `time` is microseconds since 1970, `linktype` a LINKTYPE_ number, `length` the bytes the
        frame had on the wire, where the capture cut it. Records are flat ECS fields with
        `@timestamp` (aware datetime) and `event.dataset`. Never raises for what a frame holds.
        """
        counters = self.counters
        counters.frames += 1
        try:
            # The usual frame first: Ethernet, no tag, IPv4.
            if linktype == ETHERNET and data[12:14] == b"\x08\0":
                kind, offset, vlans = IPV4, 14, _NO_VLANS
            else:
                kind, offset, vlans = network(linktype, data)
            self._macs = data[:12] if linktype == ETHERNET else b""
            packet = ipv4(data, offset) if kind == IPV4 else ipv6(data, offset)
            self._packet(packet, time, vlans, len(data) if length < 0 else length, 0)
            counters.decoded += 1
        except Refused as error:
            counters.refused += 1
            counters.note(str(error))
        except Other as error:
            counters.other += 1
            counters.note(str(error))
        except Exception as error:  # a parser's bug must cost one frame, not the sensor
            counters.refused += 1
            self._bug(error)
        if not counters.frames & 0x3FF:
            self._end_due(time)
        if not self._out:
            return []
        records, self._out = self._out, []
        return records

    def finish(self) -> list[Fields]:
        """Return what is still open: the capture is over."""
        for flow in self.table.all():
            self._end(flow, "shutdown")
        self.fragments.clear()
        records, self._out = self._out, []
        return records

    def _packet(
        self, packet: Packet, time: int, vlans: tuple[int, ...], length: int, depth: int
    ) -> None:
        """Count an IP packet in its flow and look into it; tunnels lead to the next packet."""
        if packet.fragment is not None:
            joined = self.fragments.add(packet, time)
            if joined is None:
                return
            packet = joined
        self.counters.packets += 1
        protocol, addresses, data, start, end, size, _ = packet
        ports = self._ports(packet)
        key = b"%c%b%b" % (protocol, addresses, ports)
        if vlans or depth:
            key += bytes((depth,)) + b"".join([vlan.to_bytes(2, "big") for vlan in vlans])
        half = self.table.halves.get(key)
        if half is not None and (reason := self._over(half, data, start, time)):
            self._end(half.flow, reason)
            half = None
        if half is None:
            half = self._begin(key, packet, ports, time, vlans, depth)
        flow = half.flow
        flow.last = time
        half.packets += 1
        half.wire += length
        half.bytes += size
        if protocol == TCP:
            self._tcp.segment(half, data, start, end, time)
        else:
            self._datagram(half, packet, time, vlans, depth)

    def _datagram(
        self, half: Half, packet: Packet, time: int, vlans: tuple[int, ...], depth: int
    ) -> None:
        """Look into a packet of a protocol without streams."""
        protocol, _, data, start, end, _, _ = packet
        flow = half.flow
        if half.peer.packets:
            flow.state = "established"
        half.payload += end - start - (8 if protocol in _EIGHT else 0)
        if protocol == UDP:
            if not half.letters & DATA and end > start + 8:
                half.write(DATA, "D")
            finder = IN_UDP.get(data[start + 2] << 8 | data[start + 3])
            if finder is not None:
                self._inside(partial(finder, data[:end], start + 8), data, time, vlans, depth)
            elif flow.dns:
                self._dns(half, data[start + 8 : end], time)
        elif protocol in TUNNELS:
            self._inside(partial(in_ip, protocol, data[:end], start), data, time, vlans, depth)

    def _ports(self, packet: Packet) -> bytes:
        """Return four bytes that tell flows of the same addresses apart; check the header."""
        protocol, _, data, start, end, _, _ = packet
        if protocol == TCP:
            check(data, start, end)
        elif protocol not in _EIGHT:
            return b"\0\0\0\0"
        elif start + 8 > end:
            raise Refused("short transport header")
        if protocol in (ICMP, ICMP6):
            kind, answer, _ = icmp_ports(protocol, data[start], data[start + 1])
            return bytes((0, kind, 0, answer))
        return data[start : start + 4]

    def _over(self, half: Half, data: bytes, start: int, time: int) -> Reason | None:
        """Return why this packet cannot belong to the flow that has its key."""
        flow = half.flow
        if time - flow.last > SECOND and self.table.idle(flow, time):
            return "timeout"
        if flow.protocol == TCP and data[start + 13] & 0x12 == 2 and flow.over:
            return "reuse"
        return None

    def _begin(
        self,
        key: bytes,
        packet: Packet,
        ports: bytes,
        time: int,
        vlans: tuple[int, ...],
        depth: int,
    ) -> Half:
        """Put a new flow into the table; return the half that this packet belongs to."""
        self._end_due(time)
        protocol, addresses, data, start, *_ = packet
        ported = protocol in _EIGHT or protocol == TCP
        numbers: tuple[int, int] | None = _PORTS.unpack(ports) if ported else None
        flow = Flow(protocol, addresses, numbers)
        flow.first = flow.last = time
        flow.frame, flow.vlans, flow.depth = self.counters.frames, vlans, depth
        flow.macs = self._macs if not depth else b""
        if protocol in (ICMP, ICMP6):
            flow.icmp = data[start], data[start + 1]
            flow.one_way = icmp_ports(protocol, *flow.icmp)[2]
        elif numbers is not None:
            if protocol == UDP:
                flow.dns = not DNS_PORTS.isdisjoint(numbers)
            if _is_answer(packet, numbers):
                flow.turn()
        half = len(addresses) // 2
        back = b"%c%b%b%b%b" % (protocol, addresses[half:], addresses[:half], ports[2:], ports[:2])
        back += key[len(back) :]
        self.counters.flows += 1
        return self.table.add(flow, key, b"" if flow.one_way else back)

    def _inside(
        self,
        find: Callable[[], Found | None],
        data: bytes,
        time: int,
        vlans: tuple[int, ...],
        depth: int,
    ) -> None:
        """Go on with the packet inside; what is wrong with it does not undo the outer one."""
        try:
            found = find()
            if found is None:
                return
            if depth >= MAX_TUNNELS:
                raise Refused("too many tunnels")
            kind, offset, inner = found
            packet = ipv4(data, offset) if kind == IPV4 else ipv6(data, offset)
            self._packet(packet, time, vlans + inner, packet.length, depth + 1)
        except (Refused, Other) as error:
            self.counters.note(f"in a tunnel: {error}")

    def _dns(self, half: Half, data: bytes, time: int) -> None:
        try:
            fields = message(data)
        except ValueError:
            self.counters.note("not DNS on its port")
            return
        half.flow.service = "dns"
        self._emit(half.flow, "dns", time, fields, from_client=half.client)

    def _talk(self, flow: Flow) -> Probe:
        ports = flow.ports or (0, 0)
        return Probe(Tools(partial(self._emit, flow), self.carver, ports, Probe))

    def _emit(
        self, flow: Flow, dataset: str, time: int, fields: Fields, *, from_client: bool = True
    ) -> None:
        base = flow.common
        if base is None:
            base = flow.common = common(flow)
        record: Fields = {
            "@timestamp": moment(time),
            "event.dataset": dataset,
            **(base if from_client else swapped(base)),
            **fields,
        }
        service = flow.service or (dataset if dataset in _SERVICES else "")
        if service:
            record["network.protocol"] = service
        self.counters.records += 1
        self._out.append(record)

    def _bug(self, error: Exception) -> None:
        self.counters.bugs += 1
        self.counters.note(f"bug: {type(error).__name__}")

    def _end_due(self, time: int) -> None:
        evicted = self.table.evicted
        for flow in self.table.due(time, self.counters.frames):
            self._end(flow, "timeout" if evicted == self.table.evicted else "forced")

    def _end(self, flow: Flow, reason: Reason) -> None:
        """Take a flow out of the table and tell of it."""
        try:
            self._tcp.finish(flow, flow.last)
        except Exception as error:  # as in feed: the flow loses its detail, nothing else happens
            self._bug(error)
        self.table.remove(flow)
        self._emit(flow, "flow", flow.last, flow_fields(flow, reason))
        del flow.client, flow.server  # no cycles are left to collect


def _is_answer(packet: Packet, ports: tuple[int, int]) -> bool:
    """Tell whether a flow's first packet plainly goes from the server to the client."""
    protocol, _, data, start, end, _, _ = packet
    near, far = ports
    if protocol == TCP:
        flags = data[start + 13] & (SYN | ACK)
        if flags & SYN:
            return bool(flags & ACK)
        return near < 1024 <= far
    if protocol == UDP:
        return near == 53 and start + 10 < end and bool(data[start + 10] & 0x80)
    return False
