"""A frame in a line, by our own parsers: works everywhere, and names what they would say of it."""

from typing import Any, Final

from collectors.packets.communityid import ICMP, ICMP6
from collectors.packets.dns import PORTS as DNS_PORTS
from collectors.packets.dns import message
from collectors.packets.ip import Packet
from collectors.packets.link import ETHERNET
from collectors.packets.record import address, moment
from collectors.packets.tools.conversation import TCP, UDP, Ends, Frame, Look, name
from collectors.packets.tools.decoding import Decoded
from soc.model.time import iso

_TRANSPORTS: Final = {1: "icmp", 2: "igmp", TCP: "tcp", UDP: "udp", 47: "gre", 50: "esp"} | {
    **{51: "ah", 58: "ipv6-icmp", 89: "ospf", 103: "pim", 112: "vrrp", 132: "sctp"}
}
_FLAGS: Final = (
    *(("SYN", 2), ("FIN", 1), ("RST", 4), ("PSH", 8), ("ACK", 16), ("URG", 32)),
    *(("ECE", 64), ("CWR", 128)),
)
_TLS: Final = {20: "change cipher spec", 21: "alert", 22: "handshake", 23: "application data"}
_MAX_LINE: Final = 120


def fields_of(frame: Frame, look: Look) -> dict[str, Any]:
    """Return when, who, with whom and how much, in ECS fields; of tunnels the innermost packet."""
    fields: dict[str, Any] = {
        "@timestamp": iso(moment(frame.micros)),
        "soc.packets.frame": frame.number,
        "network.bytes": frame.length,
    }
    for field, vlan in zip(("network.vlan.id", "network.inner.vlan.id"), look.vlans, strict=False):
        fields[field] = str(vlan)
    ends = look.packets[-1][0] if look.packets else None
    if ends is None:
        if frame.link == ETHERNET and len(frame.data) >= 12:
            fields["destination.address"] = frame.data[:6].hex(":")
            fields["source.address"] = frame.data[6:12].hex(":")
        return fields
    fields["source.address"] = fields["source.ip"] = address(ends.source)
    fields["destination.address"] = fields["destination.ip"] = address(ends.destination)
    if ends.ports:
        fields["source.port"], fields["destination.port"] = ends.ports
    fields["network.transport"] = _TRANSPORTS.get(ends.protocol, str(ends.protocol))
    fields["network.community_id"] = name(ends)
    return fields


def describe(frame: Frame, look: Look) -> Decoded:
    """Return the protocol and a line about a frame."""
    note = f"; inside: {look.stopped}" if look.packets and look.stopped else ""
    if look.datagram and not look.complete:
        return Decoded("fragment", "fragment of a datagram" + note)
    if not look.packets:
        if look.other:
            return Decoded(look.stopped, "no IP")
        return Decoded("broken", look.stopped or f"{len(frame.data)} bytes")
    ends, packet = look.packets[-1]
    protocol, info = _packet(ends, packet)
    whole = "; the last fragment, put together" if look.complete else ""
    return Decoded(protocol, info + whole + note)


def _packet(ends: Ends, packet: Packet) -> tuple[str, str]:
    protocol, _, data, start, end, *_ = packet
    transport = _TRANSPORTS.get(protocol, f"ip {protocol}")
    if protocol == TCP and start + 20 <= end:
        return _tcp(ends, data, start, end)
    if protocol == UDP and start + 8 <= end:
        payload = data[start + 8 : end]
        told = _dns(payload) if ends.ports and not DNS_PORTS.isdisjoint(ends.ports) else ""
        near, far = ends.ports or (0, 0)
        return ("dns", told) if told else ("udp", f"{near} > {far} length {len(payload)}")
    if protocol in (ICMP, ICMP6):
        return transport, f"type {data[start]} code {data[start + 1]}"
    return transport, f"{end - start} bytes"


def _tcp(ends: Ends, data: bytes, start: int, end: int) -> tuple[str, str]:
    near, far = ends.ports or (0, 0)
    head = (data[start + 12] >> 4) * 4
    flags = ",".join(text for text, bit in _FLAGS if data[start + 13] & bit)
    numbers = [int.from_bytes(data[at : at + 4], "big") for at in (start + 4, start + 8)]
    payload = data[start + head : end]
    told = f"{near} > {far} [{flags}] seq {numbers[0]} ack {numbers[1]} length {len(payload)}"
    if len(payload) >= 5 and payload[0] in _TLS and payload[1] == 3:
        return "tls", f"{_TLS[payload[0]]}; {told}"
    line = payload[: _MAX_LINE * 2].split(b"\r\n", 1)[0][:_MAX_LINE]
    if len(line) >= 4 and line.isascii() and line.decode().isprintable():
        http = line.startswith(b"HTTP/1.") or b" HTTP/1." in line
        return "http" if http else "tcp", f"{line.decode()}; {told}"
    return "tcp", told


def _dns(payload: bytes) -> str:
    try:
        fields = message(payload)
    except ValueError:
        return ""
    words = [fields["dns.type"], fields.get("dns.question.type"), fields.get("dns.question.name")]
    if "dns.response_code" in fields:
        words += [fields["dns.response_code"], *fields.get("dns.resolved_ip", [])[:4]]
    return " ".join(str(word) for word in words if word)
