"""Makes frames, conversations and capture files for the tests."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from ipaddress import ip_address
from struct import pack

from collectors.packets.dissect import Dissector
from collectors.packets.talk import Fields

CLIENT, SERVER = "10.0.0.7", "192.0.2.80"
START = 1_795_000_000_000_000
SYN, ACK, FIN, RST, PSH = 2, 16, 1, 4, 8


def ethernet(payload: bytes, kind: int = 0x0800) -> bytes:
    return b"\x02\0\0\0\0\x01" + b"\x02\0\0\0\0\x02" + pack("!H", kind) + payload


def ip(source: str, destination: str, protocol: int, payload: bytes, fragment: int = 0) -> bytes:
    near, far = ip_address(source).packed, ip_address(destination).packed
    if len(near) == 16:
        return pack("!IHBB", 0x60000000, len(payload), protocol, 64) + near + far + payload
    head = pack("!BBHHHBBH", 0x45, 0, 20 + len(payload), 7, fragment, 64, protocol, 0)
    return head + near + far + payload


def udp(source: int, destination: int, payload: bytes) -> bytes:
    return pack("!HHHH", source, destination, 8 + len(payload), 0) + payload


def tcp(
    source: int, destination: int, seq: int, ack: int, flags: int, payload: bytes = b""
) -> bytes:
    head = pack(
        "!HHIIBBHHH", source, destination, seq % 2**32, ack % 2**32, 0x50, flags, 8192, 0, 0
    )
    return head + payload


def pcap(frames: Iterable[tuple[int, bytes]], link: int = 1) -> bytes:
    parts = [pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 262144, link)]
    for micros, data in frames:
        parts.append(pack("<IIII", micros // 10**6, micros % 10**6, len(data), len(data)) + data)
    return b"".join(parts)


@dataclass
class Talk:
    """A TCP connection; every method adds frames."""

    port: int = 80
    client_port: int = 40000
    client: str = CLIENT
    server: str = SERVER
    frames: list[tuple[int, bytes]] = field(default_factory=list)
    sent: dict[bool, int] = field(default_factory=lambda: {True: 1000, False: 5000})

    def segment(
        self, from_client: bool, flags: int, data: bytes = b"", seq: int | None = None
    ) -> None:
        here, there = (self.client, self.client_port), (self.server, self.port)
        if not from_client:
            here, there = there, here
        number = self.sent[from_client] if seq is None else seq
        payload = tcp(here[1], there[1], number, self.sent[not from_client], flags, data)
        kind = 0x86DD if ":" in here[0] else 0x0800
        frame = ethernet(ip(here[0], there[0], 6, payload), kind)
        self.frames.append((START + len(self.frames) * 1000, frame))

    def open(self) -> "Talk":
        self.segment(True, SYN)
        self.sent[True] += 1
        self.segment(False, SYN | ACK)
        self.sent[False] += 1
        self.segment(True, ACK)
        return self

    def say(self, from_client: bool, data: bytes, size: int = 1400) -> "Talk":
        for at in range(0, len(data), size):
            piece = data[at : at + size]
            self.segment(from_client, PSH | ACK, piece)
            self.sent[from_client] += len(piece)
        return self

    def ask(self, data: bytes, size: int = 1400) -> "Talk":
        return self.say(True, data, size)

    def answer(self, data: bytes, size: int = 1400) -> "Talk":
        return self.say(False, data, size)

    def close(self) -> "Talk":
        for side in (True, False):
            self.segment(side, FIN | ACK)
            self.sent[side] += 1
        self.segment(True, ACK)
        return self


def dissect(
    frames: Iterable[tuple[int, bytes]], dissector: Dissector | None = None
) -> list[Fields]:
    """Return all records of these Ethernet frames."""
    dissector = dissector or Dissector()
    records: list[Fields] = []
    for micros, data in frames:
        records += dissector.feed(micros, 1, data)
    records += dissector.finish()
    counters = dissector.counters
    assert counters.frames == counters.decoded + counters.other + counters.refused
    assert counters.bugs == 0, counters.reasons
    return records


def of(records: list[Fields], dataset: str) -> list[Fields]:
    """Return the records of a dataset."""
    return [record for record in records if record["event.dataset"] == dataset]


def request(
    target: str = "/",
    *,
    method: str = "GET",
    host: str = "portal.example",
    body: bytes = b"",
    fields: str = "",
) -> bytes:
    length = f"Content-Length: {len(body)}\r\n" if body else ""
    head = f"{method} {target} HTTP/1.1\r\nHost: {host}\r\n{length}{fields}\r\n"
    return head.encode() + body


def response(body: bytes = b"", *, status: int = 200, fields: str = "") -> bytes:
    head = f"HTTP/1.1 {status} X\r\nContent-Length: {len(body)}\r\n{fields}\r\n"
    return head.encode() + body
