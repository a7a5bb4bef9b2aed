"""What goes wrong in a city, on the real server: hostile records, conflicts, rollovers, death."""

import json
import random
import tempfile
import threading
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from soc.alerts.triage import Decision, act, decide
from soc.errors import Refused, StoreError
from soc.model.event import Event, event_id
from soc.model.time import iso
from soc.store.elastic import ElasticStore
from soc.store.elastic.bulk import Bulk, Item
from soc.store.elastic.fields import SAFE_KEYWORD
from soc.store.elastic.wire import encode
from soc.store.elastic.work import write
from soc.store.query import parse
from tests.elastic.cluster import Cluster, of_node, with_init
from tests.elastic.server import installed, single

pytestmark = [pytest.mark.elastic, pytest.mark.slow]
NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)


def an_event(number: int, /, **fields: Any) -> Event:
    moment = NOON + timedelta(milliseconds=number)
    identity = event_id(moment, b"key", "", str(number), 0)
    known = {"@timestamp": iso(moment), "event.id": identity, "event.dataset": "test"}
    return known | {"event.sequence": number} | fields


def drained(store: ElasticStore, cursor: str | None = None) -> list[Event]:
    found: list[Event] = []
    while (batch := store.tail(cursor, limit=2000)).events:
        found += batch.events
        cursor = batch.cursor
    return found


def test_a_decision_that_was_cut_short_shows_after_the_next_try(
    store: ElasticStore, place: str
) -> None:
    found = {"@timestamp": iso(NOON), "soc.alert.id": f"019aa0000000-{place}", "rule.id": "r"}
    store.create_alerts([found])
    name, closing = found["soc.alert.id"], Decision("close", "lan", "benign", "the backup")
    entry = decide([], name, closing, NOON)
    line = {"entry": json.dumps(entry.as_dict())}
    # The log has it, then the network or the program was gone: the alert does not show it.
    assert write(store._client, store._names.state("workflow"), entry.id, line, None)
    assert store.get([name], collection="alerts")[0]["soc.alert.seq"] == 0
    with pytest.raises(Refused, match="closed"):
        act(store, name, closing, NOON)
    (alert,) = store.get([name], collection="alerts")
    assert (alert["soc.alert.state"], alert["soc.alert.verdict"]) == ("closed", "benign")
    assert len(store.workflow(name)) == 1


def ids(store: ElasticStore, query: str) -> list[str]:
    return [one["event.id"] for one in store.search(parse(query)).events]


def test_keys_of_hostile_records_change_no_mapping(
    cluster: Cluster, store: ElasticStore, place: str
) -> None:
    def fields() -> str:
        return str(cluster.ask("GET", f"/logs-soc.test-{place}/_mapping"))

    store.append([an_event(1)], now=NOON)
    before = fields()
    many = {f"winlog.event_data.Hostile{n}": "x" for n in range(1_001)}
    odd = {"winlog.event_data.CommandLine": "\u0390" * 12_000, "winlog.event_data.Image": [7]}
    verdicts = store.append([an_event(2, **many, **odd), an_event(3, **odd)], now=NOON)
    assert {one.outcome for one in verdicts} == {"created"}
    assert fields() == before
    assert drained(store)[1:] == [an_event(2, **many, **odd), an_event(3, **odd)]


def test_no_text_of_a_named_field_makes_the_server_refuse_what_others_write(
    cluster: Cluster, place: str
) -> None:
    swelling = {"winlog": {"event_data": {"ScriptBlockText": "\u0390" * SAFE_KEYWORD}}}
    longer = {"winlog": {"event_data": {"ScriptBlockText": "\u0390" * (SAFE_KEYWORD + 1)}}}
    for body in (swelling, longer):
        body |= {"@timestamp": iso(NOON)}
        assert cluster.ask("POST", f"/logs-soc.beat-{place}/_doc", body)["result"] == "created"


def test_a_thousand_fields_and_a_long_value_are_stored(
    cluster: Cluster, store: ElasticStore, place: str
) -> None:
    many = {f"vendor.field{n}": f"value {n}" for n in range(2_001)}
    event = an_event(1, **many, **{"process.command_line": "powershell " + "A" * 40_000})
    assert store.append([event, an_event(2)], now=NOON)[0].outcome == "created"
    assert drained(store)[0] == event
    assert ids(store, "vendor.field7:value*") == [event["event.id"]]
    assert ids(store, "vendor.field2000:value*") == [event["event.id"]]
    assert ids(store, "process.command_line:powershell*") == [event["event.id"]]
    assert ids(store, "powershell") == [event["event.id"]]
    found = cluster.ask("GET", f"/logs-soc.test-{place}/_search?q=soc.index.excess:>0")
    (hit,) = found["hits"]["hits"]
    assert hit["_source"]["soc.index"]["excess"] > 0
    assert hit["_ignored"] == ["process.command_line"]
    mapping = cluster.ask("GET", f"/logs-soc.test-{place}/_mapping")
    assert "field7" not in json.dumps(mapping)


def test_a_command_line_of_32_kb_is_found_by_its_end_in_any_case(store: ElasticStore) -> None:
    event = an_event(1, **{"process.command_line": "cmd /c " + "x" * 32_000 + " Mimikatz"})
    store.append([event], now=NOON)
    assert ids(store, "process.command_line:*MIMIKATZ") == [event["event.id"]]


def test_a_hostile_record_costs_itself_only(store: ElasticStore) -> None:
    events = [
        an_event(1),
        an_event(2, **{"user.name": "\ud800"}),
        an_event(3, **{"user.name": {"first": 1}, "source": 5, "source.ip": {"a..b": []}}),
        an_event(4, **{"message": '"}\n{"delete":{"_index":"logs-soc.test-x","_id":"1"}}\n'}),
        an_event(5, **{"event.dataset": '../"_all'}),
        an_event(6),
    ]
    verdicts = store.append(events, now=NOON)
    assert [one.outcome for one in verdicts] == ["created", "rejected", *["created"] * 4]
    assert "JSON" in verdicts[1].reason
    assert sorted(one["event.sequence"] for one in drained(store)) == [1, 3, 4, 5, 6]
    assert ids(store, "message:delete") == [events[3]["event.id"]]


def test_a_mapping_conflict_rejects_one_document_without_its_text(
    cluster: Cluster, store: ElasticStore, place: str
) -> None:
    """Not what we encode: a body that the server itself cannot map."""
    store.append([an_event(1)], now=NOON)
    wrong = json.dumps({"@timestamp": iso(NOON), "user": {"name": {"secret": "hunter2"}}})
    stream = f"logs-soc.test-{place}"
    items = [
        Item(stream, "a", encode(an_event(2), "event.id")),
        Item(stream, "b", wrong.encode()),
        Item(stream, "c", encode(an_event(3), "event.id")),
    ]
    Bulk(store._client).send(items)
    assert [one.verdict.outcome for one in items if one.verdict] == [
        "created",
        "rejected",
        "created",
    ]
    assert items[1].verdict is not None
    assert "user.name" in items[1].verdict.reason
    assert "hunter2" not in items[1].verdict.reason


def test_a_body_that_is_no_json_is_found_by_halving(store: ElasticStore, place: str) -> None:
    store.append([an_event(1)], now=NOON)
    stream = f"logs-soc.test-{place}"
    items = [Item(stream, str(n), encode(an_event(n), "event.id")) for n in range(2, 12)]
    items[6].line = b'{"@timestamp": "2026-11-22T12:00:00Z", "x": '
    Bulk(store._client).send(items)
    verdicts = Counter(one.verdict.outcome for one in items if one.verdict)
    assert verdicts == {"created": 9, "rejected": 1}


def test_a_retry_behind_a_rollover_is_one_event(
    cluster: Cluster, store: ElasticStore, place: str
) -> None:
    """The answer was lost, the index was rolled over, the batch goes out again, marked."""
    events = [an_event(n) for n in range(5)]
    store.append(events[:3], now=NOON)
    before = store.tail(None, limit=2).cursor
    cluster.ask("POST", f"/logs-soc.test-{place}/_rollover")
    again = [
        Item(f"logs-soc.test-{place}", e["event.id"], encode(e, "event.id", resent=True))
        for e in events
    ]
    Bulk(store._client).send(again)
    assert {one.verdict.outcome for one in again if one.verdict} == {"created"}
    assert Counter(one["event.sequence"] for one in drained(store)) == Counter(range(5))
    assert [one["event.sequence"] for one in drained(store, before)] == [2, 3, 4]


def test_a_writer_that_reads_finds_what_lies_behind_a_rollover(
    cluster: Cluster, store: ElasticStore, place: str
) -> None:
    events = [an_event(n) for n in range(5)]
    store.append(events[:3], now=NOON)
    cluster.ask("POST", f"/logs-soc.test-{place}/_rollover")
    other = cluster.store(place)
    verdicts = [one.outcome for one in other.append(events, now=NOON)]
    assert verdicts == ["duplicate"] * 3 + ["created"] * 2
    other.close()


def test_tailing_while_four_write_and_the_index_turns(
    cluster: Cluster, store: ElasticStore, place: str
) -> None:
    total, writers = 8_000, 4
    store.append([an_event(0)], now=NOON)

    def write(number: int) -> None:
        own = cluster.store(place)
        for start in range(1 + number * 50, total, writers * 50):
            batch = [an_event(n) for n in range(start, min(start + 50, total))]
            assert {one.outcome for one in own.append(batch, now=NOON)} == {"created"}
            if start == 1:
                cluster.ask("POST", f"/logs-soc.test-{place}/_rollover")
        own.close()

    threads = [threading.Thread(target=write, args=(n,)) for n in range(writers)]
    for thread in threads:
        thread.start()
    seen: list[int] = []
    cursor = None
    while True:
        alive = any(thread.is_alive() for thread in threads)
        batch = store.tail(cursor, limit=700)
        cursor = batch.cursor
        seen += [one["event.sequence"] for one in batch.events]
        if not batch.events and not alive:
            break
    assert len(seen) == total
    assert sorted(seen) == list(range(total))


def test_a_blocked_index_is_tried_again(cluster: Cluster, store: ElasticStore, place: str) -> None:
    """The flood-stage block of a full disk: nothing is rejected, nothing is lost."""
    store.append([an_event(0)], now=NOON)
    stream = f"logs-soc.test-{place}"
    cluster.ask("PUT", f"/{stream}/_settings", {"index.blocks.read_only_allow_delete": True})
    waits: list[float] = []

    def wait(seconds: float) -> None:
        waits.append(seconds)
        if len(waits) == 3:
            free = {"index.blocks.read_only_allow_delete": None}
            cluster.ask("PUT", f"/{stream}/_settings", free)

    item = Item(stream, "x", encode(an_event(1), "event.id"))
    Bulk(store._client, wait=wait).send([item])
    assert item.verdict is not None
    assert item.verdict.outcome == "created"
    assert len(waits) == 3
    block = {"index.blocks.read_only_allow_delete": True}
    cluster.ask("PUT", f"/{stream}/_settings", block)
    with pytest.raises(StoreError) as caught:
        Bulk(store._client, wait=lambda _: None).send([Item(stream, "y", item.line)])
    assert "blocked" in caught.value.message
    cluster.ask("PUT", f"/{stream}/_settings", {"index.blocks.read_only_allow_delete": None})


@pytest.fixture
def own() -> Iterator[Cluster]:
    """A server that the test may kill."""
    with tempfile.TemporaryDirectory(prefix="metrosoc-es-") as root:
        node = single(Path(root), heap="600m")
        found = of_node(node)
        with_init(found)
        yield found
        node.stop()


def test_killed_and_started_again_in_mid_flow(own: Cluster) -> None:
    """0 acknowledged lost, 0 twice."""
    assert own.node is not None
    place, total = "killed", 6_000
    store = own.store(place)
    acknowledged: set[int] = set()
    chance = random.Random(3)
    killed = threading.Event()

    def kill() -> None:
        assert own.node is not None
        own.node.kill()
        own.node.start(installed())
        own.node.wait()

    killer = threading.Thread(target=kill)
    start = 0
    while start < total:
        batch = [an_event(n) for n in range(start, start + 100)]
        try:
            verdicts = store.append(batch, now=NOON)
        except StoreError:
            killed.wait(0.5)
            continue  # the same batch again
        assert {one.outcome for one in verdicts} <= {"created", "duplicate"}
        acknowledged |= set(range(start, start + 100))
        start += 100
        if not killer.ident and start > total // 3 and chance.random() < 0.3:
            killer.start()
    killer.join()
    seen = Counter(one["event.sequence"] for one in drained(store))
    assert seen == Counter(acknowledged) == Counter(range(total))
    store.close()


def test_of_two_copies_the_first_one_is_the_event(
    cluster: Cluster, store: ElasticStore, place: str
) -> None:
    """A node's key cannot read: behind a rollover it can add an id that is there already."""
    store.append([an_event(1)], now=NOON)
    cluster.ask("POST", f"/logs-soc.test-{place}/_rollover")
    forged = an_event(1, **{"user.name": "forged"})
    Bulk(store._client).send(
        [Item(f"logs-soc.test-{place}", forged["event.id"], encode(forged, "event.id"))]
    )
    store.tail(None)  # refreshes
    assert store.get([forged["event.id"]]) == [an_event(1)]
