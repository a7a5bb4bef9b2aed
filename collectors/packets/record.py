"""Records: what a flow and its transactions are in ECS fields."""

from datetime import UTC, datetime, timedelta
from socket import AF_INET, AF_INET6, inet_ntop
from typing import Final

from collectors.packets.communityid import community_id
from collectors.packets.flow import FIN, RST, SYN, TCP, UDP, Flow, Half, Reason
from collectors.packets.talk import Fields
from soc.model.time import iso

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_TRANSPORTS: Final = {
    **{1: "icmp", 2: "igmp", 4: "ipip", 6: "tcp", 17: "udp", 41: "ipv6", 46: "rsvp", 47: "gre"},
    **{50: "esp", 51: "ah", 58: "ipv6-icmp", 88: "eigrp", 89: "ospf", 103: "pim", 112: "vrrp"},
    **{115: "l2tp", 132: "sctp", 136: "udplite"},
}
_PORTED: Final = frozenset({TCP, UDP, 132, 136})
_SIDES: Final = ("ip", "port", "mac")


def moment(micros: int) -> datetime:
    """Return microseconds since 1970 as an aware moment."""
    return _EPOCH + timedelta(microseconds=micros)


def address(packed: bytes) -> str:
    """Return a packed IP address as text."""
    if len(packed) == 4:
        return inet_ntop(AF_INET, packed)
    if packed[:12] == b"\0" * 10 + b"\xff\xff":
        return inet_ntop(AF_INET, packed[12:])
    return inet_ntop(AF_INET6, packed)


def common(flow: Flow) -> Fields:
    """Return the fields that every record of a flow has: who, with whom, over what."""
    half = len(flow.addresses) // 2
    near, far = flow.addresses[:half], flow.addresses[half:]
    source, destination = address(near), address(far)
    fields: Fields = {
        "source.ip": source,
        "destination.ip": destination,
        "related.ip": [source, destination] if source != destination else [source],
        "network.type": "ipv4" if half == 4 else "ipv6",
        "network.iana_number": str(flow.protocol),
        "network.transport": _TRANSPORTS.get(flow.protocol, str(flow.protocol)),
        "network.community_id": community_id(
            near, far, flow.protocol, flow.ports, one_way=flow.one_way
        ),
    }
    if flow.protocol in _PORTED and flow.ports:
        fields["source.port"], fields["destination.port"] = flow.ports
    if flow.macs:
        fields["destination.mac"], fields["source.mac"] = _mac(flow.macs[:6]), _mac(flow.macs[6:])
    for name, vlan in zip(("network.vlan.id", "network.inner.vlan.id"), flow.vlans, strict=False):
        fields[name] = str(vlan)
    return fields


def swapped(fields: Fields) -> Fields:
    """Return a record with source and destination exchanged."""
    turned = dict(fields)
    for part in _SIDES:
        source, destination = f"source.{part}", f"destination.{part}"
        if source in fields:
            turned[source], turned[destination] = fields[destination], fields[source]
    return turned


def flow_fields(flow: Flow, reason: Reason) -> Fields:
    """Return the fields of a flow's own record, without the common ones."""
    client, server = flow.client, flow.server
    last = max(flow.last, flow.first)  # captures may run backwards
    fields: Fields = {
        "event.start": iso(moment(flow.first)),
        "event.end": iso(moment(last)),
        "event.duration": (last - flow.first) * 1000,
        "network.bytes": client.wire + server.wire,
        "network.packets": client.packets + server.packets,
        "soc.flow.reason": reason,
        "soc.flow.state": flow.state,
        "soc.flow.connection": connection_state(flow),
    }
    for side, half in (("source", client), ("destination", server)):
        fields[f"{side}.bytes"] = half.wire
        fields[f"{side}.packets"] = half.packets
        fields[f"soc.flow.{side}.ip_bytes"] = half.bytes
        fields[f"soc.flow.{side}.payload_bytes"] = half.payload + half.position
        if flow.protocol == TCP:
            fields[f"soc.flow.{side}.tcp_flags"] = f"{half.flags:02x}"
    if flow.protocol == TCP:
        fields["soc.flow.missed_bytes"] = client.missed + server.missed
    if flow.history:
        fields["soc.flow.history"] = ("^" if flow.turned else "") + flow.history
    if flow.icmp:
        fields["soc.flow.icmp_type"], fields["soc.flow.icmp_code"] = flow.icmp
    return fields


def connection_state(flow: Flow) -> str:
    """Return Zeek's summary of a connection, such as S0, SF, REJ; OTH where none fits."""
    client, server = flow.client, flow.server
    if flow.protocol == UDP:
        if not server.packets:
            return "S0"
        return "SF" if client.packets else "SHR"
    if flow.protocol != TCP:
        return "OTH"
    asked = bool(client.flags & SYN)
    answered = bool(server.flags & SYN)
    if asked and answered:
        return _established_state(client, server)
    if asked:
        if server.flags & RST:
            return "REJ"
        if client.flags & RST:
            return "RSTOS0"
        return "SH" if client.flags & FIN else "S0"
    if answered:
        if server.flags & RST:
            return "RSTRH"
        return "SHR" if server.flags & FIN else "OTH"
    return "OTH"


def _established_state(client: Half, server: Half) -> str:
    if client.flags & RST:
        return "RSTO"
    if server.flags & RST:
        return "RSTR" if client.packets > 1 else "REJ"
    ends = bool(client.flags & FIN), bool(server.flags & FIN)
    return {(True, True): "SF", (True, False): "S2", (False, True): "S3"}.get(ends, "S1")


def _mac(address: bytes) -> str:
    return address.hex("-").upper()
