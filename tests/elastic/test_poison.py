"""Documents that the server takes from others and that no program of ours would write."""

import json
from typing import Any

import pytest

import rules
from soc.model.time import now
from soc.run.detection import detection
from soc.run.worker.worker import Worker
from soc.store.base import Histogram
from soc.store.elastic import ElasticStore
from soc.store.query import parse
from tests.elastic.cluster import Cluster
from tests.elastic.test_foreign import ATTACK, winlogbeat
from tests.elastic.test_robust import drained

pytestmark = [pytest.mark.elastic, pytest.mark.slow]
STAMP = '"@timestamp":"2026-11-22T08:15:30.123Z"'


def added(cluster: Cluster, stream: str, documents: list[bytes]) -> None:
    """Add documents as they are, ids left to the server."""
    line = json.dumps({"create": {"_index": stream}}).encode()
    body = b"".join(b"%s\n%s\n" % (line, one) for one in documents)
    answer: dict[str, Any] = cluster.ask("POST", "/_bulk?refresh=true", body)
    assert answer["errors"] is False


def test_what_only_the_server_takes_for_json_spoils_nothing(
    cluster: Cluster, store: ElasticStore, place: str
) -> None:
    """A line cut inside of an emoji is enough; a stolen node's key can add all of these."""
    bodies = [
        rb'{%s,"message":"a\ud800b"}',
        b'{%s,"message":"a\xed\xa0\x80b"}',
        b'{%s,/* c */"message":"b"}',
        b'{%s,"message":"b","odd":1e400}',
        b'{%s,"message":"b","odd":' + b"9" * 400 + b"}",
        b'\xef\xbb\xbf{%s,"message":"b"}',
        b'{%s,"message":"plain"}',
    ]
    added(cluster, f"logs-soc.x-{place}", [one.replace(b"%s", STAMP.encode()) for one in bodies])
    read = [one["message"][0] + one["message"][-1] for one in drained(store)]
    assert read == ["ab", "ab", "bb", "bb", "bb", "bb", "pn"]
    assert len(store.search(parse("*")).events) == len(bodies)


def test_what_no_program_of_ours_would_write_is_judged_and_shown(
    cluster: Cluster, store: ElasticStore, place: str
) -> None:
    """None of it ends a worker or a search; a time that is no text hides no event."""
    attack = winlogbeat(30, ATTACK)
    odd: list[dict[str, Any]] = [
        {},
        {"ecs": None},
        {"@timestamp": 1763800000123},
        {"@timestamp": ["2026-11-22T08:15:30Z"]},
        {"@timestamp": "2026"},
        {"@timestamp": 253402300800000},
        {"soc.rest": "{"},
        {"soc.rest": '{"@timestamp": 5, "event.id": 5}'},
        {"soc.index": [{"resent": True}]},
        {"soc.index": {"resent": True}, "event": {"code": "4688", "id": ["a"]}},
        {"event": {"code": "4688", "id": 7}},
        {"event": {"code": "4688", "id": None}},
    ]
    bodies = [json.dumps(attack | one).encode() for one in odd]
    added(cluster, f"logs-soc.x-{place}", bodies)
    worker = Worker(store, detection([rules.SIGMA]), now)
    while worker.step() or not worker.shards.documents:
        pass
    raised = store.search(parse("*"), collection="alerts").events
    judged = {one for alert in raised for one in alert["soc.event_ids"]}
    assert worker.shards.documents == len(odd) == len(judged)
    assert len(store.get(sorted(judged))) == len(odd)
    assert len(store.search(parse("*")).events) == len(odd)
    assert sum(one.count for one in store.aggregate(parse("*"), Histogram(3600))) == len(odd)
