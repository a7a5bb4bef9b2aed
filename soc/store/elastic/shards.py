"""What data streams have got behind a cursor: as one tail, or by shard, many of them together.

Both look at the same indices (`soc.store.elastic.looks`): one look, one refresh, one search. A
shard's name is that of its data stream and its number: it stays when the stream turns to a new
index, and so does its cursor, which is written as that of the whole tail.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Final

from soc.model.event import Event
from soc.store.base import Batch, Piece
from soc.store.base import Shard as Named
from soc.store.elastic.client import Client
from soc.store.elastic.looks import ALL, Look
from soc.store.elastic.streams import Streams
from soc.store.elastic.tail import Cursor, Shard, kept, left, pieces, read, written

_PARTITION: Final = re.compile(r"soc-matches\.(\d{3})-", re.ASCII)


def tail(client: Client, streams: Streams, look: Look, cursor: str | None, limit: int) -> Batch:
    """Return up to `limit` events behind the cursor, of every stream in its order."""
    look.given(ALL, cursor)
    seen = read(cursor)
    parts = look.shards(client)
    if not left(parts, seen):
        return Batch([], written(seen) if cursor is None else cursor)
    answering = {one.index.name for one in parts} | look.left_out
    position = kept(streams, look.pattern, seen, answering)
    found = [e for _, some in pieces(client, streams, parts, position, limit) for e in some]
    after = written(position)
    look.gave(ALL, after)
    return Batch(found, after)


def shards(client: Client, look: Look) -> list[Named]:
    """Return the shards of the streams that are looked at; one request."""
    found: dict[str, list[Shard]] = {}
    for one in look.shards(client):
        found.setdefault(_name(one), []).append(one)
    return [Named(name, _partition(name), tuple(parts)) for name, parts in found.items()]


def _name(shard: Shard) -> str:
    return f"{shard.index.stream}/{shard.number}"


def of_matches(name: str) -> bool:
    """Tell whether a shard is one of matches."""
    return _PARTITION.match(name) is not None


def _partition(name: str) -> int:
    found = _PARTITION.match(name)
    return int(found[1]) if found else 0


def tails(
    client: Client,
    streams: Streams,
    look: Look,
    cursors: Mapping[str, str],
    wanted: Sequence[Named],
    limit: int,
) -> list[Piece]:
    """Return what lies behind the cursors; see `soc.store.base.Store.tails`."""
    for one in wanted:
        look.given(one.name, cursors.get(one.name))
    waiting = [one for one in wanted if behind(cursors.get(one.name), one)]
    position: Cursor = {}
    for one in waiting:
        answering = {part.index.name for part in one.parts} | look.left_out
        pattern = one.parts[0].index.stream
        for name, numbers in kept(streams, pattern, read(cursors.get(one.name)), answering).items():
            position.setdefault(name, {}).update(numbers)
    events: dict[str, list[Event]] = {}
    parts = [part for one in waiting for part in one.parts]
    for shard, some in pieces(client, streams, parts, position, limit):
        events.setdefault(_name(shard), []).extend(some)
    found = [
        Piece(one.name, events[one.name], written(_own(one, position)))
        for one in waiting
        if one.name in events
    ]
    for piece in found:
        look.gave(piece.shard, piece.cursor)
    return found


def _own(shard: Named, position: Cursor) -> Cursor:
    """Return what of a position belongs to a shard."""
    stream, _, number = shard.name.rpartition("/")
    found: Cursor = {}
    for name, numbers in position.items():
        if f".ds-{stream}-" in name:
            mine = {n: last for n, last in numbers.items() if n.partition("@")[0] == number}
            if mine:
                found[name] = mine
    return found


def behind(cursor: str | None, shard: Named) -> int:
    """Return how many operations of a shard lie behind a cursor."""
    seen = read(cursor)
    return sum(
        max(part.until - seen.get(part.index.name, {}).get(part.key, -1), 0) for part in shard.parts
    )
