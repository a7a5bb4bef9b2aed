"""Counting: by the values of a field, by time."""

import heapq
import sqlite3
from collections import Counter
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

from soc.errors import UsageError
from soc.model.event import Event
from soc.model.time import iso, parse_iso
from soc.store.base import Bucket, Histogram, Terms
from soc.store.sqlite import documents as d
from soc.store.values import reader, searchable, text_of

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def terms(events: Iterable[Event], by: Terms) -> list[Bucket]:
    """Count events by the values of a field."""
    if not searchable(by.field):
        raise UsageError(f"{by.field} is stored but not searchable", hint="count a parsed field")
    read = reader(by.field)
    counts: Counter[str] = Counter()
    for event in events:
        found = read(event)
        if len(found) == 1:
            counts[text_of(found[0])] += 1
        elif found:
            counts.update({text_of(value) for value in found})
    best = heapq.nsmallest(by.size, counts.items(), key=lambda pair: (-pair[1], pair[0]))
    return [Bucket(key, count) for key, count in best]


def histogram(events: Iterable[Event], by: Histogram) -> Counter[int]:
    """Count events by the number of their time bucket."""
    counts: Counter[int] = Counter()
    for event in events:
        moment = parse_iso(event["@timestamp"])
        counts[(moment - _EPOCH) // timedelta(seconds=by.seconds)] += 1
    return counts


def buckets(counts: Counter[int], by: Histogram) -> list[Bucket]:
    """Return counts by number of bucket, oldest first."""
    width = timedelta(seconds=by.seconds)
    return [Bucket(iso(_EPOCH + number * width), counts[number]) for number in sorted(counts)]


def times(
    connection: sqlite3.Connection, low: int, high: int, by: Histogram
) -> Counter[int] | None:
    """Count low <= `at` < high (milliseconds) without a document; None when one has drifted."""
    if d.spill(connection):
        return None
    rows = connection.execute(
        "SELECT (at >> ?1) / ?2, count(*) FROM document WHERE at BETWEEN ?3 AND ?4 GROUP BY 1",
        (d.BITS, by.seconds * 1000, low << d.BITS, (high << d.BITS) - 1),
    )
    return Counter(dict(rows.fetchall()))
