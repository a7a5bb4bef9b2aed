"""Bulk requests: a verdict for every document, whatever happens to the request.

201 created, 409 duplicate, 400/404/413 rejected; 429, 5xx and an index that takes nothing are tried
again with full jitter. What the key may not add waits for a person, and keeps nobody else out. A
request that got no answer may have been carried out: its documents are sent again marked `resent`,
so that the tail knows to look for second copies behind a rollover. Documents that have their
verdict keep it when the others end in an error.
"""

import random
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import orjson

from soc.errors import StoreError
from soc.store.base import Busy, Denied, Silent, Verdict
from soc.store.elastic.client import (
    FIRST_WAIT,
    ApiError,
    Client,
    TransportError,
    explained,
    refusal,
    told,
)
from soc.store.elastic.names import document_id

MAX_BYTES: Final = 5_000_000
MAX_DOCUMENTS: Final = 2_000
ATTEMPTS: Final = 8
LONGEST_WAIT: Final = 10.0
WAIT: Final = "20s"
"""How long the server waits for a shard that is away before it says so of the document."""
SHUT: Final = (
    "cluster_block_exception",  # a full disk, an admin
    "index_closed_exception",
    "unavailable_shards_exception",
    "validation_exception",  # no index can be made: the cluster has as many shards as it may
)
"""Errors of a document that are its index's: any other document would be refused as well."""


@dataclass(slots=True)
class Item:
    """One document on its way: where to, its id, and the line (again, when it is resent)."""

    index: str
    id: str
    line: bytes
    remake: Callable[[], bytes] | None = None
    verdict: Verdict | None = None
    shut: str = ""
    """Why its index takes nothing at the moment."""
    denied: bool = False
    """The key may not add to it."""

    def resend(self) -> None:
        """Mark the document as one that may be there already."""
        if self.remake is not None:
            self.line, self.remake = self.remake(), None

    @property
    def action(self) -> bytes:
        """Return the line that goes before the document; all of it is escaped JSON."""
        return orjson.dumps({"create": {"_index": self.index, "_id": document_id(self.id)}})


@dataclass
class Bulk:
    """Sends items until each has its verdict; raises Unsettled when the store gives none."""

    client: Client
    wait: Callable[[float], None] = time.sleep
    spread: Callable[[float, float], float] = random.uniform
    seen: Callable[[set[str]], None] | None = None
    """Is told the names of the indices that took documents."""
    attempts: int = ATTEMPTS

    def send(self, items: Sequence[Item]) -> None:
        """Send items, in requests of bounded size; a busy index does not stop the others."""
        busy: Busy | None = None
        for part in _parts(items):
            try:
                self._settle(part)
            except Busy as error:
                busy = busy or error
        if denied := next((item for item in items if item.denied), None):
            where, hint = self.client.url, "soc store keys"
            raise Denied(f"the key may not do this: {denied.shut}", where=where, hint=hint)
        if busy is not None:
            raise busy

    def _settle(self, items: Sequence[Item]) -> None:
        reason = StoreError("the store gave no verdict", where=self.client.url)
        waiting = list(items)
        for attempt in range(self.attempts):
            if attempt:
                most = min(LONGEST_WAIT, FIRST_WAIT * 2**attempt)
                self.wait(self.spread(0, most))
            try:
                answer = self._request(waiting)
            except ApiError as error:
                reason = refusal(error, self.client.url)
                if error.status_code in (400, 413) and not isinstance(reason, Denied):
                    self._halve(waiting, reason)
                    return
                if not isinstance(reason, Busy):
                    raise reason from error
                continue
            except TransportError as error:
                reason = _unreachable(error, self.client.url)
                for item in waiting:
                    item.resend()
                continue
            waiting = self._judge(waiting, answer)
            if not waiting:
                return
            reason = Busy(
                "the store is too busy or blocked", where=self.client.url, hint="soc store status"
            )
        raise reason

    def _request(self, items: Sequence[Item]) -> list[dict[str, Any]]:
        body = b"".join(b"%s\n%s\n" % (item.action, item.line) for item in items)
        answer = self.client.send(
            "PUT",
            "/_bulk",
            body,
            timeout=WAIT,
            filter_path="items.*.status,items.*.error,items.*._index",
        )
        found = [next(iter(one.values())) for one in answer.get("items", [])]
        if len(found) != len(items):
            raise Silent("the store left verdicts out", where=self.client.url)
        if self.seen is not None:
            self.seen({one["_index"] for one in found})
        return found

    def _judge(self, items: Sequence[Item], answers: Sequence[dict[str, Any]]) -> list[Item]:
        """Give items their verdicts; return those that are worth another try."""
        again = []
        for item, answer in zip(items, answers, strict=True):
            status, error = int(answer["status"]), answer.get("error")
            kind = error.get("type", "") if isinstance(error, dict) else ""
            item.denied = status in (401, 403) and kind not in SHUT
            item.shut = told(error) if item.denied or kind in SHUT else ""
            if status in (200, 201):
                item.verdict = Verdict(item.id, "created")
            elif status == 409:
                item.verdict = Verdict(item.id, "duplicate")
            elif status == 429 or status >= 500 or kind in SHUT:
                again.append(item)
            elif not item.denied:
                item.verdict = Verdict(item.id, "rejected", told(error))
        return again

    def _halve(self, items: Sequence[Item], reason: StoreError) -> None:
        """Find the one that makes the server refuse the whole request."""
        if len(items) == 1:
            items[0].verdict = Verdict(items[0].id, "rejected", reason.message)
            return
        middle = len(items) // 2
        self._settle(items[:middle])
        self._settle(items[middle:])


def _unreachable(error: Exception, url: str) -> StoreError:
    try:
        with explained(url):
            raise error
    except StoreError as found:
        return found


def _parts(items: Sequence[Item]) -> Iterator[list[Item]]:
    part: list[Item] = []
    size = 0
    for item in items:
        if part and (size + len(item.line) > MAX_BYTES or len(part) >= MAX_DOCUMENTS):
            yield part
            part, size = [], 0
        part.append(item)
        size += len(item.line) + 200
    if part:
        yield part
