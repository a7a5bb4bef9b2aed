"""What the suite asks stores, and the alerts it makes."""

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

from soc.model.alert import Entry, alert_id
from soc.model.event import Event
from soc.store.base import Store
from soc.store.query import parse

Make = Callable[..., Event]
DAY = timedelta(days=1)


def outcomes(verdicts: list[Any]) -> list[str]:
    return [verdict.outcome for verdict in verdicts]


def found(store: Store, query: str, **options: Any) -> list[str]:
    page = store.search(parse(query), **options)
    return [event["event.id"] for event in page.events]


def walk(store: Store, query: str, limit: int, **options: Any) -> Iterator[Event]:
    after = None
    while True:
        page = store.search(parse(query), limit=limit, after=after, **options)
        assert len(page.events) <= limit
        yield from page.events
        if (after := page.next) is None:
            return


def drain(store: Store, cursor: str | None = None, **options: Any) -> tuple[list[Event], str]:
    events: list[Event] = []
    while batch := store.tail(cursor, **options):
        cursor = batch.cursor
        if not batch.events:
            return events, cursor
        events += batch.events
    raise AssertionError


def alert(make: Make, second: float = 0, **fields: Any) -> Event:
    event = make(second)
    signal = {"event.kind": "signal", "rule.name": "Brute force", "soc.alert.state": "new"}
    return event | signal | {"soc.alert.id": alert_id("r1", event["event.id"])} | fields


def entry(name: str, seq: int, action: Any = "ack", **fields: Any) -> Entry:
    at = "2026-11-22T13:00:00.000000Z"
    return Entry(name, seq, at, "lan", action, "new", fields.pop("state", "acknowledged"), **fields)
