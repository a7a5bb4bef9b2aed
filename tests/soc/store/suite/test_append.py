"""The protocol's promises, the same for every store: append, tail, positions."""

from collections import Counter
from datetime import UTC, datetime
from typing import Any

import pytest

from soc.errors import StoreError, UsageError
from soc.model.time import iso
from soc.store.base import Position, Retention, Store
from soc.store.query import parse
from tests.soc.store.suite.kit import DAY, Make, drain, found, outcomes


def test_append_says_what_happened_to_each(store: Store, noon: datetime, make: Make) -> None:
    first, second = make(1), make(2)
    assert outcomes(store.append([first], now=noon)) == ["created"]
    verdicts = store.append([first, second, second], now=noon)
    assert outcomes(verdicts) == ["duplicate", "created", "duplicate"]
    assert [verdict.id for verdict in verdicts][:2] == [first["event.id"], second["event.id"]]
    assert drain(store)[0] == [first, second]


@pytest.mark.parametrize(
    ("field", "value", "reason"),
    [
        ("event.id", None, "event.id"),
        ("event.id", "", "event.id"),
        ("event.id", 7, "event.id"),
        ("event.id", "x" * 513, "event.id"),
        ("@timestamp", "yesterday", "@timestamp"),
        ("@timestamp", None, "@timestamp"),
        ("@timestamp", 5, "@timestamp"),
        ("@timestamp", "0001-01-01T00:00:00+14:00", "@timestamp"),
        ("user.name", "\ud800", "JSON"),
        ("rule.score", float("nan"), "JSON"),
        ("rule.score", [1.0, float("inf")], "JSON"),
        ("soc.reason", {"x": float("nan")}, "JSON"),
        ("event.original", {1, 2}, "JSON"),
        ("source.port", 1 << 70, "JSON"),
        ("user.name", datetime(2026, 1, 1, tzinfo=UTC), "JSON"),
    ],
)
def test_what_cannot_be_stored_costs_itself_only(
    store: Store, noon: datetime, make: Make, field: str, value: Any, reason: str
) -> None:
    verdicts = store.append([make(1), make(2, **{field: value}), make(3)], now=noon)
    assert outcomes(verdicts) == ["created", "rejected", "created"]
    assert reason in verdicts[1].reason
    assert len(drain(store)[0]) == 2


def test_deeply_nested_values_are_rejected(store: Store, noon: datetime, make: Make) -> None:
    deep: Any = "x"
    for _ in range(5000):
        deep = [deep]
    verdicts = store.append([make(1) | {"a.b": deep}, make(2)], now=noon)
    assert outcomes(verdicts) == ["rejected", "created"]


def test_documents_come_back_as_they_went_in(store: Store, noon: datetime, make: Make) -> None:
    event = make(
        1,
        **{
            "user.name": "Straße\x00\t\u202e",
            "dns.answers": [{"data": "x", "n": [1, 2.5, None, True]}],
            "source.port": (1 << 63) - 1,
            "winlog.event_data.A B": "",
            "file.size": 0.1,
        },
    )
    store.append([event], now=noon)
    assert store.get([event["event.id"]]) == [event]
    assert store.search(parse("user.name:strasse*")).events == [event]


def test_the_tail_is_complete_and_in_order(store: Store, noon: datetime, make: Make) -> None:
    assert store.tail(None).events == []
    events = [make(-n) for n in range(25)]
    empty = store.tail(None).cursor
    for start in range(0, 25, 5):
        store.append(events[start : start + 5], now=noon + start * DAY / 10)
    seen, cursor = drain(store, empty, limit=3)
    assert seen == events
    assert store.tail(cursor).cursor == cursor
    late = make(-99 * 86400)
    store.append([late], now=noon - 9 * DAY)
    assert drain(store, cursor)[0] == [late]


def test_streams_and_partitions_are_apart(store: Store, noon: datetime, make: Make) -> None:
    event = make(1)
    for partition in (0, 3):
        verdicts = store.append([event], now=noon, stream="matches", partition=partition)
        assert outcomes(verdicts) == ["created"]
    assert outcomes(store.append([event], now=noon)) == ["created"]
    assert drain(store, stream="matches", partition=3)[0] == [event]
    assert drain(store, stream="matches", partition=1)[0] == []
    assert len(found(store, "*")) == 1


def test_shards_have_tails_of_their_own(store: Store, noon: datetime, make: Make) -> None:
    assert store.shards() == []
    events = [make(n, **{"event.dataset": f"set{n % 3}"}) for n in range(60)]
    store.append(events[:30], now=noon)
    cursors: dict[str, str] = {}
    read: list[str] = []

    def drained(limit: int) -> None:
        shards = store.shards()
        while pieces := store.tails(cursors, shards, limit=limit):
            for piece in pieces:
                assert piece.shard in {one.name for one in shards}
                cursors[piece.shard] = piece.cursor
                read.extend(event["event.id"] for event in piece.events)
        assert all(store.behind(cursors[one.name], one) == 0 for one in shards)

    for one in store.shards():
        assert store.behind(None, one) > 0
    drained(limit=7)
    assert sorted(read) == sorted(event["event.id"] for event in events[:30])
    names = {one.name for one in store.shards()}
    store.append(events[30:], now=noon + DAY)  # another index, another file
    assert {one.name for one in store.shards()} == names
    assert sum(store.behind(cursors[one.name], one) for one in store.shards()) >= 30
    drained(limit=1000)
    assert Counter(read) == Counter(event["event.id"] for event in events)
    assert store.tails(cursors, store.shards()) == []


def test_partitions_are_shards(store: Store, noon: datetime, make: Make) -> None:
    for partition in (0, 5):
        store.append([make(partition)], now=noon, stream="matches", partition=partition)
    found = store.shards("matches")
    assert sorted(one.partition for one in found) == [0, 5]
    five = next(one for one in found if one.partition == 5)
    pieces = store.tails({}, [five])
    assert [event["event.id"] for piece in pieces for event in piece.events] == [
        make(5)["event.id"]
    ]
    assert store.shards() == []


def test_a_cursor_of_something_else_is_refused(store: Store) -> None:
    with pytest.raises(UsageError):
        store.tail("sideways")
    with pytest.raises(UsageError):
        store.search(parse("*"), after="sideways")


def test_positions_travel_with_the_events(store: Store, noon: datetime, make: Make) -> None:
    assert store.position("a.log") is None
    store.append([make(1)], now=noon, position=Position("a.log", {"offset": 10}))
    store.append([], now=noon, position=Position("b.log", {"offset": 5, "inode": [1, 2]}))
    store.append([make(2)], now=noon + DAY)
    store.append([], now=noon + 2 * DAY, position=Position("a.log", {"offset": 20}))
    store.retain(Retention(days=0), now=noon + 2 * DAY)
    assert store.position("a.log") == {"offset": 20}
    assert store.position("b.log") == {"offset": 5, "inode": [1, 2]}


def test_names_that_are_no_utf8(store: Store, noon: datetime, make: Make) -> None:
    name = "caf\udce9.log"
    store.append([make(1)], now=noon, position=Position(name, {"offset": 1}))
    store.append([make(2)], now=noon + DAY)
    assert store.position(name) == {"offset": 1}
    assert store.get([name, make(1)["event.id"]]) == [make(1)]
    assert store.get([name], collection="alerts") == []
    with pytest.raises(StoreError):
        store.workflow(name)


def test_an_import_repeated_days_later_is_a_duplicate(
    store: Store, noon: datetime, make: Make
) -> None:
    timed, timeless = make(1), make(2, **{"event.id": "000000000000-" + "ab" * 16})
    foreign = make(3, **{"event.id": "my-own-id"})
    store.append([timed, timeless, foreign], now=noon)
    for days in range(1, 5):
        store.append([make(days * 86400)], now=noon + days * DAY)
    again = [timed, timeless | {"@timestamp": iso(noon + 5 * DAY)}, foreign]
    assert outcomes(store.append(again, now=noon + 5 * DAY)) == ["duplicate"] * 3


def test_ids_differ_by_case(store: Store, noon: datetime, make: Make) -> None:
    low = make(1)["event.id"]
    events = [make(1, **{"event.id": one}) for one in (low, low.upper(), "X", "x")]
    assert outcomes(store.append(events, now=noon)) == ["created"] * 4
    assert len(store.get([low, low.upper(), "X", "x"])) == 4
    assert len(found(store, f"event.id:{low}")) == 2
