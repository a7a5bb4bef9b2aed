"""The protocol's promises, the same for every store."""

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from soc.errors import Conflict, InputError, StoreError, UsageError
from soc.model.alert import Entry, alert_id, project
from soc.model.event import Event
from soc.model.time import iso
from soc.store.base import Checkpoint, Histogram, Position, Retention, Store, Terms
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


# append, tail, position


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


# search, get, aggregate


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


# alerts and workflow


def alert(make: Make, second: float = 0, **fields: Any) -> Event:
    event = make(second)
    signal = {"event.kind": "signal", "rule.name": "Brute force", "soc.alert.state": "new"}
    return event | signal | {"soc.alert.id": alert_id("r1", event["event.id"])} | fields


def entry(name: str, seq: int, action: Any = "ack", **fields: Any) -> Entry:
    at = "2026-11-22T13:00:00.000000Z"
    return Entry(name, seq, at, "lan", action, "new", fields.pop("state", "acknowledged"), **fields)


def test_an_alert_is_created_once(store: Store, make: Make) -> None:
    first = alert(make)
    assert outcomes(store.create_alerts([first, first])) == ["created", "duplicate"]
    verdicts = store.create_alerts([first | {"rule.name": "changed"}, {"rule.name": "no id"}])
    assert outcomes(verdicts) == ["duplicate", "rejected"]
    (stored,) = store.get([first["soc.alert.id"]], collection="alerts")
    assert stored == first | {"soc.alert.seq": 0}


def test_alerts_and_events_are_apart(store: Store, noon: datetime, make: Make) -> None:
    store.append([make(1)], now=noon)
    store.create_alerts([alert(make)])
    assert len(store.search(parse("*"), collection="alerts").events) == 1
    assert len(store.search(parse("*")).events) == 1
    assert store.info().events == store.info().alerts == 1


def test_the_projection_is_searched(store: Store, make: Make) -> None:
    alerts = [alert(make, n) for n in range(3)]
    store.create_alerts(alerts)
    name = alerts[1]["soc.alert.id"]
    log = [
        entry(name, 1),
        entry(
            name, 2, "close", state="closed", verdict="benign", reason="Planned work", owner="lan"
        ),
    ]
    for number in range(2):
        store.append_workflow(log[number], project(log[: number + 1]))

    def ids(query: str) -> list[str]:
        page = store.search(parse(query), collection="alerts")
        return [one["soc.alert.id"] for one in page.events]

    assert ids("soc.alert.state:CLOSED") == [name]
    assert ids('soc.alert.reason:plan* rule.name:"brute force"') == [name]
    assert ids("soc.alert.state:new OR soc.alert.owner:lan") == [
        one["soc.alert.id"] for one in reversed(alerts)
    ]
    assert ids("soc.alert.seq:2") == [name]
    assert ids("NOT soc.alert.state:new") == [name]
    assert ids("soc.alert.state:acknowledged") == []
    states = store.aggregate(parse("*"), Terms("soc.alert.state"), collection="alerts")
    assert [(b.key, b.count) for b in states] == [("new", 2), ("closed", 1)]
    assert store.workflow(name) == log


def test_a_second_writer_gets_a_conflict(store: Store, make: Make) -> None:
    one = alert(make)
    store.create_alerts([one])
    name = one["soc.alert.id"]
    store.append_workflow(entry(name, 1), {"soc.alert.state": "acknowledged", "soc.alert.seq": 1})
    for seq in (1, 3, 0):
        with pytest.raises(Conflict):
            store.append_workflow(entry(name, seq), {"soc.alert.state": "closed"})
    with pytest.raises(InputError):
        store.append_workflow(entry("none", 1), {})
    assert store.workflow("none") == []
    assert len(store.workflow(name)) == 1
    (stored,) = store.get([name], collection="alerts")
    assert stored["soc.alert.state"] == "acknowledged"


# leases and checkpoints


def test_a_lease_has_one_holder(store: Store, noon: datetime) -> None:
    second = timedelta(seconds=1)
    mine = store.acquire("shard-1", "a", seconds=10, now=noon)
    assert mine is not None
    assert mine.expires == noon + 10 * second
    assert store.acquire("shard-1", "b", seconds=10, now=noon + 9 * second) is None
    renewed = store.acquire("shard-1", "a", seconds=10, now=noon + 9 * second)
    assert renewed is not None
    assert renewed.epoch == mine.epoch
    taken = store.acquire("shard-1", "b", seconds=10, now=noon + 19 * second)
    assert taken is not None
    assert taken.epoch == mine.epoch + 1
    store.release(renewed)
    assert store.acquire("shard-1", "a", seconds=10, now=noon + 20 * second) is None
    store.release(taken)
    after = store.acquire("shard-1", "b", seconds=10, now=noon + 20 * second)
    assert after is not None
    assert after.epoch == taken.epoch + 1


def test_one_of_many_threads_gets_the_lease(store: Store, noon: datetime) -> None:
    got: list[Any] = []

    def take(holder: str) -> None:
        got.append(store.acquire("x", holder, seconds=10, now=noon))

    threads = [threading.Thread(target=take, args=(str(n),)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(one is not None for one in got) == 1


def test_checkpoints_are_compared_and_set(store: Store) -> None:
    assert store.checkpoint("rules") is None
    first = store.save_checkpoint(Checkpoint("rules", {"cursor": "x"}))
    assert first.version == 1
    with pytest.raises(Conflict):
        store.save_checkpoint(Checkpoint("rules", {"cursor": "y"}))
    second = store.save_checkpoint(Checkpoint("rules", {"n": [1]}, first.version, epoch=4))
    with pytest.raises(Conflict):
        store.save_checkpoint(Checkpoint("rules", {}, second.version, epoch=3))
    assert store.checkpoint("rules") == second
    assert second.payload == {"n": [1]}


# retention


def test_retention_by_age_keeps_the_newest(store: Store, noon: datetime, make: Make) -> None:
    for day in range(4):
        store.append([make(day)], now=noon + day * DAY)
    _, cursor = drain(store, limit=1)
    gone = store.retain(Retention(days=1), now=noon + 3 * DAY)
    assert len(gone) == 2
    assert len(found(store, "*")) == 2
    assert len(store.retain(Retention(days=0), now=noon + 99 * DAY)) == 1
    assert drain(store)[0] == [make(3)]
    assert drain(store, cursor)[0] == []
    store.append([make(9)], now=noon + 3 * DAY)
    assert drain(store, cursor)[0] == [make(9)]


def test_retention_by_size_drops_the_oldest(store: Store, noon: datetime, make: Make) -> None:
    for day in range(3):
        batch = [make(day * 1000 + n, **{"message": "x" * 500}) for n in range(50)]
        store.append(batch, now=noon + day * DAY)
    total = store.info().bytes
    assert store.retain(Retention(bytes=total), now=noon) == []
    assert len(store.retain(Retention(bytes=total - 1), now=noon)) == 1
    assert len(store.retain(Retention(bytes=0), now=noon)) == 1
    assert store.info().events == 50


def test_threads_share_a_store(store: Store, noon: datetime, make: Make) -> None:
    def work(number: int) -> None:
        for n in range(10):
            batch = [make(n, **{"event.sequence": number * 100 + n * 10 + i}) for i in range(5)]
            assert set(outcomes(store.append(batch, now=noon))) == {"created"}
            store.search(parse("event.kind:event"), limit=5)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(drain(store)[0]) == 200
