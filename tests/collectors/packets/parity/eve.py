"""Our events in the words of Suricata's eve.json, as far as they say the same."""

import ipaddress
from datetime import datetime
from typing import Any

from soc.model.event import Event

_PROTOCOLS = {"icmp": "ICMP", "ipv6-icmp": "IPv6-ICMP", "ipip": "IP-in-IP", "ipv6": "IPv6"}
_FLAG_BITS = {"AA": 0x400, "TC": 0x200, "RD": 0x100, "RA": 0x80, "AD": 0x20, "CD": 0x10}
_OPCODES = {"QUERY": 0, "IQUERY": 1, "STATUS": 2, "NOTIFY": 4, "UPDATE": 5, "DSO": 6}
_RCODES = {"NOERROR": 0, "FORMERR": 1, "SERVFAIL": 2, "NXDOMAIN": 3, "NOTIMP": 4, "REFUSED": 5}

IGNORED = {
    "dns.tx_id": "numbering inside Suricata",
    "dns.version": "version of Suricata's record",
    "fileinfo.tx_id": "numbering inside Suricata",
    "pkt_src": "where Suricata had the packet from",
    "tx_id": "numbering inside Suricata",
    "pcap_cnt": "the packet at which Suricata wrote the record",
    "ip_v": "told by the addresses",
}
"""Keys that say nothing about the traffic: they are left out of the checks."""


def eve(event: Event) -> dict[str, Any]:
    """Return an event as eve.json would have it."""
    get = event.get
    record: dict[str, Any] = {
        "event_type": event["event.action"],
        "src_ip": get("source.ip"),
        "dest_ip": get("destination.ip"),
        "src_port": get("source.port"),
        "dest_port": get("destination.port"),
        "proto": _proto(event["network.transport"]),
        "community_id": get("network.community_id"),
        "app_proto": get("network.protocol"),
        "vlan": [int(v) for n in ("", "inner.") if (v := get(f"network.{n}vlan.id"))] or None,
    }
    if "source.mac" in event:
        record["ether"] = {
            "src_mac": _mac(event["source.mac"]),
            "dest_mac": _mac(event["destination.mac"]),
            "src_macs": [_mac(event["source.mac"])],
            "dest_macs": [_mac(event["destination.mac"])],
        }
    make = {"flow": _flow, "dns": _dns, "http": _http_record, "tls": _tls, "file": _file}
    record |= make[event["event.dataset"]](event)
    return {name: _without_none(value) for name, value in record.items() if value is not None}


def _without_none(node: Any) -> Any:
    if isinstance(node, dict):
        return {k: _without_none(v) for k, v in node.items() if v is not None}
    return [_without_none(v) for v in node] if isinstance(node, list) else node


def _proto(transport: str) -> str:
    return _PROTOCOLS.get(transport, transport.upper())


def _mac(text: str) -> str:
    return text.replace("-", ":").lower()


def _flow(event: Event) -> dict[str, Any]:
    get = event.get
    start, end = (datetime.fromisoformat(event[f"event.{n}"]) for n in ("start", "end"))
    age = int(end.timestamp()) - int(start.timestamp())
    found: dict[str, Any] = {
        "flow": {
            "bytes_toserver": event["source.bytes"],
            "bytes_toclient": event["destination.bytes"],
            "pkts_toserver": event["source.packets"],
            "pkts_toclient": event["destination.packets"],
            "start": event["event.start"],
            "end": event["event.end"],
            "age": age,
            "state": event["soc.flow.state"],
            "reason": event["soc.flow.reason"],
        },
        "icmp_type": get("soc.flow.icmp_type"),
        "icmp_code": get("soc.flow.icmp_code"),
    }
    if event["network.transport"] == "tcp":
        there = int(event["soc.flow.source.tcp_flags"], 16)
        back = int(event["soc.flow.destination.tcp_flags"], 16)
        bits = {"fin": 1, "syn": 2, "rst": 4, "psh": 8, "ack": 16}
        found["tcp"] = {
            "tcp_flags": f"{there | back:02x}",
            "tcp_flags_ts": f"{there:02x}",
            "tcp_flags_tc": f"{back:02x}",
            **{name: True for name, bit in bits.items() if (there | back) & bit},
        }
        # Suricata writes "failed" where it looked at bytes and knew no protocol.
        if not get("network.protocol") and get("soc.flow.source.payload_bytes"):
            found["app_proto"] = "failed"
    elif event["network.transport"] == "udp" and not get("network.protocol"):
        found["app_proto"] = "failed"
    return found


def _dns(event: Event) -> dict[str, Any]:
    get = event.get
    answer = event["dns.type"] == "answer"
    code, flags = get("dns.response_code"), event["dns.header_flags"]
    opcode = _number(event["dns.op_code"], _OPCODES)
    word = sum(_FLAG_BITS[f] for f in flags) | answer << 15 | opcode << 11
    question = {"rrname": _root(get("dns.question.name")), "rrtype": get("dns.question.type")}
    answers = [_rr(a) for a in get("dns.answers", [])]
    grouped: dict[str, list[str]] = {}
    for one in answers:
        grouped.setdefault(one["rrtype"], []).append(one["rdata"])
    return {
        "dns": {
            "type": ("response" if answer else "request"),
            "id": int(event["dns.id"]),
            "opcode": opcode,
            "rcode": code,
            "qr": answer or None,
            "flags": f"{word | _RCODES.get(code or 'NOERROR', 0):x}" if answer else None,
            **{f.lower(): True for f in flags},
            **question,
            "queries": [question],
            "answers": answers or None,
            "authorities": [_rr(a) for a in get("dns.authorities", [])] or None,
            "grouped": grouped or None,
        }
    }


def _number(name: str, names: dict[str, int]) -> int:
    return names[name] if name in names else int(name)


def _root(name: str | None) -> str | None:
    return "<root>" if name == "." else name


def _rr(record: dict[str, Any]) -> dict[str, Any]:
    named = {"rrname": _root(record["name"]), "rrtype": record["type"]}
    return {**named, "rdata": record["data"], "ttl": record["ttl"]}


def _http(event: Event) -> dict[str, Any]:
    get = event.get
    version = get("http.version")
    return {
        "hostname": f"[{host}]" if ":" in (host := get("url.domain", "")) else host or None,
        "url": get("url.original"),
        "http_user_agent": get("user_agent.original"),
        "http_content_type": get("http.response.mime_type"),
        "http_refer": get("http.request.referrer"),
        "http_method": get("http.request.method"),
        "protocol": f"HTTP/{version}" if version else None,
        "version": "1" if version else None,
        "status": get("http.response.status_code"),
        "length": get("http.response.body.bytes", 0),
        "redirect": get("http.response.headers.location"),
    }


def _http_record(event: Event) -> dict[str, Any]:
    return {"http": _http(event)}


def _tls(event: Event) -> dict[str, Any]:
    get = event.get
    serial, digest = get("tls.server.x509.serial_number"), get("tls.server.hash.sha1")
    version = get("tls.version")
    names = {"1.0": "TLSv1", "1.1": "TLS 1.1", "1.2": "TLS 1.2", "1.3": "TLS 1.3"}
    return {
        "tls": {
            "sni": get("tls.client.server_name"),
            "version": names.get(version) if version else None,
            "subject": get("tls.server.subject"),
            "issuerdn": get("tls.server.issuer"),
            "serial": _colons(serial) if serial else None,
            "fingerprint": _colons(digest).lower() if digest else None,
            "notbefore": (get("tls.server.not_before") or "").partition(".")[0] or None,
            "notafter": (get("tls.server.not_after") or "").partition(".")[0] or None,
            "ja3": {"hash": get("tls.client.ja3")},
            "ja3s": {"hash": get("tls.server.ja3s")},
            "ja4": get("tls.client.ja4"),
            "client_alpns": get("tls.client.alpn"),
            "server_alpns": [get("tls.next_protocol")] if get("tls.next_protocol") else None,
        }
    }


def _colons(text: str) -> str:
    return ":".join(text[at : at + 2] for at in range(0, len(text), 2))


def _file(event: Event) -> dict[str, Any]:
    get = event.get
    state = event["soc.file.state"]
    return {
        "http": _http(event),
        "fileinfo": {
            "filename": get("file.path"),
            "size": get("file.size"),
            "md5": get("file.hash.md5"),
            "sha1": get("file.hash.sha1"),
            "sha256": get("file.hash.sha256"),
            "state": "CLOSED" if state in ("complete", "partial") else "TRUNCATED",
            "gaps": state == "gap",
        },
    }


def same(expected: Any, found: Any) -> bool:
    """Tell whether two values say the same: IPv6 addresses have many forms, numbers may be text."""
    if isinstance(expected, list) and isinstance(found, list):
        both = zip(expected, found, strict=False)
        return len(expected) == len(found) and all(same(e, f) for e, f in both)
    if expected == found or str(expected) == str(found):
        return True
    try:
        return ipaddress.ip_address(expected) == ipaddress.ip_address(found)
    except ValueError:
        return False
