"""Verdicts and retries against a scripted server: no network, no waiting."""

from collections.abc import Callable
from typing import Any

import orjson
import pytest
from elastic_transport import ApiResponseMeta, ConnectionTimeout, HttpHeaders, NodeConfig
from elasticsearch import ApiError

from soc.store.base import Busy, Denied, Silent
from soc.store.elastic.bulk import ATTEMPTS, Bulk, Item

Answer = Callable[[list[str]], dict[str, Any]]
_NODE = NodeConfig("https", "soc.example", 9200)


def refused(status: int, reason: str = "y") -> Answer:
    def answer(_: list[str]) -> dict[str, Any]:
        meta = ApiResponseMeta(status, "1.1", HttpHeaders(), 0.1, _NODE)
        raise ApiError("refused", meta, {"error": {"type": "x", "reason": reason}})

    return answer


def silent(_: list[str]) -> dict[str, Any]:
    raise ConnectionTimeout("no answer")


def verdicts(*statuses: int, kind: str = "some_exception") -> Answer:
    def answer(ids: list[str]) -> dict[str, Any]:
        assert len(statuses) == len(ids)
        return {"items": [{"create": _item(status, kind)} for status in statuses]}

    return answer


def _item(status: int, kind: str) -> dict[str, Any]:
    item: dict[str, Any] = {"status": status, "_index": ".ds-x-2026.11.22-000001"}
    if status >= 300:
        item["error"] = {"type": kind, "reason": "why. Preview of field's value: 'secret'"}
    return item


def fine(ids: list[str]) -> dict[str, Any]:
    return verdicts(*[201] * len(ids))(ids)


class Server:
    """Answers as scripted, then fine; keeps what it was sent."""

    url = "https://soc.example:9200"

    def __init__(self, *script: Answer) -> None:
        self.script = list(script)
        self.sent: list[list[tuple[str, dict[str, Any]]]] = []

    def send(self, method: str, path: str, body: bytes, **_: Any) -> dict[str, Any]:
        assert (method, path) == ("PUT", "/_bulk")
        lines = [orjson.loads(line) for line in body.splitlines()]
        pairs = [
            (action["create"]["_id"], line)
            for action, line in zip(lines[::2], lines[1::2], strict=True)
        ]
        self.sent.append(pairs)
        ids = [identity for identity, _ in pairs]
        return (self.script.pop(0) if self.script else fine)(ids)


def items(count: int) -> list[Item]:
    def made(n: int) -> Item:
        return Item("x", f"id{n}", b'{"n":%d}' % n, lambda: b'{"n":%d,"again":true}' % n)

    return [made(n) for n in range(count)]


def run(server: Any, some: list[Item]) -> list[float]:
    waits: list[float] = []
    Bulk(server, wait=waits.append, spread=lambda low, high: high).send(some)
    return waits


def outcomes(some: list[Item]) -> list[str]:
    return [one.verdict.outcome if one.verdict else "none" for one in some]


def test_every_document_gets_its_own_verdict() -> None:
    some = items(5)
    server = Server(verdicts(201, 409, 400, 413, 404))
    run(server, some)
    assert outcomes(some) == ["created", "duplicate", *["rejected"] * 3]
    assert some[2].verdict is not None
    assert some[2].verdict.reason == "some_exception: why"


@pytest.mark.parametrize("status", [429, 502, 503, 504, 500])
def test_only_those_without_a_verdict_go_again(status: int) -> None:
    some = items(3)
    server = Server(verdicts(201, status, 400), verdicts(status))
    waits = run(server, some)
    assert outcomes(some) == ["created", "created", "rejected"]
    assert [[identity for identity, _ in pairs] for pairs in server.sent] == [
        ["id0", "id1", "id2"],
        ["id1"],
        ["id1"],
    ]
    assert waits == sorted(waits)
    assert waits[0] > 0
    assert all("again" not in line for pairs in server.sent for _, line in pairs)


def test_a_blocked_index_is_no_refusal() -> None:
    some = items(1)
    run(Server(verdicts(403, kind="cluster_block_exception")), some)
    assert outcomes(some) == ["created"]


def test_a_key_that_may_not_stops_at_once() -> None:
    some = items(3)
    server = Server(verdicts(201, 403, 409, kind="security_exception"))
    with pytest.raises(Denied) as caught:
        run(server, some)
    assert "may not" in caught.value.message
    assert len(server.sent) == 1
    assert outcomes(some) == ["created", "none", "duplicate"], "verdicts that were given are kept"


@pytest.mark.parametrize("status", [401, 403])
def test_a_refused_request_stops_at_once(status: int) -> None:
    server = Server(refused(status))
    with pytest.raises(Denied):
        run(server, items(2))
    assert len(server.sent) == 1


def test_a_server_that_does_not_speak_our_version_refuses_no_document() -> None:
    some = items(2)
    server = Server(refused(400, "Accept version must be either version 8 or 7, but found 9"))
    with pytest.raises(Denied):
        run(server, some)
    assert len(server.sent) == 1
    assert outcomes(some) == ["none", "none"]


@pytest.mark.parametrize("status", [429, 500, 503])
def test_without_patience_a_busy_server_is_asked_once(status: int) -> None:
    some = items(3)
    server = Server(verdicts(201, status, 400))
    with pytest.raises(Busy):
        Bulk(server, wait=lambda _: None, attempts=1).send(some)  # type: ignore[arg-type]
    assert outcomes(some) == ["created", "none", "rejected"]
    assert len(server.sent) == 1


def test_a_busy_part_does_not_stop_the_next_one() -> None:
    some = [Item("x", str(n), b'{"t":"%s"}' % (b"x" * 3_000_000)) for n in range(3)]
    server = Server(refused(429))
    with pytest.raises(Busy):
        Bulk(server, wait=lambda _: None, attempts=1).send(some)  # type: ignore[arg-type]
    assert outcomes(some) == ["none", "created", "created"]


def test_after_silence_documents_are_marked_as_sent_again() -> None:
    some = items(2)
    server = Server(silent, verdicts(201, 429))
    run(server, some)
    assert outcomes(some) == ["created", "created"]
    again = [[line.get("again", False) for _, line in pairs] for pairs in server.sent]
    assert again == [[False, False], [True, True], [True]]


@pytest.mark.parametrize("status", [400, 413])
def test_a_request_that_is_refused_is_halved(status: int) -> None:
    def picky(ids: list[str]) -> dict[str, Any]:
        return refused(status)(ids) if "id3" in ids else fine(ids)

    some = items(8)
    server = Server(*[picky] * 50)
    run(server, some)
    assert outcomes(some) == [*["created"] * 3, "rejected", *["created"] * 4]
    assert len(server.sent) <= 8


def test_a_store_that_never_answers_is_an_error_in_the_end() -> None:
    server = Server(*[silent] * 50)
    with pytest.raises(Silent) as caught:
        run(server, items(1))
    assert len(server.sent) == ATTEMPTS
    assert caught.value.hint


def test_requests_are_bounded() -> None:
    some = [Item("x", str(n), b'{"t":"%s"}' % (b"x" * 1_000_000)) for n in range(12)]
    server = Server()
    run(server, some)
    assert max(len(pairs) for pairs in server.sent) <= 5
    assert sum(len(pairs) for pairs in server.sent) == 12
