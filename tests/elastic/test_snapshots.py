"""Saved, lost, restored, on the real server: what the tail had read and what comes after."""

import shutil
import tempfile
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from soc.errors import ContentError, StoreError
from soc.model.alert import Entry
from soc.store.base import Checkpoint
from soc.store.elastic import ElasticStore
from soc.store.query import parse
from tests.command import soc
from tests.elastic.cluster import Cluster, absent, of_node, with_init
from tests.elastic.server import Missing, installed, single
from tests.elastic.test_robust import an_event, drained

pytestmark = [pytest.mark.elastic, pytest.mark.slow]
NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)


@pytest.fixture(scope="module")
def own() -> Iterator[Cluster]:
    """A server whose data the test may lose."""
    with tempfile.TemporaryDirectory(prefix="metrosoc-es-") as root:
        try:
            node = single(Path(root), heap="600m")
        except Missing as missing:
            absent(missing)
        found = of_node(node)
        with_init(found)
        yield found
        node.stop()


def lose_everything(cluster: Cluster) -> None:
    """The disk of the only server is gone; the snapshots lay elsewhere."""
    node = cluster.node
    assert node is not None
    node.kill()
    shutil.rmtree(node.folder / "data")
    (node.folder / "data").mkdir()
    node.start(installed())
    node.wait()
    with_init(cluster)


def fill(store: ElasticStore, numbers: range) -> None:
    verdicts = store.append([an_event(n) for n in numbers], now=NOON)
    assert {one.outcome for one in verdicts} == {"created"}


def test_a_place_beyond_the_restored_end_is_read_again(own: Cluster, tmp_path: Path) -> None:
    """Numbers are given twice: 10 to 19 were read, lost, and others have their numbers now."""
    place = "restored"
    environ = {
        "SOC_STORE__URL": own.url,
        "SOC_STORE__ENVIRONMENT": place,
        "SOC_STORE__CA": str(own.ca),
        "SOC_STORE__USER": own.user,
        "SOC_STORE__PASSWORD": str(own.secret),
    }

    def run(*arguments: str, code: int = 0) -> str:
        ran = soc("store", *arguments, home=tmp_path, environ=environ)
        assert ran.code == code, ran.err
        assert "Traceback" not in ran.err
        return ran.err

    store = own.store(place)
    fill(store, range(10))
    alert = an_event(3) | {"soc.alert.id": an_event(3)["event.id"], "event.kind": "signal"}
    store.create_alerts([alert])
    entry = Entry(alert["soc.alert.id"], 1, "", "lan", "ack", "new", "acknowledged")
    store.append_workflow(entry, {"soc.alert.seq": 1})
    lease = store.acquire("shards", "w1", seconds=5, now=NOON)
    assert lease is not None
    store.save_checkpoint(Checkpoint("w", {"cursor": store.tail(None).cursor}, epoch=lease.epoch))
    assert "--location" in run("snapshot", code=3)
    assert own.node is not None
    folder = own.node.root / "snapshots"
    assert "6 parts are saved" in run("snapshot", "--location", str(folder))
    fill(store, range(10, 20))
    cursor = store.tail(None).cursor
    assert store.tail(cursor).events == []
    store.close()

    lose_everything(own)
    assert "--location" in run("restore", "--apply", code=3)
    assert "--apply" in run("restore", "--location", str(folder))
    store = own.store(place)
    assert drained(store) == []
    assert "is not there" in run("restore", "--apply")
    assert "is not there" not in run("restore", store.snapshots.known()[0].name, "--apply")
    fill(store, range(20, 35))
    read = Counter(one["event.sequence"] for one in drained(store, cursor))
    assert read == Counter([*range(10), *range(20, 35)])
    assert len(store.search(parse("event.dataset:test")).events) == 25
    assert len(store.workflow(alert["soc.alert.id"])) == 1
    kept = store.checkpoint("w")
    assert kept is not None
    assert kept.epoch == lease.epoch
    again = store.acquire("shards", "w2", seconds=5, now=NOON.replace(hour=13))
    assert again is not None
    assert again.epoch > lease.epoch
    assert [one.outcome for one in store.append([an_event(1)], now=NOON)] == ["duplicate"]
    store.close()


def test_a_folder_that_no_server_may_use_is_refused(own: Cluster) -> None:
    store = own.store("elsewhere")
    with pytest.raises(StoreError) as caught:
        store.snapshots.register("/nowhere/allowed")
    assert "path.repo" in caught.value.message
    with pytest.raises(ContentError):
        store.snapshots.known()
    store.close()
