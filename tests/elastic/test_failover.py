"""Three nodes, one copy of everything, and the node of a primary dies in mid-flow."""

import json
import random
import tempfile
import threading
import time
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from soc.errors import StoreError
from soc.model.event import Event, event_id
from soc.model.time import iso
from tests.elastic.cluster import Cluster, absent, of_node, with_init
from tests.elastic.server import Missing, Node, cluster

pytestmark = pytest.mark.elastic
NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)


def an_event(number: int) -> Event:
    moment = NOON + timedelta(milliseconds=number)
    identity = event_id(moment, b"key", "", str(number), 0)
    known = {"@timestamp": iso(moment), "event.id": identity, "event.dataset": "test"}
    return known | {"event.sequence": number, "message": f"event number {number}"}


def primary(through: Cluster, nodes: list[Node]) -> Node:
    """Return the node that holds the primary shard of the events."""
    shards: Any = through.ask("GET", "/_cat/shards?format=json")
    events = [one for one in shards if one["index"].startswith(".ds-logs-soc.test-")]
    name = next(one["node"] for one in events if one["prirep"] == "p")
    return next(node for node in nodes if node.name == name)


@pytest.mark.timeout(900)
@pytest.mark.parametrize(
    "total",
    [pytest.param(6_000, marks=pytest.mark.slow), pytest.param(30_000, marks=pytest.mark.soak)],
)
def test_the_node_of_a_primary_dies(total: int) -> None:
    """0 acknowledged lost, 0 twice, the tail complete: also one that ran all the time."""
    with tempfile.TemporaryDirectory(prefix="metrosoc-es-") as root:
        try:
            nodes = cluster(Path(root))
        except Missing as missing:
            absent(missing)
        try:
            with_init(of_node(nodes[0]))
            _flow(nodes, total)
        finally:
            for node in nodes:
                node.kill()


def _flow(nodes: list[Node], total: int) -> None:
    first = of_node(nodes[0]).store("failover")
    first.append([an_event(0)], now=NOON)
    of_node(nodes[0]).ask("GET", "/_cluster/health?wait_for_status=green&timeout=60s")
    victim = primary(of_node(nodes[0]), nodes)
    through = of_node(next(node for node in nodes if node is not victim))
    store, reader = through.store("failover"), through.store("failover")
    seen: list[int] = []
    cursors: list[str] = []
    done = threading.Event()

    def read() -> None:
        cursor = None
        while True:
            last = done.is_set()
            try:
                batch = reader.tail(cursor, limit=1000)
            except StoreError:
                time.sleep(0.2)
                continue
            cursor = batch.cursor
            cursors.append(cursor)
            seen.extend(one["event.sequence"] for one in batch.events)
            if last and not batch.events:
                return

    watching = threading.Thread(target=read)
    watching.start()
    chance, start, killed = random.Random(7), 1, False
    killing = threading.Thread(target=victim.kill)
    while start < total:
        batch = [an_event(n) for n in range(start, min(start + 200, total))]
        if not killed and start > total // 3 and chance.random() < 0.3:
            killing.start()
            killed = True
        try:
            verdicts = store.append(batch, now=NOON)
        except StoreError:
            continue  # the same batch again
        assert {one.outcome for one in verdicts} <= {"created", "duplicate"}
        start += 200
    assert killed
    killing.join()
    done.set()
    watching.join()
    assert Counter(seen) == Counter(range(total))
    events: list[Event] = []
    cursor = None
    while (page := reader.tail(cursor, limit=5000)).events:
        events, cursor = [*events, *page.events], page.cursor
    assert Counter(one["event.sequence"] for one in events) == Counter(range(total))
    assert json.loads(cursors[-1]) == json.loads(cursor or "")
    for one in (first, store, reader):
        one.close()
