"""Suricata eve.json: alerts, DNS, HTTP, TLS, flows, files, SSH, SMTP, anomalies.

https://docs.suricata.io/en/latest/output/eve/eve-json-format.html
What ECS has no place for is kept as text under `suricata.eve`, by its path in the record.
"""

from collections.abc import Iterable
from typing import Any, Final

from collectors.frame import Context
from collectors.parsers import _suricata_values as values
from collectors.parsers._common import LONG, as_text, json_object, leaves, put_target
from collectors.parsers._common import moment as moment_of
from collectors.parsing import Fields

DATASET = "suricata_eve"
EXAMPLE = (
    '{"timestamp":"2026-11-22T08:15:30.123456+0700","flow_id":1,"event_type":"alert",'
    '"src_ip":"203.0.113.9","src_port":40022,"dest_ip":"192.0.2.10","dest_port":80,"proto":"TCP",'
    '"alert":{"action":"allowed","gid":1,"signature_id":1000001,"rev":2,'
    '"signature":"portal probe","category":"Web Application Attack","severity":1}}'
)

# Path in the record -> field, and what its value becomes; None there leaves it under suricata.eve.
_MAP: Final[dict[str, tuple[str, values.Convert]]] = {
    "event_type": ("event.action", values.text),
    "src_ip": ("source.ip", values.ip),
    "src_port": ("source.port", values.whole),
    "dest_ip": ("destination.ip", values.ip),
    "dest_port": ("destination.port", values.whole),
    "ether.src_mac": ("source.mac", values.text),
    "ether.dest_mac": ("destination.mac", values.text),
    "proto": ("network.transport", values.lower),
    "app_proto": ("network.protocol", values.protocol),
    "community_id": ("network.community_id", values.text),
    "alert.signature_id": ("rule.id", values.text),
    "alert.signature": ("rule.name", values.text),
    "alert.category": ("rule.category", values.text),
    "alert.rev": ("rule.version", values.text),
    "alert.severity": ("event.severity", values.whole),
    "flow.start": ("event.start", values.date),
    "flow.end": ("event.end", values.date),
    "http.hostname": ("url.domain", values.text),
    "http.http_port": ("url.port", values.whole),
    "http.http_method": ("http.request.method", values.text),
    "http.http_refer": ("http.request.referrer", values.text),
    "http.http_user_agent": ("user_agent.original", values.text),
    "http.http_content_type": ("http.response.mime_type", values.text),
    "http.protocol": ("http.version", values.version),
    "http.version": ("http.version", values.version),
    "http.status": ("http.response.status_code", values.whole),
    "http.length": ("http.response.body.bytes", values.whole),
    "tls.sni": ("tls.client.server_name", values.text),
    "tls.subject": ("tls.server.subject", values.text),
    "tls.issuerdn": ("tls.server.issuer", values.text),
    "tls.fingerprint": ("tls.server.hash.sha1", values.digest),
    "tls.notbefore": ("tls.server.not_before", values.date),
    "tls.notafter": ("tls.server.not_after", values.date),
    "tls.version": ("tls.version", values.version),
    "tls.session_resumed": ("tls.resumed", values.boolean),
    "tls.ja3.hash": ("tls.client.ja3", values.text),
    "tls.ja3s.hash": ("tls.server.ja3s", values.text),
    "tls.ja4": ("tls.client.ja4", values.text),
    "quic.sni": ("tls.client.server_name", values.text),
    "quic.ja3.hash": ("tls.client.ja3", values.text),
    "quic.ja3s.hash": ("tls.server.ja3s", values.text),
    "quic.ja4": ("tls.client.ja4", values.text),
    "fileinfo.filename": ("file.path", values.text),
    "fileinfo.size": ("file.size", values.whole),
    "fileinfo.mimetype": ("file.mime_type", values.text),
    "fileinfo.md5": ("file.hash.md5", values.text),
    "fileinfo.sha1": ("file.hash.sha1", values.text),
    "fileinfo.sha256": ("file.hash.sha256", values.text),
    "ssh.client.software_version": ("ssh.client.software", values.text),
    "ssh.server.software_version": ("ssh.server.software", values.text),
    "ssh.client.proto_version": ("ssh.client.version", values.text),
    "ssh.server.proto_version": ("ssh.server.version", values.text),
    "ssh.client.hassh.hash": ("ssh.client.hassh", values.text),
    "ssh.server.hassh.hash": ("ssh.server.hassh", values.text),
    "smtp.mail_from": ("email.sender.address", values.text),
    "smtp.rcpt_to": ("email.to.address", values.texts),
    "email.from": ("email.from.address", values.texts),
    "email.to": ("email.to.address", values.texts),
    "email.cc": ("email.cc.address", values.texts),
    "email.subject": ("email.subject", values.text),
    "email.message_id": ("email.message_id", values.text),
    "dns.id": ("dns.id", values.text),
    "dns.type": ("dns.type", values.dns_type),
    "dns.rrname": ("dns.question.name", values.text),
    "dns.rrtype": ("dns.question.type", values.text),
    "dns.rcode": ("dns.response_code", values.text),
    "dns.opcode": ("dns.op_code", values.opcode),
    "anomaly.event": ("event.reason", values.text),
}
_DERIVED: Final = (
    "@timestamp",
    "destination.bytes",
    "destination.packets",
    "dns.answers",
    "dns.header_flags",
    "dns.resolved_ip",
    "event.category",
    "event.kind",
    "event.type",
    "file.name",
    "network.bytes",
    "network.packets",
    "network.type",
    "network.vlan.id",
    "source.bytes",
    "source.packets",
    "suricata.eve.*",
    "url.extension",
    "url.original",
    "url.path",
    "url.query",
    "url.scheme",
)
FIELDS = tuple(sorted({name for name, _ in _MAP.values()} | set(_DERIVED)))

# event_type -> event.category, event.type
_CATEGORIES: Final[dict[str, tuple[str, str]]] = {
    "alert": ("intrusion_detection", "info"),
    "anomaly": ("network", "info"),
    "dns": ("network", "protocol"),
    "fileinfo": ("file", "info"),
    "flow": ("network", "connection"),
    "http": ("web", "access"),
    "netflow": ("network", "connection"),
    "smtp": ("email", "info"),
}
_KINDS: Final = {"alert": "alert", "stats": "metric"}
_FLAGS: Final = ("aa", "tc", "rd", "ra", "ad", "cd")


def recognise(record: str) -> bool:
    """Return True for a JSON object with `event_type` and `timestamp`."""
    if '"event_type"' not in record:
        return False
    try:
        found = json_object(record)
    except ValueError:
        return False
    return isinstance(found.get("event_type"), str) and "timestamp" in found


def parse(record: str, context: Context) -> Iterable[Fields]:
    """Return a record of eve.json in ECS; raise ValueError for what is none."""
    eve = json_object(record)
    kind = eve.get("event_type")
    if not isinstance(kind, str):
        raise ValueError("a JSON object without event_type")
    category, type_ = _CATEGORIES.get(kind, ("network", "info"))
    fields: Fields = {
        "event.kind": _KINDS.get(kind, "event"),
        "event.category": [category],
        "event.type": [type_],
    }
    stamp = eve.pop("timestamp", None)
    if isinstance(stamp, str):
        fields["@timestamp"] = moment_of(stamp, context)
    _derive(fields, eve)
    _map(fields, eve)
    return (fields,)


def _map(fields: Fields, eve: dict[str, Any]) -> None:
    for path, value in leaves(eve):
        known = _MAP.get(path)
        if known is not None:
            fitting = known[1](value)
            if fitting is not None:
                fields[known[0]] = fitting
                continue
        fields[f"suricata.eve.{path}"] = as_text(value)


def _derive(fields: Fields, eve: dict[str, Any]) -> None:
    """Set what more than one value of the record makes, and take those values out."""
    for name, derive in (("dns", _dns), ("flow", _flow), ("http", _http), ("alert", _alert)):
        part = eve.get(name)
        if isinstance(part, dict):
            derive(fields, part, eve)
    source = values.ip(eve.get("src_ip"))
    if source:
        fields["network.type"] = "ipv6" if ":" in source else "ipv4"
    vlan = eve.get("vlan")
    if isinstance(vlan, list) and len(vlan) == 1 and (number := values.text(vlan[0])):
        fields["network.vlan.id"] = number
        del eve["vlan"]
    file = eve.get("fileinfo")
    if isinstance(file, dict) and isinstance(path := file.get("filename"), str):
        fields["file.name"] = path.replace("\\", "/").rpartition("/")[2] or None


def _alert(fields: Fields, alert: dict[str, Any], eve: dict[str, Any]) -> None:
    if alert.get("action") == "blocked":
        fields["event.type"] = ["denied"]


def _http(fields: Fields, http: dict[str, Any], eve: dict[str, Any]) -> None:
    target = http.get("url")
    if isinstance(target, str):
        put_target(fields, target)
        del http["url"]


def _flow(fields: Fields, flow: dict[str, Any], eve: dict[str, Any]) -> None:
    # The packet of an alert may run from the server to the client.
    sides = ["source", "destination"]
    if eve.get("direction") == "to_client":
        sides.reverse()
    for ours, theirs in (("bytes", "bytes"), ("packets", "pkts")):
        total = 0
        for side, way in zip(sides, ("toserver", "toclient"), strict=True):
            count = values.whole(flow.get(f"{theirs}_{way}"))
            if count is not None:
                del flow[f"{theirs}_{way}"]
                total += count
                fields[f"{side}.{ours}"] = count
        if total and total < LONG:
            fields[f"network.{ours}"] = total


def _dns(fields: Fields, dns: dict[str, Any], eve: dict[str, Any]) -> None:
    """Bring the three versions of DNS records to one form."""
    for name in ("queries", "query"):
        questions = _objects(dns.get(name))
        if questions:
            dns.setdefault("rrname", questions[0].get("rrname"))
            dns.setdefault("rrtype", questions[0].get("rrtype"))
            if len(questions) == 1:
                del dns[name]
            break
    answers = _objects(dns.pop("answers", None))
    if not answers and "rdata" in dns:  # version 1: a record per answer
        answers = [{k: dns.get(k) for k in ("rrname", "rrtype", "rdata", "ttl")}]
        del dns["rdata"]
        dns.pop("ttl", None)
    if answers:
        fields["dns.answers"] = [_answer(answer) for answer in answers]
    fields["dns.resolved_ip"] = _resolved(answers, dns.get("grouped")) or None
    fields["dns.header_flags"] = [f.upper() for f in _FLAGS if dns.pop(f, None) is True] or None


def _answer(answer: dict[str, Any]) -> dict[str, Any]:
    found = {
        "name": values.text(answer.get("rrname")),
        "type": values.text(answer.get("rrtype")),
        "data": as_text(answer.get("rdata")),
        "ttl": values.whole(answer.get("ttl")),
    }
    return {name: value for name, value in found.items() if value is not None}


def _resolved(answers: list[dict[str, Any]], grouped: Any) -> list[str]:  # noqa: ANN401
    found = [values.ip(a.get("rdata")) for a in answers if a.get("rrtype") in ("A", "AAAA")]
    if isinstance(grouped, dict):
        found += [values.ip(v) for kind in ("A", "AAAA") for v in _list(grouped.get(kind))]
    return list(dict.fromkeys(ip for ip in found if ip))


def _list(value: Any) -> list[Any]:  # noqa: ANN401
    return value if isinstance(value, list) else []


def _objects(value: Any) -> list[dict[str, Any]]:  # noqa: ANN401
    return [v for v in _list(value) if isinstance(v, dict)]
