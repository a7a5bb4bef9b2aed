"""The protocol's promises, the same for every store: search, get, aggregate."""

from collections import Counter
from datetime import datetime, timedelta

import pytest

from soc.model.time import iso
from soc.store.base import Histogram, Store, Terms
from soc.store.query import parse
from tests.soc.store.suite.kit import DAY, Make, found, walk


def test_search_is_newest_first_over_days_and_pages(
    store: Store, noon: datetime, make: Make
) -> None:
    seconds = [(n * 7919) % 300 * 1000 + n / 8 for n in range(300)]
    for start in range(0, 300, 60):
        batch = [make(second) for second in seconds[start : start + 60]]
        store.append(batch, now=noon + start / 60 * DAY)
    wanted = [make(second)["event.id"] for second in sorted(seconds, reverse=True)]
    for limit in (1, 7, 100, 300, 1000):
        assert [event["event.id"] for event in walk(store, "*", limit)] == wanted
    assert store.search(parse("*"), limit=300).next is None


def test_paging_is_not_disturbed_by_appends(store: Store, noon: datetime, make: Make) -> None:
    store.append([make(n) for n in range(20)], now=noon)
    page = store.search(parse("*"), limit=10)
    store.append([make(100), make(-100)], now=noon)
    rest = found(store, "*", after=page.next)
    assert rest == [make(n)["event.id"] for n in range(9, -1, -1)] + [make(-100)["event.id"]]


def test_equal_times_are_all_found(store: Store, noon: datetime, make: Make) -> None:
    events = [make(1, **{"event.sequence": n}) for n in range(50)]
    store.append(events[:25], now=noon)
    store.append(events[25:], now=noon + DAY)
    seen = Counter(event["event.sequence"] for event in walk(store, "*", 7))
    assert seen == Counter(range(50))


def test_since_is_included_until_is_not(store: Store, noon: datetime, make: Make) -> None:
    micro = timedelta(microseconds=1)
    events = [make(second) for second in (0, 0.000001, 0.0005, 1, 2)]
    store.append(events, now=noon)
    ids = [event["event.id"] for event in events]
    assert found(store, "*", since=noon + micro, until=noon + timedelta(seconds=2)) == ids[3:0:-1]
    assert found(store, "*", until=noon + micro) == ids[:1]
    assert found(store, "event.kind:event", since=noon + timedelta(seconds=2)) == ids[4:]
    buckets = store.aggregate(parse("*"), Histogram(60), since=noon + micro)
    assert [bucket.count for bucket in buckets] == [4]


@pytest.mark.parametrize(
    ("stamp", "query"),
    [
        ("0900-01-01T00:00:00.000000Z", "@timestamp:0900"),
        ("9999-12-31T23:59:59.999999Z", "@timestamp:>=9999-01"),
    ],
)
def test_absurd_times_are_stored_and_found(
    store: Store, noon: datetime, make: Make, stamp: str, query: str
) -> None:
    event = make(1, **{"@timestamp": stamp})
    store.append([event, make(2)], now=noon)
    assert event in store.search(parse("*")).events
    assert store.search(parse(query)).events == [event]
    assert sum(bucket.count for bucket in store.aggregate(parse("*"), Histogram(3600))) == 2


@pytest.mark.parametrize(
    "query",
    [
        "source.ip:(" + " OR ".join(f"10.0.{n >> 8}.{n & 255}" for n in range(1400)) + ")",
        " ".join(f"w{n}" for n in range(300)),
        " OR ".join(f"(w{n} w{n + 1})" for n in range(300)),
        "(" * 30 + "w1" + " OR x)" * 30,
        " OR ".join(f"w{n}*" for n in range(300)),
    ],
)
def test_wide_queries_are_answered(store: Store, noon: datetime, make: Make, query: str) -> None:
    text = " ".join(f"w{n}" for n in range(400))
    store.append([make(1, message=text, **{"source.ip": "10.0.5.9"}), make(2)], now=noon)
    assert found(store, query) == [make(1, message=text, **{"source.ip": "10.0.5.9"})["event.id"]]


def test_get_keeps_the_order_asked_for(store: Store, noon: datetime, make: Make) -> None:
    events = [make(n) for n in range(4)]
    store.append(events[:2], now=noon)
    store.append(events[2:], now=noon + DAY)
    ids = [event["event.id"] for event in events]
    assert store.get([ids[3], "none", ids[0], ids[2]]) == [events[3], events[0], events[2]]
    assert store.get([]) == []


def test_terms_count_values(store: Store, noon: datetime, make: Make) -> None:
    names = ["lan", "Lan", "lan", "minh", "hoa", "minh"]
    store.append([make(n, **{"user.name": name}) for n, name in enumerate(names)], now=noon)
    store.append([make(9, **{"user.name": ["hoa", "x", "x"], "source.port": 22})], now=noon)
    buckets = store.aggregate(parse("*"), Terms("user.name", 4))
    assert [(b.key, b.count) for b in buckets] == [("hoa", 2), ("lan", 2), ("minh", 2), ("Lan", 1)]
    assert [b.key for b in store.aggregate(parse("user.name:x"), Terms("source.port"))] == ["22"]
    assert store.aggregate(parse("*"), Terms("no.field")) == []


def test_histograms_count_times(store: Store, noon: datetime, make: Make) -> None:
    store.append([make(n) for n in (0, 59, 60, 3599, 7200)], now=noon)
    wanted = [(iso(noon), 4), (iso(noon + timedelta(hours=2)), 1)]
    hour = Histogram(3600)
    assert [(b.key, b.count) for b in store.aggregate(parse("*"), hour)] == wanted
    assert [(b.key, b.count) for b in store.aggregate(parse("event.kind:event"), hour)] == wanted
    bounded = store.aggregate(parse("*"), hour, since=noon, until=noon + timedelta(hours=1))
    assert [(b.key, b.count) for b in bounded] == wanted[:1]
