"""Appending: verdicts, duplicates over all days, the position beside the events it covers.

One lock orders the appends of all processes. They go to the newest day file even when the caller's
clock lags behind it, so a file that has a successor is final: that makes the tail complete.

Where the microseconds of an event go (776 bytes, 52 tokens, batches of 1,000, 38 in all): tokens
11, JSON 4, other preparation 3, duplicates 1, tables 5, index 5, commit (merging, log, fsync) 9.
"""

import sqlite3
import threading
from collections.abc import Sequence
from datetime import UTC, date, datetime
from functools import partial
from typing import Final

import orjson

from soc.model.event import Event
from soc.store.base import Position, Verdict
from soc.store.sqlite import documents as d
from soc.store.sqlite.catalogue import Catalogue, Day
from soc.store.sqlite.database import Damaged
from soc.store.sqlite.days import Days
from soc.store.sqlite.lock import WriteLock
from soc.store.sqlite.tokens import Tokens

BEGUN: Final = "begun"
"""The fact that a day file has taken over the positions of the one before."""


class Appender:
    """Appends to the day files of every series."""

    def __init__(self, lock: WriteLock, catalogue: Catalogue, days: Days) -> None:
        self._lock = lock
        self._catalogue = catalogue
        self._days = days
        self._tokens = Tokens()
        self._preparing = threading.Lock()

    def append(
        self, series: str, events: Sequence[Event], now: datetime, position: Position | None
    ) -> list[Verdict]:
        """Append events to a series; see `soc.store.base.Store.append`."""
        with self._preparing:
            batch = Batch(events, "event.id", self._tokens)
        if not batch.documents and position is None:
            return batch.verdicts(set())
        payload = None if position is None else orjson.dumps(dict(position.payload))
        with self._lock.held():
            earlier = self._catalogue.days(series)
            day = self._current(series, earlier, now.astimezone(UTC).date())
            there = self._elsewhere(batch, [one for one in earlier if one.file != day.file])
            fresh = batch.without(there)
            try:
                there |= self._store(day, earlier, fresh, position, payload)
            except Damaged as error:
                self._days.report(day, error)
                day = self._succeed(day)
                there = self._elsewhere(batch, earlier)
                there |= self._store(day, earlier, batch.without(there), position, payload)
        return batch.verdicts(there)

    def _current(self, series: str, earlier: Sequence[Day], today: date) -> Day:
        newest = earlier[-1] if earlier else None
        if newest is None or newest.day[:10] < today.isoformat():
            return self._begin(Day(series, today.isoformat()))
        if newest.damaged or not self._days.path(newest).exists():
            return self._succeed(newest)
        return newest

    def _begin(self, day: Day) -> Day:
        self._days.database(day).create()  # first: what the catalogue names, others open
        self._catalogue.save(day)
        return day

    def _succeed(self, day: Day) -> Day:
        if not day.damaged:
            self._catalogue.save(
                Day(day.series, day.day, day.times, day.ids, day.loose_ids, damaged=True)
            )
        return self._begin(Day(day.series, day.next_name()))

    def _elsewhere(self, batch: "Batch", others: Sequence[Day]) -> set[d.Id]:
        """Return the ids of the batch that other day files hold."""
        there: set[d.Id] = set()
        moments = {document.id: d.id_moment(document.id) for document in batch.documents}
        for day in others:
            wanted = [one for one, moment in moments.items() if day.may_hold(moment)]
            if wanted:
                there |= self._days.read(day, partial(d.existing, ids=wanted), set())
        return there

    def _store(
        self,
        day: Day,
        earlier: Sequence[Day],
        documents: Sequence[d.Document],
        position: Position | None,
        payload: bytes | None,
    ) -> set[d.Id]:
        """Write the documents that the file does not hold yet; return the ids of the others."""
        wider = day.widened(
            [one.moment for one in documents], [d.id_moment(one.id) for one in documents]
        )
        if wider != day:
            self._catalogue.save(wider)
        with self._days.database(day).write() as connection:
            if not d.fact(connection, BEGUN):
                connection.executemany(
                    "INSERT OR REPLACE INTO position VALUES (?, ?)", self._positions(day, earlier)
                )
                d.set_fact(connection, BEGUN, 1)
            there = d.existing(connection, [one.id for one in documents])
            d.insert(connection, [one for one in documents if one.id not in there])
            if position is not None:
                connection.execute(
                    "INSERT OR REPLACE INTO position VALUES (?, CAST(? AS TEXT))",
                    (d.key(position.name), payload),
                )
        return there

    def _positions(self, day: Day, earlier: Sequence[Day]) -> list[tuple[str | bytes, str]]:
        """Return every position of the newest readable file before this one."""
        for other in reversed(earlier):
            if other.file != day.file:
                found = self._days.read(other, _all_positions, None)
                if found is not None:
                    return found
        return []


def _all_positions(connection: sqlite3.Connection) -> list[tuple[str | bytes, str]] | None:
    if not d.fact(connection, BEGUN):
        return None
    return connection.execute("SELECT name, payload FROM position").fetchall()


class Batch:
    """Events on their way in: prepared once, each with its outcome."""

    def __init__(self, events: Sequence[Event], name: str, tokens: Tokens) -> None:
        self.documents: list[d.Document] = []
        self._outcomes: list[Verdict | tuple[str, d.Id]] = []
        seen: set[d.Id] = set()
        for event in events:
            identity = event.get(name)
            text = identity if isinstance(identity, str) else ""
            try:
                document = d.prepare(event, name, tokens)
            except ValueError as error:
                self._outcomes.append(Verdict(text, "rejected", str(error)))
                continue
            if document.id in seen:
                self._outcomes.append(Verdict(text, "duplicate"))
                continue
            seen.add(document.id)
            self.documents.append(document)
            self._outcomes.append((text, document.id))

    def without(self, there: set[d.Id]) -> list[d.Document]:
        """Return the documents whose ids are not there."""
        return [one for one in self.documents if one.id not in there] if there else self.documents

    def verdicts(self, there: set[d.Id]) -> list[Verdict]:
        """Return a verdict per event, in order, given the ids that were there before."""
        return [
            one
            if isinstance(one, Verdict)
            else Verdict(one[0], "duplicate" if one[1] in there else "created")
            for one in self._outcomes
        ]
