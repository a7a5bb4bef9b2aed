"""Workers and `soc run` with nothing to do: what they ask, and what they must not overlook."""

import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from soc.run.allinone import Input, Runner
from soc.run.detection import detection
from soc.run.judging import Judge
from soc.run.worker.worker import Worker
from soc.store.elastic import ElasticStore, looks
from soc.store.elastic.bulk import Bulk, Item
from soc.store.elastic.client import Client
from soc.store.elastic.names import Backing
from soc.store.elastic.tail import Shard
from soc.store.elastic.templates import index_templates
from soc.store.elastic.wire import encode
from tests.bench.worker import counted, prepare
from tests.elastic.cluster import Cluster
from tests.elastic.test_roles import an_event
from tests.elastic.worker_flow import team

pytestmark = [pytest.mark.elastic, pytest.mark.slow]
STREAMS, SHARDS = 60, 300
SECONDS = 12.0


@pytest.mark.timeout(280)
def test_over_300_shards_it_asks_a_few_things_a_second(
    cluster: Cluster, store: ElasticStore, place: str, tmp_path: Path
) -> None:
    with _five_shards(cluster, place):
        prepare(store, STREAMS)
    assert len(store.shards()) == SHARDS
    mine = cluster.store(place)
    asked = counted(mine)
    loaded = detection([team(tmp_path, {}).home / "rules"])
    worker = Worker(mine, loaded, lambda: datetime.now(UTC), idle=1.0)
    with _running(worker, mine):
        until = time.monotonic() + 60
        while worker.shards.documents < STREAMS:
            assert time.monotonic() < until, worker.shards.documents
            time.sleep(0.2)
        time.sleep(5)
        kinds = _asked_for_a_while(asked)
    assert worker.shards.documents == STREAMS
    assert sum(kinds.values()) / SECONDS < 5, kinds
    assert kinds["GET docs"] / SECONDS < 2.5, "one look a second at the events, one at the matches"
    assert not any("_msearch" in kind or "_refresh" in kind for kind in kinds), kinds


@pytest.mark.timeout(280)
def test_soc_run_over_60_indices_asks_a_thing_a_second(
    cluster: Cluster, store: ElasticStore, place: str, tmp_path: Path
) -> None:
    """Also when an index is gone that its cursor knows."""
    prepare(store, STREAMS)
    mine = cluster.store(place)
    asked = counted(mine)
    loaded = detection([team(tmp_path, {}).home / "rules"])
    source = Input(str(tmp_path / "*.log"), UTC)
    runner = Runner(mine, [source], loaded, b"k" * 32, "n", lambda: datetime.now(UTC), idle=1.0)
    runner.correlating = loaded.correlating
    runner.drain()
    with _running(runner, mine):
        turned = cluster.ask("POST", f"/logs-soc.set7-{place}/_rollover")
        cluster.ask("DELETE", f"/{turned['old_index']}")
        time.sleep(3)
        kinds = _asked_for_a_while(asked)
    assert runner.counters.evaluated == STREAMS
    assert SECONDS / 2 <= kinds["GET docs"] <= SECONDS + 1, "one look a second"
    assert kinds.keys() == {"GET docs"}, kinds


def test_soc_run_reads_second_copies_once(
    cluster: Cluster, store: ElasticStore, place: str, tmp_path: Path
) -> None:
    """They are no events, so nothing is judged; but the cursor lies behind them."""
    stream, events = f"logs-soc.test-{place}", [an_event(n) for n in range(3)]
    loaded = detection([team(tmp_path, {}).home / "rules"])
    judge = Judge(store, loaded, None)
    store.append(events, now=datetime(2026, 11, 22, 12, tzinfo=UTC))
    assert judge.step() == 3
    cluster.ask("POST", f"/{stream}/_rollover")
    again = [Item(stream, e["event.id"], encode(e, "event.id", resent=True)) for e in events]
    Bulk(store._client).send(again)
    asked = counted(store)
    assert judge.step() == 0
    assert "POST _msearch" in asked
    asked.clear()
    assert judge.step() == 0
    assert asked == ["GET docs"]


@contextmanager
def _running(this: Worker | Runner, store: ElasticStore) -> Iterator[None]:
    """Run a worker beside the test, and close its store behind it."""
    stop = threading.Event()
    thread = threading.Thread(target=this.run, args=(stop,))
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
        store.close()


def _asked_for_a_while(asked: list[str]) -> Counter[str]:
    """Return what is asked from now on, and say how much that is a second."""
    asked.clear()
    time.sleep(SECONDS)
    kinds = Counter(asked)
    print(f"{sum(kinds.values()) / SECONDS:.1f} requests a second: {dict(kinds)}")
    return kinds


@contextmanager
def _five_shards(cluster: Cluster, place: str) -> Iterator[None]:
    """Streams of this environment have five shards each: their indices are made sooner."""
    known = index_templates()["metrosoc-events"]
    own = {"index_patterns": [f"logs-soc.*-{place}"], "priority": known["priority"] + 1}
    shards = {"template": {"settings": {"index": {"number_of_shards": 5}}}}
    cluster.ask("PUT", f"/_index_template/five-{place}", known | own | shards)
    try:
        yield
    finally:
        cluster.ask("DELETE", f"/_index_template/five-{place}")


@pytest.mark.parametrize("by", ["shards", "tail"])
def test_a_drained_index_is_left_out_and_a_late_write_to_it_is_read(
    store: ElasticStore, cluster: Cluster, place: str, monkeypatch: pytest.MonkeyPatch, by: str
) -> None:
    """Indices of one day here: by their numbers instead of their days, and without waiting."""
    monkeypatch.setattr(looks, "PARTS", (17,))
    monkeypatch.setattr(looks, "_day", _numbered)
    now = [0.0]
    look = store._look(f"logs-soc.*-{place}")
    monkeypatch.setattr(look, "_now", lambda: now[0])
    looked = look.shards
    seen: set[int] = set()

    def shards(client: Client) -> list[Shard]:
        found = looked(client)
        seen.update(one.index.generation for one in found)
        return found

    monkeypatch.setattr(look, "shards", shards)
    noon = datetime(2026, 11, 22, 12, tzinfo=UTC)
    stream = f"logs-soc.test-{place}"
    cursors: dict[str, str] = {}
    cursor: str | None = None
    asked = counted(store)

    def step(seconds: float) -> tuple[set[int], list[str]]:
        nonlocal cursor
        now[0] += seconds
        seen.clear()
        if by == "tail":
            batch = store.tail(cursor)
            cursor = batch.cursor
            return seen, [event["event.id"] for event in batch.events]
        found = store.tails(cursors, store.shards())
        cursors.update({one.shard: one.cursor for one in found})
        return seen, [event["event.id"] for one in found for event in one.events]

    store.append([an_event(1)], now=noon)
    assert step(1) == ({1}, [an_event(1)["event.id"]])
    turned = cluster.ask("POST", f"/{stream}/_rollover")
    store.append([an_event(2)], now=noon + timedelta(seconds=1))
    assert step(1) == ({1, 2}, [an_event(2)["event.id"]])
    for _ in range(3):
        step(looks.WHOLE)
    assert step(1) == ({2}, [])
    # The server lets nobody create in an old index by name; a document that is written anew has a
    # new sequence number, as that of a request that was on its way when the stream turned.
    identity = an_event(1)["event.id"]
    path = f"/{turned['old_index']}/_doc/{identity}?if_seq_no=0&if_primary_term=1"
    cluster.ask("PUT", path, encode(an_event(1), "event.id"))
    assert step(1) == ({2}, [])
    store.append([an_event(4)], now=noon)
    asked.clear()
    assert step(1) == ({2}, [an_event(4)["event.id"]])
    assert not any("_resolve" in one or stream in one for one in asked), asked
    assert step(looks.WHOLE) == ({1, 2}, [identity])
    for _ in range(3):
        step(looks.WHOLE)
    assert step(1) == ({2}, [])
    if by == "tail":  # who comes with another cursor has everything looked at
        assert sorted(event["event.id"] for event in store.tail(None).events) == sorted(
            [identity, an_event(2)["event.id"], an_event(4)["event.id"]]
        )


def _numbered(index: Backing) -> str:
    return f"{index.created.replace('-', '.')}-{index.generation:06}"


def test_the_key_of_a_detector_may_look_like_that(
    store: ElasticStore, cluster: Cluster, place: str, tmp_path: Path
) -> None:
    from tests.elastic.test_closed_datasets import keyed

    store.append([an_event(1)], now=datetime(2026, 11, 22, 12, tzinfo=UTC))
    secret = store.keys.create("d", "detector", days=1).secret
    detector = keyed(cluster, place, tmp_path / "key", secret)
    look: Any = detector._look(f"logs-soc.*-{place}")
    for days, many in (["2001"], 1), (["2"], 0):
        look._whole_at, look._days, look._now = 0.0, days, lambda: 1.0
        assert len(detector.shards()) == many
    detector.close()
