"""The upkeep of a cluster, on the real server: indices turn, versions change, copies go."""

import threading
from collections import Counter
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from soc.config.secret import SecretRef
from soc.model.time import now
from soc.store.base import Retention
from soc.store.elastic import ElasticStore
from soc.store.elastic.bulk import Bulk, Item
from soc.store.elastic.wire import encode
from soc.store.query import parse
from tests.command import soc
from tests.elastic.cluster import Cluster
from tests.elastic.test_cli import master
from tests.elastic.test_robust import an_event, drained

__all__ = ["master"]
pytestmark = [pytest.mark.elastic, pytest.mark.slow]
NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)


def keyed(cluster: Cluster, place: str, role: str, folder: Path) -> ElasticStore:
    """Return the store as the holder of a new key sees it."""
    master = cluster.store(place)
    file = folder / f"{role}.key"
    file.touch(mode=0o600)
    file.write_text(master.keys.create(role, role, days=1).secret)
    master.close()
    key = SecretRef.parse(f"file:{file}")
    return cluster.store(place, api_key=key, user="", password=None)


def backing(cluster: Cluster, place: str) -> list[str]:
    found = cluster.ask("GET", f"/_resolve/index/logs-soc.*-{place}?expand_wildcards=all")
    return [name for one in found["data_streams"] for name in one["backing_indices"]]


def test_where_only_nodes_write_the_admins_timer_turns_the_index(
    cluster: Cluster, place: str, tmp_path: Path
) -> None:
    node = keyed(cluster, place, "node", tmp_path)
    admin = keyed(cluster, place, "admin", tmp_path)
    today = now()
    node.append([an_event(1)], now=today)
    assert admin.tend(today) == []
    for day in (1, 2):
        later = today + timedelta(days=day)
        node.append([an_event(day + 1)], now=later)
        assert len(backing(cluster, place)) == day
        (begun,) = admin.tend(later)
        assert backing(cluster, place)[-1] == begun
        assert admin.tend(later) == []
    node.append([an_event(4)], now=later)
    assert [one["event.sequence"] for one in drained(admin)] == [1, 2, 3, 4]
    gone = admin.retain(Retention(days=0), now=today + timedelta(days=3))
    assert len(gone) == 2
    assert [one["event.sequence"] for one in drained(admin)] == [4]
    for one in (node, admin):
        one.close()


def test_retention_by_command_turns_with_an_admins_key_only(
    cluster: Cluster, place: str, tmp_path: Path
) -> None:
    node = keyed(cluster, place, "node", tmp_path)
    keyed(cluster, place, "admin", tmp_path).close()
    node.append([an_event(1)], now=NOON)
    node.close()
    environ = {
        "SOC_STORE__URL": cluster.url,
        "SOC_STORE__ENVIRONMENT": place,
        "SOC_STORE__CA": str(cluster.ca),
    }

    def run(role: str) -> tuple[int, str]:
        key = {"SOC_STORE__API_KEY": f"file:{tmp_path}/{role}.key"}
        ran = soc("store", "retention", "--apply", home=tmp_path, environ=environ | key)
        assert "Traceback" not in ran.err
        return ran.code, ran.err

    code, said = run("node")
    assert code == 5
    assert "may not do this" in said
    code, said = run("admin")
    assert code == 0, said


def test_what_fills_a_disk_is_dropped_though_nothing_can_be_written(
    cluster: Cluster, place: str, master: Mapping[str, str], tmp_path: Path
) -> None:
    """A full disk has every index blocked, also the one that the days are written to."""
    store = cluster.store(place)
    begun = now() - timedelta(days=3)
    for day in range(3):
        store.append([an_event(day)], now=begun + timedelta(days=day))
    store.close()
    assert len(backing(cluster, place)) == 3
    block = {"index.blocks.read_only_allow_delete": True}
    cluster.ask("PUT", f"/*{place}*/_settings?expand_wildcards=all", block)
    limits = {"SOC_RETENTION__DAYS": "1"}
    ran = soc("store", "retention", "--apply", home=tmp_path, environ={**master, **limits})
    assert ran.code == 5  # today's index could not be begun
    assert len(backing(cluster, place)) == 1


def test_migrating_twice_and_from_two_places_at_once(
    cluster: Cluster, store: ElasticStore, place: str
) -> None:
    store.append([an_event(n) for n in range(5)], now=NOON)
    cursor = store.tail(None, limit=2).cursor
    alert = an_event(9) | {"soc.alert.id": an_event(9)["event.id"], "event.kind": "signal"}
    store.create_alerts([alert])
    for name in (f"logs-soc.test-{place}", f"soc-alerts-{place}-2026.11"):
        cluster.ask("PUT", f"/{name}/_mapping", {"_meta": {"metrosoc": 0}})
    done: list[list[str]] = []
    stores = [cluster.store(place) for _ in range(2)]

    def migrate(own: ElasticStore) -> None:
        own.init()
        done.append(own.upkeep.migrate(now))

    threads = [threading.Thread(target=migrate, args=(own,)) for own in stores]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(done) == 2
    assert store.upkeep.migrate(now) == []
    assert len(backing(cluster, place)) == 2
    store.append([an_event(n) for n in range(5, 8)], now=NOON)
    assert [one["event.sequence"] for one in drained(store, cursor)] == [2, 3, 4, 5, 6, 7]
    assert [one["event.sequence"] for one in drained(store)] == list(range(8))
    assert len(store.search(parse("event.dataset:test")).events) == 8
    again = [one.outcome for one in cluster.store(place).append([an_event(1)], now=NOON)]
    assert again == ["duplicate"]
    for own in stores:
        own.close()


def test_second_copies_are_counted_then_dropped(
    cluster: Cluster, store: ElasticStore, place: str, tmp_path: Path
) -> None:
    events = [an_event(n) for n in range(5)]
    stream = f"logs-soc.test-{place}"
    store.append(events[:3], now=NOON)
    cluster.ask("POST", f"/{stream}/_rollover")
    again = [Item(stream, e["event.id"], encode(e, "event.id", resent=True)) for e in events]
    Bulk(store._client).send(again)
    cursor = store.tail(None).cursor
    environ: Mapping[str, str] = {
        "SOC_STORE__URL": cluster.url,
        "SOC_STORE__ENVIRONMENT": place,
        "SOC_STORE__CA": str(cluster.ca),
        "SOC_STORE__USER": cluster.user,
        "SOC_STORE__PASSWORD": f"file:{tmp_path}/password",
    }
    (tmp_path / "password").touch(mode=0o600)
    (tmp_path / "password").write_text(cluster.secret.resolve())

    def run(*more: str) -> str:
        ran = soc("store", "dedup", *more, home=tmp_path, environ=environ)
        assert ran.code == 0, ran.err
        return ran.err

    assert store.info().events == 8
    assert "3 second copies would be deleted" in run()
    assert store.info().events == 8
    assert "3 second copies deleted" in run("--apply")
    store.tail(None)  # refreshes
    cluster.ask("POST", f"/{stream}/_refresh")
    assert "0 second copies deleted" in run("--apply")
    assert store.info().events == 5
    assert Counter(one["event.sequence"] for one in drained(store)) == Counter(range(5))
    assert store.tail(cursor).events == []


def test_what_the_servers_lack_is_said(
    cluster: Cluster, store: ElasticStore, place: str, tmp_path: Path
) -> None:
    found = store.capabilities()
    assert found.version.startswith(("8.", "9."))
    assert found.nodes >= 1
    assert found.health in ("green", "yellow")
    has = str(cluster.ask("GET", "/_nodes/plugins"))
    assert [name for name in found.missing if f"'{name}'" in has] == []
    assert len(found.instead) == len(found.missing)
    environ = {
        "SOC_STORE__URL": cluster.url,
        "SOC_STORE__ENVIRONMENT": place,
        "SOC_STORE__CA": str(cluster.ca),
        "SOC_STORE__USER": cluster.user,
        "SOC_STORE__PASSWORD": f"file:{tmp_path}/password",
    }
    (tmp_path / "password").touch(mode=0o600)
    (tmp_path / "password").write_text(cluster.secret.resolve())
    (row,) = soc("store", "status", home=tmp_path, environ=environ).documents
    assert (row["version"], row["nodes"]) == (found.version, found.nodes)
    assert row["missing"] == list(found.missing)
    checks = soc("doctor", home=tmp_path, environ=environ).documents
    (line,) = [one for one in checks if one["check"] == "cluster"]
    assert line["state"] == "ok"
    assert all(name in line["detail"] for name in found.instead)
