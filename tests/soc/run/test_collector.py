"""`soc collect run` as an admin runs it: one machine, the embedded store."""

import socket
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from collectors.inputs.syslog_tcp import PER_PEER
from collectors.sender.dead_letters import DeadLetters
from soc.run import status
from soc.store.open import open_store
from tests.command import soc
from tests.elastic.flow import Flow, drained, flow, line
from tests.elastic.server import free_port
from tests.faults.sending import NOON

REFUSED = {
    "@timestamp": "2026-11-22T08:00:00.000000Z",
    "event.id": "0199f3a1c2d4-8a41c0",
    "event.dataset": "test",
    "message": "a\ud800b",
}


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Flow]:
    """A node with the store in its own state folder."""
    with flow(tmp_path, {"url": f"sqlite:{tmp_path}/store"}) as made:
        yield made


def until(reached: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 120
    while not reached():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def stored(node: Flow, count: int) -> bool:
    found = status.read(node.state)
    return found is not None and found["running"] and found["events"]["emitted"] >= count


def test_collects_shows_its_books_live_and_goes_on_after_a_stop(node: Flow) -> None:
    node.write(500)
    node.start()
    until(lambda: stored(node, 500))
    ran = soc("collect", "status", home=node.home)
    assert ran.code == 0, ran.err
    figures = {one["what"]: one["count"] for one in ran.documents}
    name = f"{node.home}/auth.log*"
    assert figures[f"{name}: received"] == 500
    assert figures["events: stored"] + figures["events: queued"] == 500
    second = soc("collect", "run", home=node.home)
    assert second.code == 6
    assert node.process is not None
    assert str(node.process.pid) in second.err
    node.stop()
    node.write(200)
    figures = node.settle()
    assert figures["events"]["stored"] == 700, "counters survive"
    assert figures["settled"] == {name: 700}
    ran = soc("collect", "status", home=node.home)
    assert ran.code == 0
    assert "does not run" in ran.err
    (check,) = [one for one in checks(node) if one["check"] == "spool"]
    assert check["state"] == "ok"
    with closing(open_store(node.home / "store")) as store:
        assert len(list(drained(store))) == 700


def checks(node: Flow) -> list[dict[str, str]]:
    return soc("doctor", home=node.home).documents


def test_syslog_over_tcp_becomes_events_with_their_peer(node: Flow) -> None:
    port = free_port()
    with (node.home / "soc.toml").open("a") as file:
        file.write(f'[[inputs]]\nlisten = "tcp://127.0.0.1:{port}"\nunit = "Gate"\n')
    node.start()

    def send() -> bool:
        try:
            with socket.create_connection(("127.0.0.1", port)) as connection:
                connection.sendall(f"<38>{line(1)}\n<38>{line(2)}\n".encode() + b"garbage \xff\n")
        except ConnectionRefusedError:
            return False
        return True

    until(send)
    until(lambda: stored(node, 3))
    node.stop()
    assert node.figures()["events"]["stored"] == 3
    with closing(open_store(node.home / "store")) as store:
        events = list(drained(store))
    assert {one["log.source.address"] for one in events} == {"127.0.0.1"}
    assert {one["organization.unit"] for one in events} == {"Gate"}
    assert len({one["event.id"] for one in events}) == 3
    assert sum(one["event.kind"] == "pipeline_error" for one in events) <= 1
    assert all("event.ingested" in one for one in events)


@pytest.mark.slow
def test_connections_that_were_refused_are_told_to_the_store_and_by_the_doctor(node: Flow) -> None:
    port = free_port()
    with (node.home / "soc.toml").open("a") as file:
        file.write(f'[[inputs]]\nlisten = "tcp://127.0.0.1:{port}"\n')
    node.start()
    address = ("127.0.0.1", port)

    def first() -> bool:
        try:
            connections.append(socket.create_connection(address))
        except ConnectionRefusedError:
            return False
        return True

    connections: list[socket.socket] = []
    until(first)
    connections += [socket.create_connection(address) for _ in range(PER_PEER + 2)]
    until(lambda: stored(node, 1))
    node.stop()
    for one in connections:
        one.close()
    with closing(open_store(node.home / "store")) as store:
        (told,) = drained(store)
    name = f"tcp://127.0.0.1:{port}"
    assert told["event.action"] == "loss"
    assert told["soc.loss.reasons"] == [f"{name}: connections refused=3"]
    (check,) = [one for one in checks(node) if one["check"] == "connections"]
    assert check["state"] == "warning"
    assert f"{name}: 3 connections" in check["detail"]
    figures = {
        one["what"]: one["count"] for one in soc("collect", "status", home=node.home).documents
    }
    assert figures[f"{name}: connections refused"] == 3


def test_dead_letters_on_the_command_line(node: Flow) -> None:
    node.write(1)
    node.settle()
    with closing(DeadLetters(node.state)) as letters:
        letters.put([(REFUSED, "not JSON: a lone surrogate")], NOON)
    (letter,) = soc("collect", "dead-letters", "list", home=node.home).documents
    assert "JSON" in letter["reason"]
    shown = soc("collect", "dead-letters", "show", letter["id"], home=node.home)
    assert "ud800" in shown.out
    again = soc("collect", "dead-letters", "replay", "--all", home=node.home)
    assert again.code == 4
    (letter,) = soc("collect", "dead-letters", "list", home=node.home).documents
    assert letter["attempts"] == 2
    assert soc("collect", "dead-letters", "drop", home=node.home).code == 2
    assert soc("collect", "dead-letters", "drop", letter["id"], home=node.home).code == 0
    assert soc("collect", "dead-letters", "list", home=node.home).documents == []
    assert soc("collect", "dead-letters", "show", "nobody", home=node.home).code == 4


def test_nothing_to_collect_and_nothing_to_show_are_said(tmp_path: Path) -> None:
    ran = soc("collect", "run", home=tmp_path)
    assert ran.code == 3
    assert "[[inputs]]" in ran.err
    ran = soc("collect", "status", home=tmp_path)
    assert ran.code == 4
    assert "soc collect run" in ran.err


def test_books_that_do_not_balance_are_named() -> None:
    figures = {
        "spool": {
            "inputs": {"a": {"received": 9}},
            "received": 10,
            "settled": 4,
            "pending": 5,
            "lost": 1,
        },
        "settled": {"a": 4},
        "events": {"emitted": 4, "stored": 1, "duplicate": 1, "dead-lettered": 1, "queued": 0},
    }
    assert len(status.wrong(figures)) == 4
