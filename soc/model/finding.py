"""The finding: what a detector says about events, and why."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final, Literal, NamedTuple

import orjson

from soc.model.event import Event, flatten, nest
from soc.model.happened import entities_of, filled, happened, written
from soc.model.reason import Reason, Told

Level = Literal["informational", "low", "medium", "high", "critical"]
LEVELS: Final[tuple[Level, ...]] = ("informational", "low", "medium", "high", "critical")


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


class Finding(NamedTuple):
    """A rule matched these events. `events` holds the one that completed the match last.

    `why`: the reason, or what it is made of. `also`: who and what it is about beside the event's
    own. `group`: of a correlation the values it is grouped by, as canonical text.
    """

    rule: RuleInfo
    events: Sequence[Event]
    why: Reason | Told
    also: tuple[str, ...] = ()
    group: str = ""

    @property
    def event(self) -> Event:
        """Return the event that completed the match."""
        return self.events[-1]

    @property
    def reason(self) -> Reason:
        """Return the tree that says why."""
        return self.why.tree() if isinstance(self.why, Told) else self.why

    @property
    def dedup_key(self) -> str:
        """Return what findings of the same thing share: the rule and its group or event."""
        return f"{self.rule.id}:{self.group or self.event.get('event.id', '')}"

    @property
    def entities(self) -> tuple[str, ...]:
        """Return who and what the finding is about, each once."""
        return tuple(dict.fromkeys((*entities_of(self.event), *self.also)))

    def as_event(self) -> Event:
        """Return the finding as a flat ECS document (`event.kind: signal`)."""
        return self._happened() | flatten(about(self.rule))

    def as_document(self) -> dict[str, Any]:
        """Return the finding as nested ECS with `reason`, the form `soc detect` prints."""
        document = nest(self._happened()) | about(self.rule)
        return document | {"reason": self.reason.as_dict()}

    def as_json(self) -> bytes:
        """Return `as_document()` as JSON; raise TypeError for values that JSON has no form for."""
        why = self.why
        if isinstance(why, Told) and not self.also and not self.group and len(self.events) == 1:
            head = written(self.events[0], self.rule.id)
            if head is not None:
                return b"".join(head + why.form.written(why.values))
        return orjson.dumps(self.as_document())

    def _happened(self) -> Event:
        """Return the fields that are not the rule's."""
        ids = [event["event.id"] for event in self.events]
        return happened(self.event, ids, self.entities, self.dedup_key)


@lru_cache(maxsize=4096)
def about(rule: RuleInfo) -> dict[str, Any]:
    """Return what a finding says of its rule, nested; the same for all its findings."""
    return nest(
        filled(
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
