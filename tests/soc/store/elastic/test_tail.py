"""The tail, on a server that is a dictionary: what it must not take for all there is."""

from typing import Any

import pytest

from soc.store.base import Busy
from soc.store.elastic.client import refreshed
from soc.store.elastic.names import Backing
from soc.store.elastic.tail import Cursor, Shard, pieces

NAME = ".ds-logs-soc.x-city-2026.11.22-000001"


class Server:
    """One shard of ten documents, of which a copy that was not refreshed shows the first three."""

    url = "https://soc.example:9200"

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
