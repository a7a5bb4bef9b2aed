"""What an admin's timer or an update does to the indices: turn, migrate, drop second copies.

Each of it may be run twice, and from two places at once.
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from typing import Final
from uuid import uuid4

import orjson

from soc.errors import StoreError
from soc.store.base import Denied
from soc.store.elastic.client import Client, Json, told
from soc.store.elastic.names import Backing, Names, document_id
from soc.store.elastic.streams import Streams
from soc.store.elastic.templates import component
from soc.store.elastic.versions import older
from soc.store.elastic.wire import decode
from soc.store.elastic.work import acquire, release

Clock = Callable[[], datetime]
SECONDS: Final = 60.0
"""How long a migration that died keeps others waiting."""
PAGE: Final = 1_000


@dataclass(frozen=True, slots=True)
class Upkeep:
    """The upkeep of one environment."""

    client: Client
    names: Names
    streams: Streams

    def migrate(self, now: Clock, wait: Callable[[float], None] = time.sleep) -> list[str]:
        """Let every stream go on in an index of this version; return what was begun or extended.

        The templates are written before. Older indices of a stream stay as they are; a month of
        alerts, which has no successor, gets the fields that are new. One does it at a time.
        """
        holder = uuid4().hex
        while not (lease := acquire(self.client, self.names, "migrate", holder, SECONDS, now())):
            wait(0.2)
        try:
            return self._migrate()
        finally:
            release(self.client, self.names, lease)

    def _migrate(self) -> list[str]:
        done = []
        for name in older(self.client, self.names, self.streams):
            if backing := Backing.read(name):
                answer = self.client.ask("POST", f"/{backing.stream}/_rollover")
                done.append(str(answer["new_index"]))
            else:
                self.client.ask("PUT", f"/{name}/_mapping", component()["template"]["mappings"])
                done.append(name)
        return done

    def second_copies(self) -> Iterator[tuple[str, list[str]]]:
        """Yield (index, ids) of events sent again behind a rollover that an older index has."""
        everything = self.streams.backing(f"{self.names.events},{self.names.matches}")
        for _, some in groupby(everything, key=lambda one: one.stream):
            older: list[Backing] = []
            for one in some:
                if older:
                    yield from ((one.name, part) for part in self._copies(one, older))
                older.append(one)

    def _copies(self, index: Backing, older: list[Backing]) -> Iterator[list[str]]:
        self.client.refresh(index.name)
        after: list[int] | None = None
        while True:
            body: Json = {"query": {"term": {"soc.index.resent": True}}, "size": PAGE}
            body |= {"sort": [{"_seq_no": "asc"}], "_source": True}
            hits = self.client.search(index.name, body | ({"search_after": after} if after else {}))
            ids = [str(decode(hit["_source"], hit["_id"]).get("event.id")) for hit in hits]
            if second := sorted(self.streams.among(older, ids)):
                yield second
            if len(hits) < PAGE:
                return
            after = hits[-1]["sort"]

    def drop(self, index: str, ids: list[str]) -> int:
        """Delete these copies from an index; return how many were there."""
        actions = [{"delete": {"_index": index, "_id": document_id(one)}} for one in ids]
        lines = b"".join(orjson.dumps(one) + b"\n" for one in actions)
        answer = self.client.ask("POST", "/_bulk", lines)
        results = [item["delete"] for item in answer["items"]]
        refused = [one for one in results if one["status"] not in (200, 404)]
        if any(one["status"] == 403 for one in refused):
            reason = f"the key may not do this: {told(refused[0].get('error'))}"
            raise Denied(reason, where=self.client.url, hint="soc store keys")
        if refused:
            reason = f"{len(refused)} second copies could not be deleted"
            raise StoreError(reason, where=index, hint="soc store status")
        return sum(one["status"] == 200 for one in results)
