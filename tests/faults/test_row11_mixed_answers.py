"""Row 11: one answer, many verdicts: each document gets its own, none stalls the rest."""

from typing import Any

import pytest

from soc.model.time import iso
from tests.faults.sending import NOON, Node, line
from tests.faults.servers.store_server import Fault, StoreServer, items, status

BLOCKED = "cluster_block_exception"


def numbered(document: dict[str, Any]) -> int:
    return int(document["process"]["pid"])


def only(code: int, *numbers: int, kind: str = "some_exception") -> Fault:
    return items(lambda one: code if numbered(one) in numbers else None, kind)


def test_created_there_already_and_refused_in_one_answer(node: Node, server: StoreServer) -> None:
    codes = {1: 409, 2: 400, 3: 404, 4: 413, 5: 429, 6: 503, 7: 500}
    server.script.append(items(lambda one: codes.get(numbered(one))))
    node.receive([line(n) for n in range(10)])
    node.drain()
    events = node.check()
    assert events == {
        "emitted": 10,
        "stored": 6,
        "duplicate": 1,
        "dead-lettered": 3,
        "queued": 0,
    }
    assert {numbered_flat(one.event) for one in node.letters.all()} == {2, 3, 4}
    assert {one.reason for one in node.letters.all()} == {"some_exception: told to"}
    assert len(server.bulks[1]) == 3, "only those without a verdict go again"


def numbered_flat(event: dict[str, Any]) -> int:
    return int(event["process.pid"])


@pytest.mark.parametrize(("code", "kind"), [(403, BLOCKED), (429, "queue_full"), (503, "gone")])
def test_a_document_that_waits_stalls_nobody(
    node: Node, server: StoreServer, code: int, kind: str
) -> None:
    """A blocked index: a hundred answers long; all others are stored meanwhile."""
    server.always = only(code, 7, kind=kind)
    node.receive([line(n) for n in range(5_000)])
    node.until(lambda: len(server.documents) == 4_999 and node.sender.ledger.waiting == 1)
    assert node.sender.ledger.mark == 0, "what waits keeps its place in the spool"
    assert node.check()["queued"] == 1
    assert node.letters.count() == 0
    server.always = None
    node.drain()
    assert node.check()["stored"] == 5_000


@pytest.mark.parametrize("code", [401, 403])
def test_a_key_that_is_refused_stops_the_sending_not_the_receiving(
    node: Node, server: StoreServer, code: int, caplog: pytest.LogCaptureFixture
) -> None:
    server.always = status(code, "security_exception", "no")
    node.receive([line(n) for n in range(3_000)])
    node.until(lambda: node.clock.seconds > 120)
    assert 2 <= len(server.bulks) <= 10, "two in flight, then one pair in 30 seconds"
    assert "key" in node.sender.figures()["trouble"]
    assert node.sender.figures()["trouble_since"] == iso(NOON)
    assert sum("key" in one.message for one in caplog.records) <= 1, "said once"
    node.receive([line(n) for n in range(3_000, 4_000)], at=3_000)
    assert node.spool.status()["pending"] == 4_000
    server.always = None
    node.drain()
    assert node.check()["stored"] == 4_000
    assert node.sender.figures()["trouble"] == ""
