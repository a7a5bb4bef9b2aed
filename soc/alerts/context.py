"""What an analyst needs to decide: why it fired, the raw events, what happened around it."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from soc.errors import UsageError
from soc.model.alert import Entry
from soc.model.event import Event
from soc.model.time import parse_iso
from soc.store.base import Store
from soc.store.query import Node, Or, parse, quote

AROUND: Final = timedelta(minutes=5)
MOST_NEIGHBOURS: Final = 50
MOST_LETTERS: Final = 256
"""Letters of an entity that is looked up; what is longer is a sender's joke, not a name."""
_FIELDS: Final = {
    "host": ("host.name",),
    "user": ("user.name",),
    "ip": ("source.ip", "destination.ip"),
}


@dataclass(frozen=True, slots=True)
class Context:
    """An alert with everything around it; neighbours are in time order, the alert's own events
    left out."""

    alert: Event
    events: Sequence[Event]
    neighbours: Sequence[Event]
    history: Sequence[Entry]
    seen_before: Sequence[Event]


def gather(store: Store, alert: Event) -> Context:
    """Return an alert's context: its events, events within 5 minutes on the same entities, its
    log, and how this rule on these entities was closed before (newest first, at most 10)."""
    own = set(alert["soc.event_ids"])
    return Context(
        alert=alert,
        events=store.get(alert["soc.event_ids"]),
        neighbours=[e for e in _neighbours(store, alert) if e["event.id"] not in own],
        history=store.workflow(alert["soc.alert.id"]),
        seen_before=_seen_before(store, alert),
    )


def _neighbours(store: Store, alert: Event) -> list[Event]:
    terms: list[Node] = []
    for kind, _, value in (entity.partition(":") for entity in _entities(alert)):
        for name in _FIELDS.get(kind, ()):
            with suppress(UsageError):  # an address that is none cannot be asked for
                terms.append(parse(f"{name}:{quote(value)}"))
    if not terms:
        return []
    moment = parse_iso(alert["@timestamp"])
    page = store.search(
        Or(tuple(terms)),
        since=moment - AROUND,
        until=moment + AROUND,
        limit=MOST_NEIGHBOURS,
    )
    return list(reversed(page.events))


def _seen_before(store: Store, alert: Event) -> list[Event]:
    entities = " OR ".join(map(quote, _entities(alert)))
    if not entities:
        return []
    query = parse(
        f"rule.id:{quote(alert['rule.id'])} AND soc.entities:({entities})"
        f" AND soc.alert.state:closed AND NOT soc.alert.id:{quote(alert['soc.alert.id'])}"
    )
    return list(store.search(query, collection="alerts", limit=10).events)


def _entities(alert: Event) -> list[str]:
    return [entity for entity in alert.get("soc.entities", []) if len(entity) <= MOST_LETTERS]
