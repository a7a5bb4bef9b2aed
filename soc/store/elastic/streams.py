"""Data streams: a backing index a day, duplicates over all of them, retention.

A data stream refuses a second `_id` in its newest index only. So before a batch goes out, those of
its ids that an older index may hold (its lowest and highest id are known) are looked up there.
"""

from collections.abc import Iterable, Sequence
from datetime import date, datetime, timedelta
from itertools import pairwise, zip_longest
from typing import Final

from soc.errors import StoreError
from soc.store.base import Retention
from soc.store.elastic.client import ApiError, Client, Json, explained
from soc.store.elastic.names import Backing, Names, document_id
from soc.store.elastic.work import TRIES, read, write

PAGE: Final = 1_000
FULL: Final = "50gb"
"""A shard this big is not added to: the usual advice of those who run clusters."""

HEAVY: Final = 250_000
"""Bytes of a document, where nothing is known of them."""


class Streams:
    """The data streams of one environment."""

    def __init__(self, client: Client, names: Names) -> None:
        self._client = client
        self._names = names
        self._days: dict[str, str] = {}
        self._known: dict[str, list[Backing]] = {}
        self._extents: dict[str, tuple[str, str]] = {}
        self._may_read = True
        self.heavy = HEAVY
        """Bytes of a document, as those were that the tail read last."""

    def begin(self, stream: str, today: date) -> None:
        """See to it that a stream writes into an index that was begun today or later.

        A key that may only create documents leaves that to others.
        """
        day = today.isoformat()
        if self._days.get(stream, "") >= day or not self._may_read:
            return
        try:
            self._turn(stream, day)
        except StoreError as error:
            if not _forbidden(error):
                raise
            self._may_read = False
        self._days[stream] = day

    def tend(self, today: date) -> list[str]:
        """Turn the index of every stream whose day has passed or that is full; return the new ones.

        Where only nodes write, whose keys turn nothing, this is what begins a day's index.
        """
        everything = self.backing(f"{self._names.events},{self._names.matches}")
        for one, following in zip_longest(everything, everything[1:]):
            if following is None or one.stream != following.stream:
                self._turn(one.stream, today.isoformat(), one.created)
                full = {"conditions": {"max_primary_shard_size": FULL}}
                self._client.ask("POST", f"/{one.stream}/_rollover", full, missing=True)
        there = {one.name for one in everything}
        now = self.backing(f"{self._names.events},{self._names.matches}")
        return [one.name for one in now if one.name not in there]

    def _turn(self, stream: str, day: str, begun: str = "") -> None:
        """Turn a stream into a day; `begun` is its index's own day, if none is known."""
        index = self._names.state("days")
        for _ in range(TRIES):
            found = read(self._client, index, stream)
            before = found.source.get("day", begun)
            if before >= day:
                return
            # The day is claimed first: of several processes one turns the page.
            if write(self._client, index, stream, found.source | {"day": day}, found.version):
                break
        else:
            return
        if before:
            self._rollover(stream, before, day)

    def _rollover(self, stream: str, before: str, day: str) -> None:
        turned = self._client.ask("POST", f"/{stream}/_rollover", missing=True)
        self._known.pop(stream, None)
        index = self._names.state("days")
        for _ in range(TRIES if turned else 0):
            found = read(self._client, index, stream)
            began: Json = dict(found.source.get("began", {}))
            began.setdefault(turned["old_index"], before)
            began[turned["new_index"]] = day
            if write(self._client, index, stream, found.source | {"began": began}, found.version):
                return

    def saw(self, indices: Iterable[str]) -> None:
        """Learn from a bulk answer which indices were written: a new one has been begun."""
        for name in indices:
            backing = Backing.read(name)
            if backing is None:
                continue
            known = self._known.get(backing.stream)
            if known and backing.generation > known[-1].generation:
                self._known.pop(backing.stream, None)  # another thread may have been faster

    def backing(self, pattern: str) -> list[Backing]:
        """Return the indices behind a pattern of streams, by stream, oldest first."""
        path = f"/_resolve/index/{pattern}"
        answer = self._client.ask("GET", path, missing=True, expand_wildcards="all")
        names = [name for one in answer.get("data_streams", []) for name in one["backing_indices"]]
        return sorted(found for name in names if (found := Backing.read(name)))

    def elsewhere(self, stream: str, ids: Sequence[str]) -> set[str]:
        """Return those of the ids that older indices of the stream hold."""
        if not self._may_read:
            return set()
        try:
            if stream not in self._known:
                self._known[stream] = self.backing(stream)
            return self.among(self._known[stream][:-1], ids)
        except StoreError as error:
            if not _forbidden(error):
                raise
            self._may_read = False
            return set()

    def among(self, older: Sequence[Backing], ids: Sequence[str]) -> set[str]:
        """Return those of the ids that these indices hold; none of them is written any more."""
        there: set[str] = set()
        for one in older:
            low, high = self._extent(one.name)
            wanted = [name for name in ids if low <= name <= high]
            for start in range(0, len(wanted), PAGE):
                part = {document_id(name): name for name in wanted[start : start + PAGE]}
                body = {"query": {"ids": {"values": list(part)}}, "size": PAGE, "_source": False}
                hits = self._client.search(one.name, body)
                there |= {part[hit["_id"]] for hit in hits}
        return there

    def _extent(self, index: str) -> tuple[str, str]:
        """Return the lowest and highest id in an index."""
        if index not in self._extents:
            with explained(self._client.url):
                try:
                    self._client.send("POST", f"/{index}/_refresh", ignore_unavailable="true")
                except ApiError as error:
                    if error.status_code != 403:
                        raise
            ends = []
            for order in ("asc", "desc"):
                sort = [{"event.id.exact": {"order": order}}]
                hits = self._client.search(index, {"size": 1, "sort": sort, "_source": False})
                ends += [hit["sort"][0] or "" for hit in hits]
            self._extents[index] = (ends[0], ends[1]) if len(ends) == 2 else ("~", "")
        return self._extents[index]

    def retain(self, policy: Retention, now: datetime) -> list[str]:
        """Drop indices that the policy does not keep, never the newest of a stream."""
        final = self._final()
        gone: list[str] = []
        if policy.days is not None:
            oldest = (now.date() - timedelta(days=policy.days)).isoformat()
            gone = [name for name, day in final if day < oldest]
        if policy.bytes is not None:
            sizes = self.sizes()
            total = sum(sizes.values()) - sum(sizes.get(name, 0) for name in gone)
            for name, _ in sorted(final, key=lambda pair: (pair[1], pair[0])):
                if total > policy.bytes and name not in gone:
                    gone.append(name)
                    total -= sizes.get(name, 0)
        for name in gone:
            self._client.ask("DELETE", f"/{name}", missing=True)
        self._known.clear()
        return gone

    def _final(self) -> list[tuple[str, str]]:
        """Return the indices that have a successor, each with the last day it may hold."""
        found = []
        everything = self.backing(f"{self._names.events},{self._names.matches}")
        days: dict[str, Json] = {}
        for one, following in pairwise(everything):
            if one.stream != following.stream:
                continue
            if one.stream not in days:
                source = read(self._client, self._names.state("days"), one.stream).source
                days[one.stream] = source.get("began", {})
            began = days[one.stream].get(one.name, one.created)
            until = days[one.stream].get(following.name, following.created)
            last = (date.fromisoformat(until) - timedelta(days=1)).isoformat()
            found.append((one.name, max(began, last)))
        return found

    def sizes(self) -> dict[str, int]:
        """Return the bytes of every index of events and matches, copies included."""
        pattern = f"{self._names.events},{self._names.matches}"
        self._client.ask("POST", f"/{pattern}/_flush", ignore_unavailable="true")
        answer = self._client.ask(
            "GET", f"/{pattern}/_stats/store", expand_wildcards="open,hidden", level="indices"
        )
        indices: Json = answer.get("indices", {})
        return {n: int(one["total"]["store"]["size_in_bytes"]) for n, one in indices.items()}


def _forbidden(error: StoreError) -> bool:
    cause = error.__cause__
    return isinstance(cause, ApiError) and cause.status_code == 403
