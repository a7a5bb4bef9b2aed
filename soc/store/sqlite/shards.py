"""A series as a shard: one writer, one order, so a stream has a shard, and each partition one."""

import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from soc.store.base import Piece, Shard, Stream
from soc.store.sqlite.catalogue import Catalogue, Day
from soc.store.sqlite.days import Days
from soc.store.sqlite.tail import read, tail

Part = tuple[Day, int]
"""A day file and the last row it had."""


@dataclass(slots=True)
class Shards:
    """The series of a store as shards. Rows of a file that has a successor are counted once."""

    catalogue: Catalogue
    files: Days
    _final: dict[str, int] = field(default_factory=dict)

    def listed(self, stream: Stream) -> list[Shard]:
        """Return the shards; see `soc.store.base.Store.shards`."""
        found: dict[str, list[Day]] = {}
        for day in self.catalogue.days():
            if day.series.partition("-")[0] == stream:
                found.setdefault(day.series, []).append(day)
        return [
            Shard(series, int(series.partition("-")[2] or 0), self._parts(days))
            for series, days in sorted(found.items())
        ]

    def _parts(self, days: Sequence[Day]) -> tuple[Part, ...]:
        parts = [(day, self._last(day)) for day in days[:-1]]
        newest = self.files.read(days[-1], _last_row, 0)
        return (*parts, (days[-1], newest))

    def _last(self, day: Day) -> int:
        if day.file not in self._final:
            self._final[day.file] = self.files.read(day, _last_row, 0)
        return self._final[day.file]

    def tails(self, cursors: Mapping[str, str], shards: Sequence[Shard], limit: int) -> list[Piece]:
        """Return what lies behind the cursors; see `soc.store.base.Store.tails`."""
        waiting = [one for one in shards if behind(cursors.get(one.name), one)]
        pieces = []
        for one in waiting:
            days = [day for day, _ in one.parts]
            share = max(limit // len(waiting), 1)
            batch = tail(self.files, days, cursors.get(one.name), share)
            if batch.events:
                pieces.append(Piece(one.name, batch.events, batch.cursor))
        return pieces


def behind(cursor: str | None, shard: Shard) -> int:
    """Return how many rows of a shard lie behind a cursor."""
    day, seq = read(cursor)
    left = 0
    for one, last in shard.parts:
        if one.day >= day:
            left += max(last - (seq if one.day == day else 0), 0)
    return left


def _last_row(connection: sqlite3.Connection) -> int:
    return int(connection.execute("SELECT max(seq) FROM document").fetchone()[0] or 0)
