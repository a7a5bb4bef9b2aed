"""Row 10: busy servers, and answers lost after the write was done: nothing lost, nothing twice."""

import threading
from typing import Any

import pytest

from tests.faults.sending import Node, line
from tests.faults.servers.store_server import (
    Fault,
    StoreServer,
    cut_after,
    cut_before,
    late,
    status,
)

LINES = 3_500


def marked(document: dict[str, Any]) -> bool:
    return bool(document.get("soc.index", {}).get("resent"))


def originals(server: StoreServer) -> list[bytes]:
    return sorted(one["event"]["original"].encode() for one in server.documents.values())


@pytest.mark.parametrize(
    "fault",
    [status(429), status(502), status(503), status(504), cut_before, cut_after],
    ids=["429", "502", "503", "504", "cut before", "cut after"],
)
def test_what_fails_goes_again_until_it_is_stored_once(
    node: Node, server: StoreServer, fault: Fault
) -> None:
    server.script.extend([fault] * 5)
    node.receive([line(n) for n in range(LINES)])
    node.drain()
    assert originals(server) == sorted(line(n) for n in range(LINES))
    events = node.check()
    assert (events["queued"], events["dead-lettered"], events["emitted"]) == (0, 0, LINES)


def test_only_what_may_be_stored_already_is_marked(node: Node, server: StoreServer) -> None:
    server.script.extend([status(429), cut_before])
    node.receive([line(n) for n in range(10)])
    node.drain()
    assert [marked(one) for one in server.documents.values()] == [True] * 10
    node.receive([line(n) for n in range(10, 20)], at=10)
    node.drain()
    assert [marked(one) for one in server.documents.values()] == [True] * 10 + [False] * 10


def test_a_crash_before_the_checkpoint_costs_conflicts_only(
    node: Node, server: StoreServer
) -> None:
    node.receive([line(n) for n in range(LINES)])
    node.until(lambda: len(server.documents) >= 2_000)
    node.crash()
    node.drain()
    assert originals(server) == sorted(line(n) for n in range(LINES))
    events = node.check()
    assert events["emitted"] == LINES
    assert events["stored"] + events["duplicate"] == LINES


def test_a_lost_checkpoint_costs_the_counts_and_the_books_balance(
    node: Node, server: StoreServer
) -> None:
    """Row 7: what the spool still has is sent again; of what it has no more nothing is known."""
    for start in range(0, 3_000, 100):
        node.receive([line(n) for n in range(start, start + 100)], at=start)
        node.drain()
    node.spool._give_up_segments()
    node.receive([line(n) for n in range(3_000, LINES)], at=3_000)
    (node.state / "spool" / "checkpoint").unlink()
    node.crash()
    assert node.sender.ledger.mark == 3_000
    node.check()
    node.drain()
    assert node.check()["stored"] == LINES - 3_000
    assert originals(server) == sorted(line(n) for n in range(LINES))


def test_a_slow_answer_holds_nobody_else_up(node: Node, server: StoreServer) -> None:
    answer = threading.Event()
    server.script.append(late(answer))
    node.receive([line(n) for n in range(5_000)])
    node.until(lambda: len(server.documents) == 5_000)
    # Whichever parcel came first at the server has no verdict: from it on nothing is settled.
    assert node.sender.ledger.mark < 5_000
    answer.set()
    node.drain()
    assert node.sender.ledger.mark == 5_000


def test_waits_grow_and_are_spread(node: Node, server: StoreServer) -> None:
    waits: list[float] = []

    def spread(low: float, high: float) -> float:
        assert low == 0
        waits.append(high)
        return high

    node.sender.spread = spread
    server.script.extend([cut_before] * 12)
    node.receive([line(1)])
    node.drain()
    assert waits == sorted(waits)
    assert waits[0] < 1 < waits[-1] == 30
