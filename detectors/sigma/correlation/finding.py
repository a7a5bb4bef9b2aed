"""The finding of a correlation: the group, what was counted, and the events it rests on."""

from collections.abc import Iterator
from typing import Final

from detectors.sigma.correlation.state import Result
from soc.model.finding import Finding
from soc.model.reason import Reason

MAX_EVENTS: Final = 99
"""Events that a finding names beside the one that completed it."""
MAX_UNDER: Final = 49
"""Events that an inner correlation hands on."""
MAX_NAMED: Final = 5


def finding(result: Result) -> Finding:
    """Return the finding of a group whose condition became true."""
    one, match = result.one, result.match
    return Finding(
        rule=one.info,
        events=[*({"event.id": identifier} for identifier in others(result)), match.event],
        why=Reason("and", one.label, True, tuple(_reasons(result))),
        also=tuple(dict.fromkeys(name for entry in result.entries for name in entry.about)),
        group=result.key,
    )


def others(result: Result, most: int = MAX_EVENTS) -> list[str]:
    """Return the newest events that contributed beside the completing one, by their ids."""
    found = (name for e in result.entries for name in (*e.under, event_id(e.id)))
    completing = result.match.event.get("event.id")
    return [name for name in dict.fromkeys(found) if name != completing][-most:]


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
            under = len(set().union(*(entry.under for entry in mine)))
            rests = f" (over {under + len(mine)} events)" if under else ""
            yield Reason("selection", f"{title}: {len(mine)}{rests}", True, named)
