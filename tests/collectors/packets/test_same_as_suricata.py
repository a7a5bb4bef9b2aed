"""One network rule serves both sensors: our dissector and Suricata use the same words."""

import hashlib
from pathlib import Path
from uuid import NAMESPACE_DNS, uuid5

import orjson
import pytest

from collectors.frame import Context
from collectors.packets.reading import read_capture
from collectors.parsing import parser
from detectors.sigma.load import load
from detectors.sigma.pipeline import Pipelines
from detectors.sigma.reference import Reference
from soc.model.event import Event
from soc.model.time import iso, parse_iso
from tests.collectors.packets.build import CLIENT, SERVER, Talk, ethernet, ip, pcap, request, udp
from tests.collectors.packets.build import response as answer
from tests.collectors.packets.test_dns import answer as dns_answer
from tests.collectors.packets.test_dns import query
from tests.collectors.packets.test_tls import certificate, connection
from tests.data import ROOT

NOW = parse_iso("2026-11-23T00:00:00Z")
ADDRESSES = {"src_ip": CLIENT, "src_port": 40000, "dest_ip": SERVER}

RULES = {
    "dns": ("{category: dns}", "{query|endswith: '.duckdns.example'}"),
    "http": ("{category: proxy}", "{c-uri|contains: '/upload/', cs-method: POST, sc-status: 404}"),
    "webserver": ("{category: webserver}", "{cs-uri-query|contains: '/upload/'}"),
    "tls": ("{product: suricata, service: tls}", "{tls.sni: c2.example, tls.issuerdn: CN=Made*}"),
    "flow": ("{category: firewall}", "{dst_port: 4444, proto: tcp}"),
}


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory) -> Reference:
    folder = tmp_path_factory.mktemp("rules")
    for name, (source, selection) in RULES.items():
        lines = (
            f"title: {name}",
            f"id: {uuid5(NAMESPACE_DNS, name)}",
            f"logsource: {source}",
            "level: low",
            f"detection: {{selection: {selection}, condition: selection}}",
        )
        (folder / f"{name}.yml").write_text("\n".join(lines) + "\n")
    report = load([folder])
    assert not report.rejected, report.rejected
    return Reference(report.rules, Pipelines.load(sorted((ROOT / "rules/pipelines").glob("*.yml"))))


def ours(frames: list[tuple[int, bytes]], folder: Path, dataset: str) -> Event:
    path = folder / "x.pcap"
    path.write_bytes(pcap(frames))
    return next(e for e in read_capture(path, received=NOW) if e["event.dataset"] == dataset)


def theirs(kind: str, record: dict[str, object]) -> Event:
    eve = {
        "timestamp": "2026-11-22T08:15:30.123456+0700",
        "event_type": kind,
        **ADDRESSES,
        **record,
    }
    (fields,) = parser("suricata_eve").parse(orjson.dumps(eve).decode(), Context(NOW))
    stamp = iso(fields["@timestamp"])
    envelope = {"event.dataset": "suricata_eve", "event.id": "1", "ecs.version": "9.5.0"}
    return {**fields, **envelope, "@timestamp": stamp}


def pairs(folder: Path) -> dict[str, tuple[Event, Event]]:
    name = "c2.duckdns.example"
    there = ethernet(ip(CLIENT, SERVER, 17, udp(40000, 53, query(name))))
    back = ethernet(
        ip(SERVER, CLIENT, 17, udp(53, 40000, dns_answer((1, b"\x0a\0\0\x09"), text=name)))
    )
    http = (
        Talk().open().ask(request("/upload/x.php?a=1", method="POST", fields="User-Agent: u/1\r\n"))
    )
    http.answer(answer(b"<html>", status=404, fields="Content-Type: text/html\r\n")).close()
    http_record = {
        "http": {
            **{"hostname": "portal.example", "url": "/upload/x.php?a=1", "http_user_agent": "u/1"},
            **{"http_method": "POST", "protocol": "HTTP/1.1", "status": 404, "length": 6},
            "http_content_type": "text/html",
        }
    }
    issued = {"sni": "c2.example", "version": "TLS 1.2", "subject": "CN=c2.example"}
    issued |= {"issuerdn": "CN=Made Up CA", "notbefore": "2026-01-01T00:00:00"}
    issued |= {"notafter": "2051-01-01T00:00:00"}
    rr = {"rrname": name, "rrtype": "A", "ttl": 60, "rdata": "10.0.0.9"}
    dns = {"type": "answer", "id": 7, "rrname": name, "rrtype": "A", "rcode": "NOERROR"}
    dns |= {"rd": True, "ra": True, "opcode": 0, "answers": [rr]}
    turned = {"src_ip": SERVER, "src_port": 53, "dest_ip": CLIENT, "dest_port": 40000}
    odd = Talk(port=4444).open().ask(b"??????????").close()
    counts = {"pkts_toserver": 5, "pkts_toclient": 2, "bytes_toserver": 280, "bytes_toclient": 108}
    tcp, secure = {"proto": "TCP", "dest_port": 80}, {"proto": "TCP", "dest_port": 443}
    return {
        "dns": (
            ours([(1, there), (2, back)], folder, "dns"),
            theirs("dns", {"proto": "UDP", "dest_port": 53, "dns": dns | {"type": "query"}}),
        ),
        "dns answer": (
            [*read_capture(folder / "x.pcap", received=NOW)][1],
            theirs("dns", {"proto": "UDP", **turned, "dns": dns}),
        ),
        "http": (ours(http.frames, folder, "http"), theirs("http", tcp | http_record)),
        "tls": (ours(connection().frames, folder, "tls"), theirs("tls", secure | {"tls": issued})),
        "flow": (
            ours(odd.frames, folder, "flow"),
            theirs("flow", {"proto": "TCP", "dest_port": 4444, "flow": counts}),
        ),
    }


def test_what_both_say_is_the_same_in_the_same_fields(tmp_path: Path) -> None:
    for name, (mine, other) in pairs(tmp_path).items():
        skipped = {"@timestamp", "event.dataset", "event.id", "dns.answers"}
        if name == "dns":  # the record of Suricata here repeats the answer; a query has none
            skipped |= {"dns.resolved_ip", "dns.response_code", "dns.header_flags"}
        said = {k: v for k, v in other.items() if v is not None and k not in skipped}
        said = {k: v for k, v in said.items() if not k.startswith("suricata.eve.")}
        assert {k: mine.get(k) for k in said} == said, name


def test_rules_fire_on_both(reference: Reference, tmp_path: Path) -> None:
    for name, both in pairs(tmp_path).items():
        fired = [{f.rule.title for f in reference.evaluate(event)} for event in both]
        assert fired[0] == fired[1] != set(), name


def test_certificate_digest_is_written_alike(tmp_path: Path) -> None:
    mine = ours(connection().frames, tmp_path, "tls")
    der = certificate("c2.example", "Made Up CA")
    digest = hashlib.sha1(der, usedforsecurity=False).hexdigest()
    colons = ":".join(digest[at : at + 2] for at in range(0, 40, 2))
    other = theirs("tls", {"proto": "TCP", "tls": {"fingerprint": colons}})
    assert mine["tls.server.hash.sha1"] == other["tls.server.hash.sha1"]
