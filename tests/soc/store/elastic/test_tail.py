"""The tail, on a server that is a dictionary: what it must not take for all there is."""

from typing import Any

import pytest

from soc.store.base import Busy, Silent
from soc.store.elastic.client import refreshed
from soc.store.elastic.names import Backing
from soc.store.elastic.streams import HEAVY
from soc.store.elastic.tail import BUDGET, Cursor, Shard, pieces

NAME = ".ds-logs-soc.x-city-2026.11.22-000001"


class Server:
    """One shard of ten documents, of which a copy that was not refreshed shows the first three."""

    url = "https://soc.example:9200"
    heavy = HEAVY

    def __init__(self) -> None:
        self.fails = True

    def refresh(self, index: str) -> None:
        assert index == NAME
        copies = {"total": 2, "successful": 1, "failed": 1} if self.fails else {"failed": 0}
        refreshed({"_shards": copies}, self.url)

    def many(self, requests: Any) -> list[dict[str, Any]]:
        hits = [
            {"_id": f"{n}", "_source": {"@timestamp": "2026-11-22T08:15:30Z"}, "sort": [n]}
            for n in range(3 if self.fails else 10)
        ]
        return [{"hits": {"hits": hits}} for _ in requests]


def test_a_copy_that_was_not_refreshed_is_not_read_to_its_end() -> None:
    """The server answers 200 when a replica's refresh failed, and may search on that replica."""
    backing = Backing.read(NAME)
    assert backing is not None
    server, position = Server(), Cursor()
    client: Any = server
    shards = [Shard(backing, "0", "h", -1, 9)]
    with pytest.raises(Busy):
        list(pieces(client, client, shards, position, 100))
    assert not position
    server.fails = False
    ((_, events),) = pieces(client, client, shards, position, 100)
    assert len(events) == 10
    assert position == {NAME: {"0@h": 9}}


class Frail:
    """A shard of documents of a megabyte, on a server that dies of more than twenty at once."""

    heavy = 100

    def refresh(self, index: str) -> None:
        pass

    def many(self, requests: Any) -> list[dict[str, Any]]:
        ((_, body),) = requests
        first = body["query"]["range"]["_seq_no"]["gt"] + 1
        last = min(first + body["size"], 100)
        if last - first > 20:
            raise Silent("the store cannot be reached")
        source = {"@timestamp": "2026-11-22T08:15:30Z", "message": "x" * 1_000_000}
        hits = [{"_id": f"{n}", "_source": dict(source), "sort": [n]} for n in range(first, last)]
        return [{"hits": {"hits": hits}}]


def test_documents_that_are_too_much_at_once_are_read_by_and_by() -> None:
    backing = Backing.read(NAME)
    assert backing is not None
    server, position = Frail(), Cursor()
    client: Any = server
    shards = [Shard(backing, "0", "h", -1, 99)]
    sizes: list[int] = []
    for _ in range(40):
        moved: Cursor = {name: dict(shard) for name, shard in position.items()}
        try:
            found = list(pieces(client, client, shards, moved, 2000))
        except Silent:
            continue
        position = moved
        sizes += [sum(len(events) for _, events in found)]
    assert sum(sizes) == 100
    assert max(sizes) <= BUDGET // 1_000_000 + 20
