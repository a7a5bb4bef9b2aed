"""The finding of a correlation: the group, what was counted, and the events it rests on."""

from collections.abc import Iterator, Sequence
from typing import Final

from detectors.sigma.correlation.state import Result
from detectors.sigma.correlation.tally import Entry
from soc.model.event import Event
from soc.model.finding import Finding, Reason, entities_of

MAX_EVENTS: Final = 100
"""Events that a finding names: the one that completed it and the newest before it."""
MAX_NAMED: Final = 5


def finding(result: Result) -> Finding:
    """Return the finding of a group whose condition became true."""
    one, match = result.one, result.match
    events = list(_events(result.entries[-MAX_EVENTS:], match.event))
    about = [*entities_of(match.event), *(name for e in result.entries for name in e.about)]
    return Finding(
        rule=one.info,
        events=events,
        reason=Reason("and", one.label, True, tuple(_reasons(result))),
        dedup_key=f"{one.id}:{result.key}",
        entities=tuple(dict.fromkeys(about)),
        group=result.key,
    )


def _events(entries: Sequence[Entry], completing: Event) -> Iterator[Event]:
    """Yield the events that contributed by their ids, the completing one whole and last."""
    last = completing.get("event.id")
    for identifier in dict.fromkeys(event_id(entry.id) for entry in entries):
        if identifier != last:
            yield {"event.id": identifier}
    yield completing


def event_id(identifier: str) -> str:
    """Return the event of a match's id; that of an inner correlation ends with its event's."""
    return identifier.rpartition("\n")[2]


def _reasons(result: Result) -> Iterator[Reason]:
    one = result.one
    for name, value in zip(one.group_by, result.values, strict=True):
        yield Reason("field", f"group-by {name}", True, field=name, value=value)
    what = " + ".join(one.fields) or ("rules" if one.temporal else "events")
    yield Reason(
        "field", one.kind, True, field=what, value=result.shown, pattern=one.condition.label
    )
    for position, title in enumerate(one.titles):
        mine = [entry for entry in result.entries if entry.rule == position]
        if mine:
            named = tuple(
                Reason("field", "event", True, field="event.id", value=event_id(entry.id))
                for entry in mine[-MAX_NAMED:]
            )
            yield Reason("selection", f"{title}: {len(mine)}", True, named)
