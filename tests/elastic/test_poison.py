"""Documents that the server takes from others and that no program of ours would write."""

import json
from typing import Any

import pytest

from soc.store.elastic import ElasticStore
from soc.store.query import parse
from tests.elastic.cluster import Cluster
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
