"""Counting: by the values of a field, by time."""

import heapq
import sqlite3
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from functools import partial

from soc.errors import UsageError
from soc.model.event import Event
from soc.model.time import iso, parse_iso
from soc.store.base import Bucket, Histogram, Terms
from soc.store.sqlite import documents as d
from soc.store.sqlite.catalogue import MAX_MILLIS
from soc.store.sqlite.plan import Plan
from soc.store.sqlite.search import Part, visit
from soc.store.values import reader, searchable, text_of

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def terms(parts: Sequence[Part], plan: Plan, by: Terms) -> list[Bucket]:
    """Count matches by the values of a field."""
    if not searchable(by.field):
        raise UsageError(f"{by.field} is stored but not searchable", hint="count a parsed field")
    read = reader(by.field)
    counts: Counter[str] = Counter()

    def take(event: Event) -> None:
        found = read(event)
        if len(found) == 1:
            counts[text_of(found[0])] += 1
        elif found:
            counts.update({text_of(value) for value in found})

    for part in parts:
        visit(part, plan, take)
    best = heapq.nsmallest(by.size, counts.items(), key=lambda pair: (-pair[1], pair[0]))
    return [Bucket(key, count) for key, count in best]


def histogram(parts: Sequence[Part], plan: Plan, by: Histogram) -> list[Bucket]:
    """Count matches by time."""
    if by.seconds < 1:
        raise UsageError("a time bucket has at least one second", hint="3600 is an hour")
    width = timedelta(seconds=by.seconds)
    counts: Counter[int] = Counter()

    def take(event: Event) -> None:
        counts[(parse_iso(event["@timestamp"]) - _EPOCH) // width] += 1

    for part in parts:
        ask = partial(times, low=plan.low, high=plan.high, by=by)
        known = part.read(ask, None) if plan.whole_millis else None
        if known is None:
            visit(part, plan, take)
        else:
            counts += known
    return [Bucket(iso(_EPOCH + number * width), counts[number]) for number in sorted(counts)]


def times(
    connection: sqlite3.Connection, low: int, high: int, by: Histogram
) -> Counter[int] | None:
    """Count low <= `at` < high (milliseconds) without reading a document.

    None when the time of one cannot be told from its `at`: it has drifted or was clamped.
    """
    extent = d.extent(connection)
    if d.spill(connection) or (extent and (extent[0] == 0 or extent[1] >= MAX_MILLIS)):
        return None
    rows = connection.execute(
        "SELECT (at >> ?1) / ?2, count(*) FROM document WHERE at BETWEEN ?3 AND ?4 GROUP BY 1",
        (d.BITS, by.seconds * 1000, low << d.BITS, (high << d.BITS) - 1),
    )
    return Counter(dict(rows.fetchall()))
