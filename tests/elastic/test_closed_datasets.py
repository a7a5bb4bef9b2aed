"""Datasets that the real server does not take: denied to the key, blocked, closed."""

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from soc.config.secret import SecretRef
from soc.store.elastic import ElasticStore
from tests.elastic.cluster import Cluster
from tests.elastic.flow import drained
from tests.faults.sending import Node, line
from tests.faults.test_row11_closed_datasets import mixed, sudo

pytestmark = [pytest.mark.elastic, pytest.mark.slow]
TOTAL = 3_000


def originals(store: ElasticStore) -> Counter[str]:
    return Counter(event["event.original"] for event in drained(store))


def wanted(lines: list[bytes]) -> Counter[str]:
    return Counter(one.decode() for one in lines)


def key(cluster: Cluster, place: str, *datasets: str) -> str:
    """Make a key that may add to the streams of these datasets only; return its id and secret."""
    names = [f"logs-soc.{one}-{place}" for one in datasets]
    role = {"cluster": ["monitor"], "indices": []}
    role["indices"] = [{"names": names, "privileges": ["create_doc", "auto_configure"]}]
    made = cluster.ask(
        "POST", "/_security/api_key", {"name": f"one-{place}", "role_descriptors": {"one": role}}
    )
    return str(made["encoded"])


def keyed(cluster: Cluster, place: str, file: Path, secret: str) -> ElasticStore:
    file.touch(mode=0o600)
    file.write_text(secret)
    access = cluster.access(place, user="", password=None)
    return ElasticStore(cluster.url, replace(access, api_key=SecretRef.parse(f"file:{file}")))


def test_a_key_for_one_data_stream_and_not_another(
    cluster: Cluster, store: ElasticStore, place: str, tmp_path: Path
) -> None:
    """Whether the stream is there or not; another key, as an admin would give it, ends the wait."""
    limited = keyed(cluster, place, tmp_path / "one.key", key(cluster, place, "sshd"))
    node = Node(tmp_path / "state", limited)
    lines = mixed(TOTAL)
    node.receive(lines)
    node.until(lambda: node.sender.ledger.away()["sudo"] == 2_000)
    node.until(lambda: node.sender.ledger.waiting == 0)
    assert originals(store) == wanted([one for one in lines if b"sshd" in one])
    store_all(store, [sudo(999_999)], tmp_path / "other")
    began = node.clock.seconds
    node.until(lambda: node.clock.seconds > began + 100)
    figures = node.sender.figures()
    assert "unauthorized" in figures["closed"]["sudo"]["why"]
    assert figures["trouble"] == ""
    assert (node.check()["queued"], node.letters.count()) == (2_000, 0)
    node.stop()
    limited.close()
    wider = keyed(cluster, place, tmp_path / "two.key", key(cluster, place, "sshd", "sudo"))
    node = Node(tmp_path / "state", wider)
    node.drain()
    assert node.check()["emitted"] == TOTAL
    node.stop()
    wider.close()
    assert originals(store) == wanted([*lines, sudo(999_999)])


def store_all(store: ElasticStore, lines: list[bytes], state: Path) -> None:
    """Send lines by another node."""
    node = Node(state, store)
    node.receive(lines)
    node.drain()
    node.stop()


@contextmanager
def blocked(cluster: Cluster, place: str) -> Iterator[None]:
    path = f"/logs-soc.sudo-{place}/_settings"
    cluster.ask("PUT", path, {"index.blocks.write": True})
    try:
        yield
    finally:
        cluster.ask("PUT", path, {"index.blocks.write": None})


def write_index(cluster: Cluster, place: str) -> str:
    found = cluster.ask("GET", f"/_resolve/index/logs-soc.sudo-{place}")
    return str(found["data_streams"][0]["backing_indices"][-1])


@contextmanager
def closed(cluster: Cluster, place: str) -> Iterator[None]:
    """Closed by an admin: 400 for each document."""
    index = write_index(cluster, place)
    cluster.ask("POST", f"/{index}/_close")
    try:
        yield
    finally:
        cluster.ask("POST", f"/{index}/_open")


@pytest.mark.parametrize("shut", [blocked, closed], ids=lambda way: way.__name__)
def test_an_index_that_takes_nothing(
    cluster: Cluster,
    store: ElasticStore,
    place: str,
    tmp_path: Path,
    shut: Callable[[Cluster, str], Any],
) -> None:
    lines = mixed(60)
    node = Node(tmp_path / "state", store)
    node.receive(lines)
    node.drain()
    with shut(cluster, place):
        more = [sudo(n) if n % 3 else line(n) for n in range(60, TOTAL)]
        lines += more
        node.receive(more, at=60)
        node.until(lambda: node.sender.ledger.away()["sudo"] == 1_960)
        node.until(lambda: node.check()["stored"] == 60 + 980)
        assert list(node.sender.figures()["closed"]) == ["sudo"]
        assert node.letters.count() == 0
    node.drain()
    assert node.check()["emitted"] == TOTAL
    node.stop()
    assert originals(store) == wanted(lines)
