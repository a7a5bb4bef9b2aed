"""Delivery on the real server: blocks, conflicts, lost answers, rollovers."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from collectors.spool.record import Batch
from soc.run.replay import replay
from soc.store.elastic import ElasticStore, client
from soc.store.open import Access
from tests.elastic.cluster import Cluster
from tests.elastic.flow import drained
from tests.faults.sending import INPUT, NOON, Node, line
from tests.faults.servers.line import Line, State
from tests.faults.servers.store_server import StoreServer, cut_after

pytestmark = [pytest.mark.elastic, pytest.mark.slow]


@pytest.fixture
def node(store: ElasticStore, tmp_path: Path) -> Iterator[Node]:
    """A node that sends to the real server."""
    made = Node(tmp_path / "state", store)
    yield made
    made.stop()


def numbers(store: ElasticStore) -> Counter[str]:
    return Counter(event["event.original"] for event in drained(store))


def wanted(count: int) -> Counter[str]:
    return Counter(line(n).decode() for n in range(count))


def test_a_full_disk_of_the_server_is_waited_for(
    node: Node, store: ElasticStore, cluster: Cluster, place: str
) -> None:
    """The flood-stage block: every document is answered 403, none is lost or a dead letter."""
    node.receive([line(n) for n in range(100)])
    node.drain()
    stream = f"/logs-soc.sshd-{place}"
    block = {"index.blocks.read_only_allow_delete": True}
    cluster.ask("PUT", f"{stream}/_settings", block)
    node.receive([line(n) for n in range(100, 3_000)], at=100)
    node.until(lambda: node.sender.ledger.away()["sshd"] == 2_900)
    tried = node.clock.seconds
    node.until(lambda: node.clock.seconds > tried + 30)
    assert node.letters.count() == 0
    cluster.ask("PUT", f"{stream}/_settings", {"index.blocks.read_only_allow_delete": None})
    node.drain()
    assert node.check()["stored"] == 3_000
    assert numbers(store) == wanted(3_000)


def syslog(number: int, data: str = "-") -> bytes:
    return f"<38>1 2026-11-22T08:00:00+07:00 gate app 1 - {data} number {number}".encode()


def test_a_mapping_conflict_is_a_dead_letter_and_can_be_replayed(
    node: Node, store: ElasticStore, cluster: Cluster, place: str
) -> None:
    node.receive([syslog(1)])
    node.drain()
    (event,) = drained(store)
    stream = f"logs-soc.{event['event.dataset']}-{place}"
    mapping: dict[str, Any] = {"type": "long"}
    for name in ("structured_data", "syslog", "log"):
        mapping = {"properties": {name: mapping}}
    cluster.ask("PUT", f"/{stream}/_mapping", mapping)
    node.receive([syslog(2, '[vendor@1 name="hunter2"]'), syslog(3)], 1)
    node.drain()
    assert (node.check()["stored"], node.check()["dead-lettered"]) == (2, 1)
    (letter,) = node.letters.all()
    assert "structured_data" in letter.reason
    assert "hunter2" not in letter.reason
    assert replay(node.letters, store, lambda: NOON) == (0, 1)
    cluster.ask("POST", f"/{stream}/_rollover")  # the new index has no such mapping
    assert replay(node.letters, store, lambda: NOON) == (1, 0)
    assert sorted(one["message"] for one in drained(store)) == ["number 1", "number 2", "number 3"]


def test_hostile_records_cost_themselves_only(node: Node, store: ElasticStore) -> None:
    many = ",".join(f'"field{n}": {n}' for n in range(1_001))
    records = [
        line(1),
        b'{"message": "\\ud800"}',
        b"{" + many.encode() + b"}",
        b'{"message": "' + b"y" * 40_000 + b'"}',
        b"\xff\xfe\0 not text",
        b'{"a":' * 300 + b"1" + b"}" * 300,
        line(2),
    ]
    node.receive(records)
    node.drain()
    events = node.check()
    assert events["emitted"] == len(records)
    assert events["stored"] + events["dead-lettered"] == len(records)
    assert events["dead-lettered"] <= 1
    assert len(list(drained(store))) == events["stored"]


class Through:
    """A store behind the proxy."""

    def __init__(self, cluster: Cluster, place: str, proxy: StoreServer) -> None:
        access = cluster.access(place)
        self.store = ElasticStore(
            proxy.url, Access(place, user=access.user, password=access.password)
        )


@pytest.fixture
def proxy(cluster: Cluster) -> Iterator[StoreServer]:
    """A proxy in front of the real server."""
    with StoreServer(cluster.url, cluster.ca).running() as started:
        yield started


def test_an_answer_is_lost_and_the_index_turns_before_the_retry(
    cluster: Cluster, store: ElasticStore, place: str, proxy: StoreServer, tmp_path: Path
) -> None:
    """The one gap of a data stream: the second copy is in a new index. The tail knows it."""
    through = Through(cluster, place, proxy)
    node = Node(tmp_path / "state", through.store)
    node.receive([line(n) for n in range(500)])
    node.drain()

    def turned(exchange: Any) -> None:
        cut_after(exchange)
        cluster.ask("POST", f"/logs-soc.sshd-{place}/_rollover")

    proxy.script.append(turned)
    node.receive([line(n) for n in range(500, 1_000)], at=500)
    node.drain()
    node.stop()
    assert len(proxy.bulks) == 3
    through.store.close()
    assert numbers(store) == wanted(1_000)


def test_cut_connections_in_mid_flow(
    cluster: Cluster, store: ElasticStore, place: str, proxy: StoreServer, tmp_path: Path
) -> None:
    through = Through(cluster, place, proxy)
    node = Node(tmp_path / "state", through.store)
    for round_ in range(10):
        proxy.script.append(cut_after)
        node.receive([line(1_000 * round_ + n) for n in range(1_000)], at=1_000 * round_)
        node.until(lambda: not proxy.script)
    node.drain()
    events = node.stop()
    through.store.close()
    assert events["emitted"] == 10_000
    assert events["duplicate"] >= 1_000
    assert numbers(store) == wanted(10_000)
    found = cluster.ask("GET", f"/logs-soc.sshd-{place}/_count")
    assert found["count"] == 10_000, "not even a second copy"


def test_two_inputs_with_equal_lines_are_two_events(node: Node, store: ElasticStore) -> None:
    for origin in ("file:1", "file:2"):
        node.spool.append([Batch(INPUT, [line(1)], 1_795_348_800_000_000, origin, offsets=[0])])
    node.spool.commit()
    node.drain()
    assert numbers(store) == Counter({line(1).decode(): 2})


@pytest.mark.parametrize("state", ["dead", "slow answers", "slow requests"])
def test_a_line_with_tls_that_goes_bad_in_mid_flow(
    cluster: Cluster,
    store: ElasticStore,
    place: str,
    tmp_path: Path,
    state: State,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Whoever is at the other end vanishes, or says a byte at a time; a minute is 3 s here."""
    monkeypatch.setattr(client, "SECONDS", 3)
    with Line(cluster.url).running() as way:
        through = ElasticStore(way.url, cluster.access(place))
        node = Node(tmp_path / "state", through)
        node.receive([line(n) for n in range(1_000)])
        node.drain()
        way.state = state
        node.receive([line(n) for n in range(1_000, 3_000)], at=1_000)
        node.until(lambda: node.sender.trouble.failures >= 2)
        assert "in time" in node.sender.trouble.text
        way.state = "sound"
        node.drain()
        node.stop()
        through.close()
    assert numbers(store) == wanted(3_000)
