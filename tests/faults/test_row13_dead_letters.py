"""Row 13: a dead letter that is replayed and refused again stays once; there is no loop."""

from pathlib import Path

import pytest

from collectors.spool.state import REFUSED
from soc.run.replay import replay
from soc.store.sqlite import SqliteStore
from tests.faults.sending import NOON, Node, line
from tests.faults.servers.store_server import StoreServer, items, status


def refused(node: Node, server: StoreServer, count: int) -> None:
    server.always = items(lambda one: 400)
    node.receive([line(n) for n in range(count)])
    node.drain()
    assert node.letters.count() == count


def test_a_replay_that_fails_again_stays_once(node: Node, server: StoreServer) -> None:
    refused(node, server, 5)
    assert replay(node.letters, node.store, lambda: NOON) == (0, 5)
    assert [one.attempts for one in node.letters.all()] == [2] * 5
    assert len(server.bulks) == 2, "each was sent once more, not in a loop"


def test_after_a_fix_they_are_stored_once(node: Node, server: StoreServer) -> None:
    refused(node, server, 1_200)
    server.always = None
    assert replay(node.letters, node.store, lambda: NOON) == (1_200, 0)
    assert node.letters.count() == 0
    assert len(server.documents) == 1_200
    assert node.check()["dead-lettered"] == 1_200, "the books of what was sent stay as they were"


def test_a_replay_of_some(node: Node, server: StoreServer) -> None:
    refused(node, server, 3)
    server.always = None
    ids = [one.id for one in node.letters.all()]
    assert replay(node.letters, node.store, lambda: NOON, ids[:1]) == (1, 0)
    assert [one.id for one in node.letters.all()] == ids[1:]
    assert node.letters.drop(ids) == 2


def test_a_store_that_is_down_costs_no_letter(node: Node, server: StoreServer) -> None:
    refused(node, server, 3)
    server.always = status(401)
    with pytest.raises(Exception, match="key"):
        replay(node.letters, node.store, lambda: NOON)
    assert [one.attempts for one in node.letters.all()] == [1] * 3


def test_a_crash_before_the_checkpoint_leaves_one_letter(node: Node, server: StoreServer) -> None:
    server.always = items(lambda one: 400)
    node.receive([line(1)])
    node.until(lambda: node.letters.count() == 1)
    node.crash()
    node.drain()
    (letter,) = node.letters.all()
    assert letter.attempts == 2
    assert node.check()["dead-lettered"] == 1


def test_a_loss_is_an_event_of_its_own_and_causes_no_other(node: Node, server: StoreServer) -> None:
    server.script.append(items(lambda one: 400))
    node.receive([line(n) for n in range(7)])
    node.drain()
    node.sender._told_at = -100
    node.until(lambda: bool(server.documents))
    (told,) = server.documents.values()
    assert told["event"]["dataset"] == "collector"
    assert told["soc"]["loss"] == {"count": 7, "reasons": ["dead-lettered=7"]}
    server.always = items(lambda one: 400)
    node.receive([line(8)], at=8)
    node.clock.seconds += 100
    node.until(lambda: node.letters.count() == 9)  # the line, and the event about it
    assert node.letters.count() == 9
    bulks = len(server.bulks)
    for _ in range(3):
        node.clock.seconds += 100
        node.until(lambda: node.sender.ledger.waiting == 0)
        node.sender.step()
    assert len(server.bulks) == bulks, "no loop"
    node.check()


def test_refused_connections_are_told_once_in_a_while_however_many(
    node: Node, server: StoreServer
) -> None:
    def refuse(many: int) -> None:
        for _ in range(many):
            node.spool.count("net", REFUSED)
        node.spool.commit()

    refuse(700)
    node.sender._told_at = -100
    node.until(lambda: len(server.documents) == 1)
    node.until(lambda: not node.sender.ledger.telling)
    node.clock.step, node.sender._told_at = 0.01, node.clock.seconds
    for _ in range(50):
        refuse(1)
        node.sender.step()
    assert len(server.documents) == 1, "not before its time"
    node.sender._told_at = -100
    node.until(lambda: len(server.documents) == 2)
    reasons = [one["soc"]["loss"] for one in server.documents.values()]
    assert reasons == [
        {"count": 0, "reasons": ["net: connections refused=700"]},
        {"count": 0, "reasons": ["net: connections refused=50"]},
    ], "no record is known to be lost"
    (first, _second) = server.documents.values()
    assert first["message"] == "lost on the way: 700 net: connections refused"
    node.check()


def test_what_the_embedded_store_refuses_is_kept_as_well(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "store")
    node = Node(tmp_path / "state", store)
    node.receive([line(1), line(2)])
    node.drain()
    assert node.stop()["stored"] == 2
    assert store.info().events == 2
    store.close()
