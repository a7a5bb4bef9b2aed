"""The checks of suricata-verify on flow, dns, http, tls and fileinfo records."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from collectors.packets.reading import read_capture
from collectors.packets.record import swapped
from soc.errors import InputError
from soc.model.time import parse_iso
from tests.collectors.packets.parity.eve import IGNORED, eve, same
from tests.collectors.packets.parity.verdict import Verdict

KINDS = ("flow", "dns", "http", "tls", "fileinfo")
VERSION = (8, 0, 6)
NOW = parse_iso("2026-11-23T00:00:00Z")

_KNOWN = re.compile(
    r"event_type|(src|dest)_(ip|port)|proto|community_id|app_proto|vlan(\[\d\])?"
    r"|ether\.(src|dest)_macs?(\[\d\])?"
    r"|flow\.((bytes|pkts)_to(server|client)|start|end|age|state|reason)"
    r"|icmp_(type|code)|tcp\.(tcp_flags(_ts|_tc)?|fin|syn|rst|psh|ack)"
    r"|dns\.(type|id|opcode|rcode|qr|flags|aa|tc|rd|ra|rrname|rrtype)"
    r"|dns\.(queries|answers|authorities)\[\d+\]\.(rrname|rrtype|rdata|ttl)"
    r"|dns\.grouped\.\w+\[\d+\]"
    r"|http\.(hostname|url|http_(user_agent|content_type|refer|method)|protocol|status|length"
    r"|redirect)"
    r"|tls\.(sni|version|subject|issuerdn|serial|fingerprint|notbefore|notafter|ja4"
    r"|(client|server)_alpns(\[\d+\])?|ja3s?\.hash)"
    r"|fileinfo\.(filename|size|md5|sha1|sha256|state|gaps)"
)
_SERVICES = {"dns", "http", "tls", "failed"}
_CONFIGURED = (
    "dns-eve-type-filtering",
    "dns/dns-udp-eve-log-query",
    "dns/v2/dns-udp-eve-log-query",
    "cond-log-dns-dig",
    "output-multi-eve",
)
_FORCED = ("simulate-packet", "simulate-applayer", "simulate-flow", "memcap", "bypass", "drop")
_SEED = re.compile(r"^\s*community-id-seed:\s*[1-9]", re.M)
_DNS_TYPES = {"query": "request", "answer": "response"}


def verdicts(folder: Path) -> Iterator[Verdict]:
    """Return what became of every check of the suite."""
    for place in sorted((folder / "tests").rglob("test.yaml")):
        test = yaml.safe_load(place.read_text())
        checks = [c["filter"] for c in test.get("checks") or [] if "filter" in c]
        wanted = [c for c in checks if (c.get("match") or {}).get("event_type") in KINDS]
        if wanted and _applies(test.get("requires")):
            name = str(place.parent.relative_to(folder / "tests"))
            yield from _of_test(name, place.parent, test, wanted)


def _of_test(
    name: str, folder: Path, test: dict[str, Any], checks: list[dict[str, Any]]
) -> Iterator[Verdict]:
    records: list[dict[str, Any]] | None = None
    for check in checks:
        match = check["match"]
        kind = match["event_type"]
        if not _applies(check.get("requires")):
            continue
        why = _inexpressible(match) or _elsewhere(name, folder, test, match)
        if why:
            yield Verdict(name, kind, "not expressible", why)
            continue
        if records is None:
            records = _records(folder, test)
        keys = {k: v for k, v in match.items() if k not in IGNORED}
        if "dns.type" in keys:  # version 2 of the records has other words
            keys["dns.type"] = _DNS_TYPES.get(keys["dns.type"], keys["dns.type"])
        count = sum(all(_has(record, k, v) for k, v in keys.items()) for record in records)
        if count == check.get("count", 1):
            yield Verdict(name, kind, "met")
        else:
            reason = _why(records, keys, kind, count, check.get("count", 1))
            yield Verdict(name, kind, "unmet", reason)


def _applies(requires: Any) -> bool:
    if not isinstance(requires, dict):
        return True
    low, high = requires.get("min-version"), requires.get("lt-version")
    fits = (low is None or _version(low) <= VERSION) and (high is None or _version(high) > VERSION)
    return fits and requires.get("pcap", True) is not False


def _version(text: Any) -> tuple[int, ...]:
    numbers = [int(n) for n in re.findall(r"\d+", str(text))][:3]
    return tuple(numbers + [0] * (3 - len(numbers)))


def _inexpressible(match: dict[str, Any]) -> str:
    unknown = [k for k in match if k not in IGNORED and not _KNOWN.fullmatch(k)]
    if unknown:
        key = unknown[0].partition("[")[0]
        return f"`{key}` is nothing that our events hold"
    service = match.get("app_proto")
    if service is not None and service not in _SERVICES:
        return f"`app_proto: {service}` is not dissected yet"
    return ""


def _records(folder: Path, test: dict[str, Any]) -> list[dict[str, Any]]:
    capture = _capture(folder, test)
    found: list[dict[str, Any]] = []
    old = str((test.get("env") or {}).get("SURICATA_EVE_DNS_VERSION", 3)) == "2"
    try:
        for event in read_capture(capture, received=NOW):
            # Version 2 names the flow's client as the source of an answer.
            turned = old and event.get("dns.type") == "answer"
            found.append(eve(swapped(event) if turned else event))
    except InputError:  # a capture that is cut off: what came before counts
        pass
    return found


def _capture(folder: Path, test: dict[str, Any]) -> Path:
    given = test.get("pcap")
    if isinstance(given, str):
        return (folder / given).resolve()
    return next(iter(sorted(folder.glob("*.pcap*"))), folder / "input.pcap")


def _elsewhere(name: str, folder: Path, test: dict[str, Any], match: dict[str, Any]) -> str:
    """Return why the test does not ask about what is on the wire, "" when it does."""
    if not _capture(folder, test).is_file():
        return "the capture is in the other half of the suite"
    if name.startswith(_CONFIGURED):
        return "Suricata is told to leave records out"
    given = " ".join(map(str, test.get("args") or []))
    if any(mark in given for mark in _FORCED):
        return "Suricata is told to drop, to bypass or to run out of memory"
    settings = folder / "suricata.yaml"
    if "community_id" in match and settings.is_file() and _SEED.search(settings.read_text()):
        return "another seed of the community id"
    return ""


_PART = re.compile(r"([^.\[\]]+)|\[(\d+)\]")


def _has(record: dict[str, Any], path: str, expected: Any) -> bool:
    node: Any = record
    for name, index in _PART.findall(path):
        if index:
            if not isinstance(node, list) or int(index) >= len(node):
                return False
            node = node[int(index)]
        elif isinstance(node, dict) and name in node:
            node = node[name]
        else:
            return False
    return same(expected, node)


def _why(
    records: list[dict[str, Any]], keys: dict[str, Any], kind: str, count: int, wanted: int
) -> str:
    """Return the one key that keeps the check from being met, or the two counts."""
    if count > wanted:
        return f"{kind}: more records than expected"
    if not any(record["event_type"] == kind for record in records):
        return f"{kind}: no record at all"
    for key in keys:
        rest = {k: v for k, v in keys.items() if k != key}
        if sum(all(_has(r, k, v) for k, v in rest.items()) for r in records) == wanted:
            return f"`{key}` differs"
    return f"{kind}: several keys differ, or fewer records"
