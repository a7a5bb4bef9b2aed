"""Row 12: a document that breaks a request costs itself: bisected, kept with the reason."""

import json
from collections.abc import Sequence
from typing import Any

from soc.model.event import Event
from soc.store.base import Verdict
from tests.faults.sending import Node, line
from tests.faults.servers.store_server import Exchange, StoreServer, status

SECRET = "hunter2"


def test_poison_is_isolated_and_its_text_is_not_in_our_log(
    node: Node, server: StoreServer, caplog: Any
) -> None:
    def picky(exchange: Exchange) -> Any:
        poisoned = SECRET.encode() in exchange.body
        return status(400, "parse", "bad")(exchange) if poisoned else exchange.carry_out()

    server.always = picky
    lines = [line(n) for n in range(1_000)]
    lines[333] = line(333, f"Accepted password for {SECRET} from 192.0.2.7 port 1 ssh2")
    node.receive(lines)
    node.drain()
    assert node.check()["stored"] == 999
    (letter,) = node.letters.all()
    assert letter.event["user.name"] == SECRET
    assert "400" in letter.reason
    assert len(server.bulks) < 25, "bisected"
    assert SECRET not in caplog.text
    assert SECRET not in letter.reason


def test_a_request_that_is_too_large_is_cut(node: Node, server: StoreServer) -> None:
    def small(exchange: Exchange) -> Any:
        large = len(exchange.body) > 50_000
        return status(413)(exchange) if large else exchange.carry_out()

    server.always = small
    node.receive([*[line(n) for n in range(500)], line(500, "x" * 60_000)])
    node.drain()
    events = node.check()
    assert (events["stored"], events["dead-lettered"]) == (500, 1)


def test_a_lone_surrogate_and_a_thousand_fields(node: Node, server: StoreServer) -> None:
    many = json.dumps({f"field{n}": n for n in range(1_001)} | {"long": "y" * 40_000}).encode()
    node.receive([line(1), b'{"message": "\\ud800"}', many, line(2)])
    node.drain()
    events = node.check()
    assert events["emitted"] == 4
    assert events["stored"] + events["dead-lettered"] == 4
    kept = "".join(json.dumps(one) for one in server.documents.values())
    assert "field1000" in kept
    for letter in node.letters.all():
        assert "JSON" in letter.reason


def test_a_bug_of_ours_in_one_event_stops_nobody(node: Node) -> None:
    real = node.sender.store.append

    def broken(documents: Sequence[Event], **options: Any) -> list[Verdict]:
        if any(SECRET in str(one) for one in documents):
            raise RuntimeError(SECRET)
        return real(documents, **options)

    node.sender.store.append = broken  # type: ignore[method-assign]
    lines = [line(n) for n in range(900)]
    lines[123] = line(123, SECRET)
    node.receive(lines)
    node.drain()
    (letter,) = node.letters.all()
    assert letter.reason == "our bug: RuntimeError"
    assert node.check()["stored"] == 899
