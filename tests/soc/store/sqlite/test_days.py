"""A file a day: when a new one begins, many of them, what a millisecond and a document hold."""

import random
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from soc.store.base import Position, Retention
from soc.store.query import parse
from soc.store.sqlite import SqliteStore, documents
from soc.store.sqlite.tokens import MAX_TEXT, OVERFLOW, Tokens
from tests.soc.store.sqlite.kit import DAY, Make, days, everything


def test_a_new_day_begins_a_new_file(
    folder: Path, store: SqliteStore, noon: datetime, make: Make
) -> None:
    store.append([make(1)], now=noon.replace(hour=23, minute=59))
    store.append([make(2)], now=noon.replace(hour=0) + DAY)
    assert days(folder) == ["events-2026-11-22", "events-2026-11-23"]
    assert everything(store) == [make(1), make(2)]


def test_a_lagging_clock_appends_to_the_newest_day(
    folder: Path, store: SqliteStore, noon: datetime, make: Make
) -> None:
    store.append([make(1)], now=noon)
    cursor = store.tail(None).cursor
    store.append([make(2)], now=noon - 3 * DAY)
    assert days(folder) == ["events-2026-11-22"]
    assert store.tail(cursor).events == [make(2)]


def test_a_clock_years_ahead_drops_nothing(
    folder: Path, store: SqliteStore, noon: datetime, make: Make
) -> None:
    for day in range(3):
        store.append([make(day)], now=noon + day * DAY)
    assert store.retain(Retention(days=30), now=noon + 3650 * DAY) == []
    assert len(everything(store)) == 3
    store.append([make(40)], now=noon + 40 * DAY)
    assert len(store.retain(Retention(days=30), now=noon + 40 * DAY)) == 3


def test_positions_survive_a_crash_between_two_days(
    folder: Path, store: SqliteStore, noon: datetime, make: Make
) -> None:
    """The new day's file is there, its first commit never happened."""
    store.append([make(1)], now=noon, position=Position("f", {"n": 1}))
    store._appender._current("events", store._catalogue.days("events"), (noon + DAY).date())
    assert len(days(folder)) == 2
    assert store.position("f") == {"n": 1}
    store.append([make(2)], now=noon + DAY)
    store.retain(Retention(days=0), now=noon + DAY)
    assert store.position("f") == {"n": 1}


def test_a_millisecond_can_overflow(
    store: SqliteStore, noon: datetime, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With room for four documents a millisecond, time bounds and paging still hold."""
    monkeypatch.setattr(documents, "BITS", 2)
    events = [make(1, **{"event.sequence": n}) for n in range(30)]
    others = [make(1 + n / 1000) for n in range(1, 10)]
    store.append(events[:20] + others[:5], now=noon)
    store.append(others[5:] + events[20:], now=noon)
    at = noon + timedelta(seconds=1)
    page = store.search(parse("*"), since=at, until=at + timedelta(milliseconds=1), limit=100)
    assert len(page.events) == 30
    page = store.search(parse("event.dataset:test"), since=at + timedelta(milliseconds=1))
    assert sorted(map(str, page.events)) == sorted(map(str, others))


def test_a_document_with_too_much_text_is_still_found(
    store: SqliteStore, noon: datetime, make: Make
) -> None:
    rng = random.Random(1)
    text = " ".join(f"w{rng.randrange(10**9)}" for _ in range(MAX_TEXT // 5))
    event = make(1, message=text + " needle", **{"user.name": "lan"})
    assert Tokens().of(event) == OVERFLOW
    store.append([event, make(2)], now=noon)
    for query in ("needle", "user.name:lan", "need*", "w1 OR needle"):
        assert store.search(parse(query)).events == [event]
    assert store.search(parse("absent")).events == []


def test_many_days_are_searched_with_few_files_open(
    folder: Path, store: SqliteStore, noon: datetime, make: Make
) -> None:
    for day in range(40):
        store.append([make(day * 86400)], now=noon + day * DAY)
    assert len(store.search(parse("event.dataset:test"), limit=100).events) == 40
    assert len(store._days._open) <= 16
    assert len(everything(store)) == 40
