"""Tailing by sequence number: what lies at or below a shard's global checkpoint is complete.

Every operation up to the global checkpoint is on all copies that count, so after a refresh a
search sees it, and no fail-over takes it back; above there can be holes. The cursor is
`{index: {"shard@history": last}}` as JSON. A shard that was restored from a snapshot has another
history: numbers are given again there, so it is read from its beginning. A page takes from every
stream in turn, so that a busy one does not hold up the others; within a stream the oldest index
comes first.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import orjson

from soc.errors import StoreError, UsageError
from soc.model.event import Event
from soc.store.elastic.client import Client, Json
from soc.store.elastic.names import Backing
from soc.store.elastic.streams import HEAVY, Streams
from soc.store.elastic.wire import decode, resent

Cursor = dict[str, dict[str, int]]
TOGETHER: Final = 16
MOST: Final = 10_000
BUDGET: Final = 64_000_000
"""Bytes of documents that are read at once, about."""
_HISTORY: Final = "commit.user_data.history_uuid"
_WANTED: Final = ",".join(
    f"indices.*.shards.*.{part}" for part in ("routing.primary", "seq_no", _HISTORY)
)


@dataclass(frozen=True, slots=True)
class Shard:
    """A shard with documents behind the cursor: those in `last` < seq_no <= `until`."""

    index: Backing
    number: str
    history: str
    last: int
    until: int

    @property
    def key(self) -> str:
        """Return what the cursor calls it."""
        return f"{self.number}@{self.history}"


def pieces(
    client: Client, streams: Streams, shards: Sequence[Shard], position: Cursor, limit: int
) -> Iterator[tuple[Shard, list[Event]]]:
    """Yield up to `limit` events behind a position by shard, and move the position."""
    room, budget = limit, BUDGET
    refreshed: set[str] = set()
    while room > 0 and budget > 0:
        waiting = left(shards, position)
        if not waiting:
            return
        turn = waiting[: min(TOGETHER, room)]
        most = min(room, budget // streams.heavy)
        share = min(max(most // len(turn), 1), MOST)
        _refresh(client, turn, refreshed)
        try:
            answers = _weighed(client, streams, turn, share)
        except StoreError:
            if room == limit:
                raise
            return  # with what has been read; the next call asks for less
        budget -= sum(weight for _, weight in answers)
        for shard, (hits, _) in zip(turn, answers, strict=True):
            last = int(hits[-1]["sort"][0]) if len(hits) >= share else shard.until
            position.setdefault(shard.index.name, {})[shard.key] = last
            found = _first_copies(streams, shard.index, hits)
            room -= len(found)
            yield shard, found


def _weighed(
    client: Client, streams: Streams, turn: Sequence[Shard], share: int
) -> list[tuple[list[Json], int]]:
    """Return what was asked for with its bytes, and learn from them how much to ask for.

    Too much at once ends the server, or this process, and would again: after a failure less is
    asked for until it is little enough.
    """
    try:
        answers = _ask(client, turn, share)
    except StoreError:
        streams.heavy = min(max(streams.heavy * 8, HEAVY), BUDGET)
        raise
    found = [(hits, sum(map(_weight, hits))) for hits in answers]
    heaviest = max((weight // len(hits) for hits, weight in found if hits), default=0)
    streams.heavy = max(heaviest, streams.heavy // 4, 1)
    return found


def _weight(hit: Json) -> int:
    try:
        return len(orjson.dumps(hit["_source"]))
    except TypeError:  # too deep for it
        return HEAVY


def written(position: Cursor) -> str:
    """Return a position as a cursor."""
    return orjson.dumps(position, option=orjson.OPT_SORT_KEYS).decode()


def read(cursor: str | None) -> Cursor:
    """Return what a cursor says; raise UsageError for anything else."""
    if cursor is None:
        return {}
    try:
        found = orjson.loads(cursor)
        return {
            str(index): {str(number): int(seq) for number, seq in shards.items()}
            for index, shards in found.items()
        }
    except (ValueError, AttributeError, TypeError):
        hint = "pass the cursor of the batch before"
        raise UsageError("not a cursor of this store", hint=hint) from None


def kept(streams: Streams, pattern: str, seen: Cursor, answering: set[str]) -> Cursor:
    """Return the cursor without indices that are gone; one that only does not answer stays."""
    if not seen.keys() <= answering:
        answering = answering | {one.name for one in streams.backing(pattern)}
    return {name: dict(shards) for name, shards in seen.items() if name in answering}


def listed(client: Client, pattern: str) -> list[Shard]:
    """Return all shards with their global checkpoints, by stream, oldest index first."""
    answer = client.ask(
        "GET",
        f"/{pattern}/_stats/docs",
        level="shards",
        expand_wildcards="open,hidden",
        ignore_unavailable="true",
        filter_path=_WANTED,
    )
    found = []
    for name, index in answer.get("indices", {}).items():
        backing = Backing.read(name)
        if backing is None:
            continue
        for number, copies in index["shards"].items():
            for copy in _primary(copies):
                reached = int(copy["seq_no"]["global_checkpoint"])
                history = str(copy["commit"]["user_data"]["history_uuid"])
                found.append(Shard(backing, number, history, -1, reached))
    return sorted(found, key=lambda one: (one.index, int(one.number)))


def _primary(copies: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    return [copy for copy in copies if copy["routing"]["primary"] and "seq_no" in copy]


def left(shards: Sequence[Shard], position: Cursor) -> list[Shard]:
    """Return the shards with something left, of every stream those of its oldest such index."""
    found: dict[str, list[Shard]] = {}
    for one in shards:
        last = position.get(one.index.name, {}).get(one.key, -1)
        if last >= one.until:
            continue
        ahead = found.setdefault(one.index.stream, [])
        if not ahead or ahead[0].index == one.index:
            ahead.append(replace(one, last=last))
    return [one for ahead in found.values() for one in ahead]


def _refresh(client: Client, shards: Sequence[Shard], refreshed: set[str]) -> None:
    """Make searchable what lies below the checkpoints, once."""
    indices = {one.index.name for one in shards} - refreshed
    if indices:
        client.refresh(",".join(sorted(indices)))
        refreshed |= indices


def _ask(client: Client, shards: Sequence[Shard], size: int) -> list[list[Json]]:
    requests = [
        (
            {
                "index": one.index.name,
                "preference": f"_shards:{one.number}",
                "allow_partial_search_results": False,
            },
            {
                "query": {"range": {"_seq_no": {"gt": one.last, "lte": one.until}}},
                "sort": [{"_seq_no": "asc"}],
                "size": size,
                "track_total_hits": False,
            },
        )
        for one in shards
    ]
    return [answer["hits"]["hits"] for answer in client.many(requests)]


def _first_copies(streams: Streams, index: Backing, hits: Sequence[Json]) -> list[Event]:
    """Return the events, without those that were sent again and lie in an older index too."""
    again = [resent(hit["_source"]) for hit in hits]
    events = [decode(hit["_source"], hit["_id"]) for hit in hits]
    if not any(again):
        return events
    older = [one for one in streams.backing(index.stream) if one.generation < index.generation]
    pairs = list(zip(events, again, strict=True))
    second = streams.among(older, [str(event["event.id"]) for event, sent in pairs if sent])
    return [event for event, sent in pairs if not (sent and event["event.id"] in second)]
