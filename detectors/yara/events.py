"""From the result of a scan to ECS events: one for each match, one for a file not judged."""

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any, Final

import orjson

from detectors.yara.scanner import Match, Result
from soc.model.event import ECS_VERSION, Event, event_id
from soc.model.time import iso
from soc.text import of_path

DATASET: Final = "yara"


@dataclass(frozen=True, slots=True)
class Origin:
    """Where files come from and when they were looked at.

    `fields` is what else is known of them, and wins over what the file system says: `host.name`
    of files of a host; `file.name`, addresses and `network.community_id` of files carved from
    traffic. `carrier` is the id of the event that brought a file, so that the same content that
    comes again is told again. `key` is the node's secret; without one the content itself is the
    key, as for every import by hand.
    """

    observer: str
    received: datetime
    fields: Mapping[str, Any] = field(default_factory=dict)
    key: bytes = b""
    carrier: str = ""


def events_of(result: Result, origin: Origin) -> Iterator[Event]:
    """Yield the events of a result. The same match in the same content has the same id again."""
    for match in result.matches:
        position = "\0".join((result.looked_at, match.rule.id, *match.member))
        yield (
            _envelope(result, origin, position, _original(result, match))
            | {
                "event.kind": "event",
                "event.category": ["file", "malware"],
                "event.type": ["info"],
                "message": f"{match.rule.info.title}: {_path(result)}",
            }
            | _of_rule(match)
            | _of_member(match)
        )
    for problem in result.problems:
        yield _envelope(result, origin, f"{result.looked_at}\0{problem}", problem) | {
            "event.kind": "pipeline_error",
            "error.message": problem,
            "message": f"not judged by all rules: {_path(result)}",
        }


def _envelope(result: Result, origin: Origin, position: str, original: str) -> Event:
    created = iso(origin.received)
    key = origin.key or sha256(result.looked_at.encode()).digest()
    source = "\0".join((origin.observer, origin.carrier, _path(result)))
    return {
        **_of_file(result),
        **origin.fields,
        "@timestamp": created,
        "ecs.version": ECS_VERSION,
        "event.created": created,
        "event.dataset": DATASET,
        "event.module": DATASET,
        "event.id": event_id(None, key, source, position, 0),
        "event.original": original,
        "observer.name": origin.observer or "local",
    }


def _of_file(result: Result) -> Event:
    path, status = _path(result), result.file.status
    fields: Event = {
        "file.path": path,
        "file.name": os.path.basename(path),
        "file.size": result.size,
        "file.mtime": iso(_moment(status.st_mtime)),
        "file.uid": str(status.st_uid),
    }
    fields |= {f"file.hash.{name}": digest for name, digest in result.digests.items()}
    if result.digests:
        fields["related.hash"] = sorted(result.digests.values())
    elif result.looked_at:
        fields["soc.truncated"] = True
    return fields


def _of_rule(match: Match) -> Event:
    info = match.rule.info
    fields: Event = {
        "rule.id": info.id,
        "rule.name": info.title,
        "rule.level": info.level,
        "rule.version": info.version,
        "rule.description": info.description,
        "rule.author": [info.author],
        "rule.reference": info.references[0] if info.references else "",
        "threat.technique.id": list(info.techniques),
        "threat.tactic.name": list(info.tactics),
        "soc.yara.rule": match.rule.name,
        "soc.yara.strings": _strings(match),
        "soc.yara.total": match.total,
    }
    return {name: value for name, value in fields.items() if value not in ("", [])}


def _of_member(match: Match) -> Event:
    if not match.member:
        return {}
    return {
        "soc.yara.member.name": list(match.member),
        "soc.yara.member.size": match.size,
        "soc.yara.member.sha256": match.sha256,
    }


def _strings(match: Match) -> list[dict[str, Any]]:
    return [
        {"identifier": s.identifier, "offset": s.offset, "length": s.length, "data": s.data}
        for s in match.strings
    ]


def _original(result: Result, match: Match) -> str:
    """Return the match as the line that a scanner would print."""
    document = {
        "path": _path(result),
        "member": match.member,
        "sha256": match.sha256 or result.looked_at,
        "rule": match.rule.name,
        "strings": _strings(match),
    }
    return orjson.dumps(document).decode()


def _path(result: Result) -> str:
    return of_path(result.file.path)


def _moment(seconds: float) -> datetime:
    try:
        return datetime.fromtimestamp(seconds, UTC)
    except (OverflowError, ValueError, OSError):  # a file may claim any time
        return datetime.fromtimestamp(0, UTC)
