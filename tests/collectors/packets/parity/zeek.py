"""Zeek's baseline logs, value by value: conn, dns, http, ssl."""

import json
from collections import defaultdict, deque
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from collectors.packets.communityid import icmp_ports
from collectors.packets.reading import read_capture
from soc.errors import InputError
from soc.model.event import Event
from soc.model.time import parse_iso
from tests.collectors.packets.parity.verdict import Verdict

NOW = parse_iso("2026-11-23T00:00:00Z")
LOGS = {"conn": "flow", "dns": "dns", "http": "http", "ssl": "tls"}
_UNSET = ("-", "(empty)", "")
_SILENT = ("duration", "orig_bytes", "resp_bytes")
"""Where Zeek writes nothing, it does not say 0: one packet without an answer."""
_SERVICES = {"dns": "dns", "http": "http", "ssl": "tls", "-": None}

Row = dict[str, str]
Value = Callable[[Event], Any]


def verdicts(folder: Path) -> Iterator[Verdict]:
    """Return what became of every value of every row, one verdict each."""
    for entry in json.loads((folder / "map.json").read_text()):
        wanted = [log for log in entry["logs"] if _log_name(log) in LOGS]
        trace = folder / entry["trace"]
        if wanted and trace.is_file():
            events = _events(trace)
            for log in wanted:
                yield from _of_log(Path(log), rows(folder / log), events)


def _log_name(log: str) -> str:
    return Path(log).name.partition(".")[0]


def _events(trace: Path) -> list[Event]:
    found: list[Event] = []
    with suppress(InputError):  # a trace that is cut off: what came before counts
        found.extend(map(_with_ports, read_capture(trace, received=NOW)))
    return found


def _with_ports(event: Event) -> Event:
    """Return an event with what Zeek has for the ports of ICMP: the types of both directions."""
    if "soc.flow.icmp_type" not in event:
        return event
    kind, code = event["soc.flow.icmp_type"], event["soc.flow.icmp_code"]
    near, far, _ = icmp_ports(int(event["network.iana_number"]), kind, code)
    return event | {"source.port": near, "destination.port": far}


def rows(log: Path) -> list[Row]:
    """Return the rows of a log in Zeek's own format, or cut to some columns."""
    names: list[str] = []
    found: list[Row] = []
    for line in log.read_text(errors="replace").splitlines():
        if line.startswith("#fields\t"):
            names = line.split("\t")[1:]
        elif line and not line.startswith("#"):
            cells = line.split("\t")
            if names:
                found.append(dict(zip(names, cells, strict=False)))
            else:
                names = cells
    return found


def _of_log(log: Path, table: list[Row], events: list[Event]) -> Iterator[Verdict]:
    name = _log_name(log.name)
    place = f"{log.parent.name}/{log.name}"
    pool: dict[tuple[str, ...], deque[Event]] = defaultdict(deque)
    for record in _ordered(name, events):
        pool[_key(record, table)].append(record)
    for row in table:
        event = _take(pool[tuple(row.get(c, "") for c in _columns(table))], row, name)
        for column, value in row.items():
            compare = _VALUES[name].get(column)
            kind = f"{name}.{column}"
            silent = value == "-" and column in _SILENT
            if compare is None or silent or (column == "service" and value not in _SERVICES):
                yield Verdict(place, kind, "not expressible", f"`{kind}`")
            elif event is None:
                yield Verdict(place, kind, "unmet", f"{name}: no such record")
            elif _same(value, compare(event)):
                yield Verdict(place, kind, "met")
            else:
                yield Verdict(place, kind, "unmet", f"`{kind}` differs")


_IDS = {
    "id.orig_h": "source.ip",
    "id.orig_p": "source.port",
    "id.resp_h": "destination.ip",
    "id.resp_p": "destination.port",
}


def _columns(table: list[Row]) -> list[str]:
    """Return the columns by which rows are found; ICMP has its type and code for ports."""
    return [c for c in _IDS if table and c in table[0]]


def _key(event: Event, table: list[Row]) -> tuple[str, ...]:
    given = {
        "id.orig_h": event["source.ip"],
        "id.orig_p": event.get("source.port", 0),
        "id.resp_h": event["destination.ip"],
        "id.resp_p": event.get("destination.port", 0),
    }
    return tuple(str(given[c]) for c in _columns(table))


def _ordered(name: str, events: list[Event]) -> list[Event]:
    found = [e for e in events if e["event.dataset"] == LOGS[name]]
    if name == "dns":  # Zeek has one row for both: the client's
        found = [_from_client(e) for e in found]
    return found


def _from_client(event: Event) -> Event:
    if event["dns.type"] == "query":
        return event
    turned = {
        "source.ip": event["destination.ip"],
        "source.port": event["destination.port"],
        "destination.ip": event["source.ip"],
        "destination.port": event["source.port"],
    }
    return event | turned


def _take(pool: deque[Event], row: Row, name: str) -> Event | None:
    if name != "dns":
        return pool.popleft() if pool else None
    same = [e for e in pool if row.get("trans_id", "-") in ("-", e["dns.id"])]
    answers = [e for e in same if e["dns.type"] == "answer"]
    for event in (answers or same)[:1]:
        pool.remove(event)
        return event
    return None


def _field(name: str) -> Value:
    return lambda event: event.get(name)


def _count(name: str) -> Value:
    return lambda event: event.get(name, 0)


def _flag(letter: str) -> Value:
    return lambda event: "T" if letter in event["dns.header_flags"] else "F"


def _truth(name: str) -> Value:
    return lambda event: "T" if event.get(name) else "F"


def _seconds(event: Event) -> str | None:
    return f"{event['event.duration'] / 1e9:.6f}" if event["network.packets"] > 1 else None


def _payload(side: str) -> Value:
    return lambda event: event[f"soc.flow.{side}.payload_bytes"]


def _service(event: Event) -> str | None:
    found = event.get("network.protocol")
    return "ssl" if found == "tls" else found


def _ssl_version(event: Event) -> str | None:
    names = {"1.0": "TLSv10", "1.1": "TLSv11", "1.2": "TLSv12", "1.3": "TLSv13", "3.0": "SSLv3"}
    return names.get(event.get("tls.version", "")) if "tls.cipher" in event else None


def _answers(event: Event) -> str | None:
    return ",".join(a["data"] for a in event.get("dns.answers", [])) or None


def _ttls(event: Event) -> str | None:
    return ",".join(f"{a['ttl']:.6f}" for a in event.get("dns.answers", [])) or None


_TRANSPORT = {"ipv6-icmp": "icmp"}
_VALUES: dict[str, dict[str, Value]] = {
    "conn": {
        **{column: _field(name) for column, name in _IDS.items()},
        "proto": lambda e: _TRANSPORT.get(e["network.transport"], e["network.transport"]),
        "service": _service,
        "duration": _seconds,
        "orig_bytes": _payload("source"),
        "resp_bytes": _payload("destination"),
        "conn_state": _field("soc.flow.connection"),
        "missed_bytes": _count("soc.flow.missed_bytes"),
        "history": _field("soc.flow.history"),
        "orig_pkts": _field("source.packets"),
        "orig_ip_bytes": _field("soc.flow.source.ip_bytes"),
        "resp_pkts": _field("destination.packets"),
        "resp_ip_bytes": _field("soc.flow.destination.ip_bytes"),
        "ip_proto": _field("network.iana_number"),
        "vlan": _field("network.vlan.id"),
        "inner_vlan": _field("network.inner.vlan.id"),
    },
    "dns": {
        **{column: _field(name) for column, name in _IDS.items()},
        "proto": _field("network.transport"),
        "trans_id": _field("dns.id"),
        "query": _field("dns.question.name"),
        "qtype_name": _field("dns.question.type"),
        "rcode_name": _field("dns.response_code"),
        **{flag: _flag(flag) for flag in ("AA", "TC", "RD", "RA")},
        "answers": _answers,
        "TTLs": _ttls,
    },
    "http": {
        **{column: _field(name) for column, name in _IDS.items()},
        "method": _field("http.request.method"),
        "host": lambda e: e.get("http.request.headers.host"),
        "uri": _field("url.original"),
        "referrer": _field("http.request.referrer"),
        "version": _field("http.version"),
        "user_agent": _field("user_agent.original"),
        "request_body_len": _count("http.request.body.bytes"),
        "response_body_len": _count("http.response.body.bytes"),
        "status_code": _field("http.response.status_code"),
    },
    "ssl": {
        **{column: _field(name) for column, name in _IDS.items()},
        "version": _ssl_version,
        "cipher": _field("tls.cipher"),
        "curve": _field("tls.curve"),
        "server_name": _field("tls.client.server_name"),
        "resumed": _truth("tls.resumed"),
        "next_protocol": _field("tls.next_protocol"),
        "established": _truth("tls.established"),
    },
}


def _same(expected: str, found: Any) -> bool:
    if expected in _UNSET:
        return found in (None, 0, "")
    # Zeek shows names in lower case and targets unquoted.
    return unquote(expected).lower() == unquote(str(found)).lower()
