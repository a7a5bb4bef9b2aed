"""Searching and counting: the server proposes, and counts what needs no second look.

Pages are sorted by @timestamp (milliseconds), id and place, and go on behind the last one, so that
documents that arrive in between disturb nothing. A scan reads a point in time to its end.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from heapq import nsmallest
from typing import Any, Final

import orjson

from soc.errors import StoreError, UsageError
from soc.model.event import Event
from soc.model.time import iso, parse_iso
from soc.store.base import Bucket, Collection, Histogram, Page, Terms
from soc.store.elastic.client import ApiError, Client, Json, complete
from soc.store.elastic.dsl import Dsl, Plan, every, no, plan
from soc.store.elastic.wire import decode
from soc.store.query import Node
from soc.store.values import instant, reader, searchable, text_of

MOST: Final = 2_000
KEEP: Final = "2m"
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_FIRST: Final = (datetime(2, 1, 1, tzinfo=UTC) - _EPOCH) // timedelta(milliseconds=1)
_LAST: Final = (datetime.max.replace(tzinfo=UTC) - _EPOCH) // timedelta(milliseconds=1)
"""The ends of the calendar in milliseconds, with room for the beginning of a bucket."""
_BODY: Final[Json] = {"track_total_hits": False, "allow_partial_search_results": False}


@dataclass(frozen=True, slots=True)
class Search:
    """A query over the indices of a collection."""

    client: Client
    index: str
    collection: Collection
    query: Node
    since: datetime | None
    until: datetime | None

    def page(self, limit: int, after: str | None) -> Page:
        """Return a page of matches, newest first."""
        place = _read(after)
        found = self._native(lambda asked: self._take(asked, limit + 1, place))
        shown = found[:limit]
        following = None
        if shown and len(found) > limit:
            following = orjson.dumps(shown[-1][0]).decode()
        # The server sorts by the millisecond, the page by the microsecond.
        events = sorted((event for _, event in shown), key=_moment, reverse=True)
        return Page(events, following)

    def terms(self, by: Terms) -> list[Bucket]:
        """Count matches by the values of a field."""
        if not searchable(by.field):
            raise UsageError(
                f"{by.field} is stored but not searchable", hint="count a parsed field"
            )
        read = reader(by.field)

        def count(asked: Plan) -> Counter[str]:
            counts: Counter[str] = Counter()
            for event in self._scan(asked.candidates):
                if asked.test(event):
                    counts.update({text_of(value) for value in read(event)})
            return counts

        counts = self._native(count)
        best = nsmallest(by.size, counts.items(), key=lambda pair: (-pair[1], pair[0]))
        return [Bucket(key, number) for key, number in best]

    def histogram(self, by: Histogram) -> list[Bucket]:
        """Count matches by time."""
        if by.seconds < 1:
            raise UsageError("a time bucket has at least one second", hint="3600 is an hour")
        counts = self._native(lambda asked: self._times(asked, by))
        width = timedelta(seconds=by.seconds)
        return [Bucket(iso(_EPOCH + number * width), counts[number]) for number in sorted(counts)]

    def _native(self, ask: "Callable[[Plan], Any]") -> Any:  # noqa: ANN401
        """Return what `ask` finds; a pattern that the server refuses is decided here."""
        asked = plan(self.query, self.since, self.until)
        try:
            return ask(asked)
        except StoreError as error:
            cause = error.__cause__
            if not (isinstance(cause, ApiError) and cause.status_code == 400):
                raise
            return ask(plan(self.query, self.since, self.until, patterns=False))

    def _take(
        self, asked: Plan, limit: int, after: list[Any] | None
    ) -> list[tuple[list[Any], Event]]:
        """Return up to `limit` matches behind a place, each with its own."""
        found: list[tuple[list[Any], Event]] = []
        identity = "event.id" if self.collection == "events" else "soc.alert.id"
        sort: list[Json] = [
            {"@timestamp": {"order": "desc", "format": "epoch_millis"}},
            {f"{identity}.exact": {"order": "desc"}},
            {"_index": {"order": "desc"}},  # these two for events of others, which have no id
            {"_seq_no": {"order": "desc"}},
        ]
        size = min(limit, MOST)
        while len(found) < limit:
            body = _BODY | {"query": asked.candidates, "sort": sort, "size": size}
            del body["allow_partial_search_results"]
            hits = self.client.search(self.index, body | ({"search_after": after} if after else {}))
            for hit in hits:
                event = decode(hit["_source"], hit["_id"])
                if asked.test(event):
                    found.append((hit["sort"], event))
            if len(hits) < size:
                break
            after, size = hits[-1]["sort"], min(size * 4, MOST)
        return found[:limit]

    def _times(self, asked: Plan, by: Histogram) -> Counter[int]:
        width = timedelta(seconds=by.seconds)
        counts: Counter[int] = Counter()
        left = asked.candidates
        if asked.exact:
            left = every([asked.candidates, asked.odd])
            sure = every([asked.native, no(asked.odd)])
            for millis, number in self._composite(sure, by.seconds):
                known = _FIRST <= millis <= _LAST  # else a time of others, see `foreign`
                counts[millis // (by.seconds * 1000) if known else 0] += number
        for event in self._scan(left):
            if asked.test(event):
                counts[(parse_iso(event["@timestamp"]) - _EPOCH) // width] += 1
        return counts

    def _composite(self, query: Dsl, seconds: int) -> Iterator[tuple[int, int]]:
        at = {"date_histogram": {"field": "@timestamp", "fixed_interval": f"{seconds}s"}}
        after: Json = {}
        while True:
            asked = {"size": MOST, "sources": [{"at": at}]} | after
            answer = self.client.ask(
                "POST",
                f"/{self.index}/_search",
                {"size": 0, "query": query, "aggs": {"by": {"composite": asked}}},
                allow_partial_search_results="false",
                ignore_unavailable="true",
            )
            found = complete(answer, self.client.url).get("aggregations", {}).get("by", {})
            for bucket in found.get("buckets", []):
                yield int(bucket["key"]["at"]), int(bucket["doc_count"])
            if "after_key" not in found or len(found["buckets"]) < MOST:
                return
            after = {"after": found["after_key"]}

    def _scan(self, query: Dsl) -> Iterator[Event]:
        """Yield all candidates, as they were at one moment."""
        opened = self.client.ask(
            "POST",
            f"/{self.index}/_pit",
            keep_alive=KEEP,
            ignore_unavailable="true",
            allow_partial_search_results="false",
        )
        pit, after = opened["id"], None
        try:
            while True:
                body = {"query": query, "size": MOST, "sort": ["_shard_doc"]}
                body |= {"pit": {"id": pit, "keep_alive": KEEP}, "track_total_hits": False}
                hits = self.client.search("", body | ({"search_after": after} if after else {}))
                for hit in hits:
                    yield decode(hit["_source"], hit["_id"])
                if len(hits) < MOST:
                    return
                after = hits[-1]["sort"]
        finally:
            self.client.ask("DELETE", "/_pit", {"id": pit}, missing=True)


def _read(cursor: str | None) -> list[Any] | None:
    """Return the place that a cursor names; raise UsageError."""
    if cursor is None:
        return None
    try:
        at, identity, index, number = orjson.loads(cursor)
        return [int(at), None if identity is None else str(identity), str(index), int(number)]
    except (ValueError, TypeError):
        hint = "pass `next` of the page before"
        raise UsageError("not a cursor of this store", hint=hint) from None


def _moment(event: Event) -> str:
    return instant(event.get("@timestamp")) or ""
