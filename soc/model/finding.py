"""The finding: what a detector says about events, and why."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Final, Literal, NamedTuple

from soc.model.event import Event, flatten, nest

Level = Literal["informational", "low", "medium", "high", "critical"]
LEVELS: Final[tuple[Level, ...]] = ("informational", "low", "medium", "high", "critical")


class Reason(NamedTuple):
    """One node of the tree that says why a rule matched (or did not).

    `kind`: and, or, not, selection, field, keyword. `label`: the rule's own words (a condition,
    a selection's name, `CommandLine|contains`). Leaves carry the event's `field`, the `value` it
    had and the `pattern` that was wanted.
    """

    kind: str
    label: str
    matched: bool
    children: tuple["Reason", ...] = ()
    field: str = ""
    value: Any = None
    pattern: str = ""

    def as_dict(self) -> dict[str, Any]:
        """Return the tree as plain JSON values, empty parts left out."""
        document: dict[str, Any] = {
            "kind": self.kind,
            "label": self.label,
            "matched": self.matched,
        }
        if self.field:
            document |= {"field": self.field, "value": self.value}
        if self.pattern:
            document["pattern"] = self.pattern
        if self.children:
            document["children"] = [child.as_dict() for child in self.children]
        return document


@dataclass(frozen=True, slots=True)
class RuleInfo:
    """What a finding repeats of its rule; author, id and reference satisfy the rule's licence."""

    id: str
    title: str
    level: Level = "medium"
    version: str = ""
    description: str = ""
    author: str = ""
    references: tuple[str, ...] = ()
    techniques: tuple[str, ...] = ()
    tactics: tuple[str, ...] = ()
    false_positives: tuple[str, ...] = ()
    path: str = ""


@dataclass(frozen=True, slots=True)
class Finding:
    """A rule matched these events. `events` holds the one that completed the match last.

    `group`: of a correlation the values it is grouped by, as canonical text.
    """

    rule: RuleInfo
    events: Sequence[Event]
    reason: Reason
    dedup_key: str
    entities: tuple[str, ...] = field(default=())
    group: str = ""

    @property
    def event(self) -> Event:
        """Return the event that completed the match."""
        return self.events[-1]

    def as_event(self) -> Event:
        """Return the finding as a flat ECS document (`event.kind: signal`)."""
        return self._happened() | flatten(_about(self.rule))

    def as_document(self) -> dict[str, Any]:
        """Return the finding as nested ECS with `reason`, the form `soc detect` prints."""
        document = nest(self._happened()) | _about(self.rule)
        return document | {"reason": self.reason.as_dict()}

    def _happened(self) -> Event:
        """Return the fields that are not the rule's."""
        event = self.event
        document: Event = {
            "@timestamp": event["@timestamp"],
            "ecs.version": event["ecs.version"],
            "event.kind": "signal",
            "event.id": event["event.id"],
            "event.dataset": event.get("event.dataset"),
            "soc.event_ids": [e["event.id"] for e in self.events],
            "soc.entities": list(self.entities),
            "soc.dedup_key": self.dedup_key,
        }
        document |= {name: event[name] for name in CARRIED if name in event}
        return _filled(document)


def _filled(document: Event) -> Event:
    return {name: value for name, value in document.items() if value not in ("", None, [])}


@lru_cache(maxsize=4096)
def _about(rule: RuleInfo) -> dict[str, Any]:
    """Return what a finding says of its rule, nested; the same for all its findings."""
    return nest(
        _filled(
            {
                "rule.id": rule.id,
                "rule.name": rule.title,
                "rule.level": rule.level,
                "rule.version": rule.version,
                "rule.description": rule.description,
                "rule.author": [rule.author] if rule.author else [],
                "rule.reference": rule.references[0] if rule.references else "",
                "threat.technique.id": list(rule.techniques),
                "threat.tactic.name": list(rule.tactics),
            }
        )
    )


CARRIED: Final = (
    "log.file.path",
    "message",
    "host.name",
    "host.ip",
    "user.name",
    "user.domain",
    "source.ip",
    "source.port",
    "destination.ip",
    "destination.port",
    "process.name",
    "process.executable",
    "process.command_line",
    "process.parent.executable",
    "file.path",
    "file.name",
    "file.size",
    "file.hash.sha256",
    "soc.yara.member.name",
    "url.original",
    "dns.question.name",
    "event.code",
    "event.action",
    "event.outcome",
    "winlog.channel",
    "network.community_id",
    "organization.unit",
)
"""Fields of the event that a finding and an alert repeat, so that a list needs no second look."""


def entities_of(event: Event) -> tuple[str, ...]:
    """Return who and what an event is about, as `host:web01`, `user:lan`, `ip:10.0.0.7`."""
    kinds = (
        ("host", "host.name"),
        ("user", "user.name"),
        ("ip", "source.ip"),
        ("ip", "destination.ip"),
    )
    found = [f"{kind}:{event[name]}" for kind, name in kinds if event.get(name)]
    return tuple(dict.fromkeys(found))
