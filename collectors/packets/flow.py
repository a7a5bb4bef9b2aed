"""The flow table: who talks with whom, how much, and in which state; bounded."""

from collections.abc import Iterator
from dataclasses import dataclass
from heapq import nsmallest
from typing import TYPE_CHECKING, Any, Final, Literal

from collectors.packets.stream import Stream

if TYPE_CHECKING:
    from collectors.packets.talk import Conversation

TCP: Final = 6
UDP: Final = 17
SECOND: Final = 1_000_000

DATA: Final = 8
"""Bit of the letter D in a flow's history."""

Reason = Literal["timeout", "shutdown", "forced", "reuse"]


# TCP flags; plain numbers, for an IntFlag costs a microsecond a packet.
FIN: Final = 1
SYN: Final = 2
RST: Final = 4
ACK: Final = 16


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of the flow table; times in microseconds without a packet (Suricata's defaults)."""

    flows: int = 100_000
    tcp_new: int = 60 * SECOND
    tcp_established: int = 600 * SECOND
    tcp_closed: int = 60 * SECOND
    new: int = 30 * SECOND
    established: int = 300 * SECOND
    sweep: int = 10 * SECOND


class Half:
    """One direction of a flow. `position` counts its bytes in order, `seq` is the next expected."""

    __slots__ = (
        "acked",
        "bytes",
        "client",
        "ended",
        "flags",
        "flow",
        "letters",
        "missed",
        "packets",
        "payload",
        "peer",
        "position",
        "seq",
        "stream",
        "wire",
    )
    peer: "Half"

    def __init__(self, flow: "Flow", client: bool) -> None:
        self.flow = flow
        self.client = client
        self.packets = 0
        self.wire = 0  # bytes on the wire, link layer included
        self.bytes = 0  # bytes of IP packets
        self.payload = 0  # bytes of UDP and ICMP payload
        self.flags = 0
        self.letters = 0
        self.seq = -1
        self.position = 0
        self.acked = -1
        self.ended = -1  # position of the FIN
        self.stream: Stream | None = None
        self.missed = 0

    def write(self, bit: int, letter: str) -> None:
        """Add to the flow's history as Zeek has it: each letter once per side, the server's small.

        `bit` stands for the letter.
        """
        if not self.letters & bit:
            self.letters |= bit
            self.flow.history += letter if self.client else letter.lower()


class Flow:
    """A flow; `client` is the direction of its first packet, unless that was plainly an answer."""

    __slots__ = (
        "addresses",
        "client",
        "common",
        "deaf",
        "depth",
        "dns",
        "first",
        "frame",
        "history",
        "icmp",
        "keys",
        "last",
        "macs",
        "one_way",
        "ports",
        "protocol",
        "server",
        "service",
        "state",
        "talk",
        "turned",
        "vlans",
    )

    def __init__(self, protocol: int, addresses: bytes, ports: tuple[int, int] | None) -> None:
        self.protocol = protocol
        self.addresses = addresses  # packed, the client's first
        self.ports = ports
        self.client = Half(self, True)
        self.server = Half(self, False)
        self.client.peer = self.server
        self.server.peer = self.client
        self.one_way = False
        self.keys = (b"", b"")
        self.vlans: tuple[int, ...] = ()
        self.macs = b""
        self.depth = 0  # tunnels around it
        self.dns = False  # its ports are those of DNS over UDP
        self.first = self.last = self.frame = 0
        self.turned = False
        self.state: Literal["new", "established", "closed"] = "new"
        self.history = ""
        self.service = ""
        self.talk: Conversation | None = None
        self.deaf = False  # nothing more is wanted from its bytes
        self.icmp: tuple[int, int] | None = None
        self.common: dict[str, Any] | None = None

    @property
    def over(self) -> bool:
        """Tell whether a SYN begins another connection, and does not repeat this one's."""
        seen = self.client.flags | self.server.flags
        return self.state == "closed" or bool(seen & FIN) or not seen & SYN

    def turn(self) -> None:
        """Take the other side for the client."""
        half = len(self.addresses) // 2
        self.addresses = self.addresses[half:] + self.addresses[:half]
        if self.ports:
            self.ports = self.ports[1], self.ports[0]
        self.client, self.server = self.server, self.client
        self.client.client, self.server.client = True, False
        self.turned = not self.turned
        self.macs = self.macs[6:] + self.macs[:6]


class Table:
    """Flows by the key of each direction. Idle ones end, the oldest make room for new ones."""

    EVICTED: Final = 16
    """One in so many flows is evicted at once when the table is full."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.halves: dict[bytes, Half] = {}
        self._flows: dict[int, Flow] = {}
        self._swept = 0
        self._since = 0
        self.evicted = 0

    def __len__(self) -> int:
        return len(self._flows)

    def add(self, flow: Flow, key: bytes, back: bytes) -> Half:
        """Put a flow in; return the half that the key belongs to.

        `back` is the key of the other direction, empty where there is none.
        """
        flow.keys = (key, back)
        half = flow.client if not flow.turned else flow.server
        if back:
            self.halves[back] = half.peer
        self.halves[key] = half
        self._flows[id(flow)] = flow
        return half

    def remove(self, flow: Flow) -> None:
        """Take a flow out."""
        for key in flow.keys:
            half = self.halves.get(key)
            if half is not None and half.flow is flow:
                del self.halves[key]
        self._flows.pop(id(flow), None)

    def idle(self, flow: Flow, time: int) -> bool:
        """Tell whether a flow has been silent for so long that it is over."""
        return time - flow.last > self._patience(flow)

    def due(self, time: int, frame: int) -> list[Flow]:
        """Return the flows to end now: idle ones now and then, the oldest when there is no room."""
        crowded = len(self._flows) >= self.limits.flows
        # Not more often than once per flow of the table: the work per packet stays constant.
        early = abs(time - self._swept) < self.limits.sweep
        if not crowded and (early or frame - self._since < len(self._flows)):
            return []
        self._swept, self._since = time, frame
        over = [flow for flow in self._flows.values() if self.idle(flow, time)]
        number = max(len(self._flows) // self.EVICTED, 1)
        if crowded and len(over) < number:
            self.evicted += number - len(over)
            over = nsmallest(number, self._flows.values(), key=_worth)
        return over

    def all(self) -> Iterator[Flow]:
        """Return the flows in the order in which they began."""
        return iter(list(self._flows.values()))

    def _patience(self, flow: Flow) -> int:
        limits = self.limits
        if flow.protocol != TCP:
            return limits.new if flow.state == "new" else limits.established
        if flow.state == "established":
            return limits.tcp_established
        return limits.tcp_new if flow.state == "new" else limits.tcp_closed


def _worth(flow: Flow) -> tuple[bool, int]:
    return flow.state != "closed", flow.last
