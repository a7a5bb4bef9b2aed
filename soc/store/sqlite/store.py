"""The embedded store: a folder of SQLite files.

`events-2026-11-22.db` holds what was appended on a UTC day: retention deletes a file, damage costs
a day, and neither a late event nor a forged time stamp moves either. What must commit together
(events and an input's position) lies in one file, because SQLite does not commit two WAL files
atomically. `state.db` holds alerts, workflow, leases, checkpoints and the catalogue of the days.
"""

import sqlite3
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any, Final, TypeVar

import orjson

from soc.errors import StoreError, UsageError
from soc.folders import private
from soc.model.alert import Entry
from soc.model.event import Event
from soc.store import base
from soc.store.query import Node
from soc.store.sqlite import aggregate, alerts, work
from soc.store.sqlite import documents as d
from soc.store.sqlite.append import BEGUN, Appender
from soc.store.sqlite.catalogue import MAX_MILLIS, Catalogue, Day
from soc.store.sqlite.database import Database, explained
from soc.store.sqlite.days import Days
from soc.store.sqlite.lock import WriteLock
from soc.store.sqlite.plan import Plan, plan
from soc.store.sqlite.schema import STATE
from soc.store.sqlite.search import Part, page
from soc.store.sqlite.shards import Shards, behind
from soc.store.sqlite.tail import tail

T = TypeVar("T")
EVENTS: Final = "events"
PARTITIONS: Final = 1000


class SqliteStore:
    """`soc.store.base.Store` in a folder, which is made when it is missing."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        with explained(folder):
            private(folder)
        self._lock = WriteLock(folder / "append.lock")
        self._state = Database(folder / "state.db", STATE)
        self._catalogue = Catalogue(self._state)
        self._days = Days(folder)
        self._appender = Appender(self._lock, self._catalogue, self._days)
        self._shards = Shards(self._catalogue, self._days)
        try:
            with self._lock.held():
                self._state.create()
                self._days.adopt(self._catalogue)
        except BaseException:
            self.close()
            raise

    def append(
        self,
        documents: Sequence[Event],
        *,
        now: datetime,
        stream: base.Stream = "events",
        partition: int = 0,
        position: base.Position | None = None,
        again: bool = False,
        patient: bool = True,
    ) -> list[base.Verdict]:
        """Store documents durably; at most some ten thousand at once, they commit together."""
        return self._appender.append(series(stream, partition), documents, now, position)

    def position(self, name: str) -> Mapping[str, Any] | None:
        """Return the payload last appended under this name."""
        for days in self._by_series().values():
            for day in reversed(days):
                begun = self._days.read(day, partial(d.fact, name=BEGUN), 0)
                payload = self._days.read(day, partial(_position, name=name), None)
                if payload is not None:
                    found: Mapping[str, Any] = orjson.loads(payload)
                    return found
                if begun:  # it would have been taken over from the days before
                    break
        return None

    def tail(
        self,
        cursor: str | None,
        *,
        stream: base.Stream = "events",
        partition: int = 0,
        limit: int = 1000,
    ) -> base.Batch:
        """Return what was appended behind the cursor (`day:seq`), in appending order."""
        # The list of days is read first: a day that has a successor gets no more documents.
        days = self._catalogue.days(series(stream, partition))
        return tail(self._days, days, cursor, limit)

    def shards(self, stream: base.Stream = "events") -> list[base.Shard]:
        """Return the shards of a stream: one, or one a partition."""
        return self._shards.listed(stream)

    def tails(
        self, cursors: Mapping[str, str], shards: Sequence[base.Shard], *, limit: int = 1000
    ) -> list[base.Piece]:
        """Return what lies behind the cursors of these shards."""
        return self._shards.tails(cursors, shards, limit)

    def behind(self, cursor: str | None, shard: base.Shard) -> int:
        """Return how many documents of a shard lie behind a cursor."""
        return behind(cursor, shard)

    def search(
        self,
        query: Node,
        *,
        collection: base.Collection = "events",
        since: datetime | None = None,
        until: datetime | None = None,
        limit: int = 50,
        after: str | None = None,
    ) -> base.Page:
        """Return matching documents, newest @timestamp first."""
        asked = plan(query, since, until)
        return page(self._parts(collection, asked), asked, limit, after)

    def get(self, ids: Sequence[str], *, collection: base.Collection = "events") -> list[Event]:
        """Return the documents with these ids, in this order, missing ones left out."""
        ids = [one for one in ids if not d.unstorable(one)]
        found: dict[str, Event] = {}
        if collection == "alerts":
            with self._state.read() as connection:
                found = d.fetch(connection, set(ids))
            return [found[one] for one in ids if one in found]
        moments = {one: d.id_moment(d.packed(one)) for one in ids}
        for day in reversed(self._catalogue.days(EVENTS)):
            wanted = [one for one, at in moments.items() if one not in found and day.may_hold(at)]
            if wanted:
                nothing: dict[str, Event] = {}
                found |= self._days.read(day, partial(d.fetch, ids=wanted), nothing)
        return [found[one] for one in ids if one in found]

    def aggregate(
        self,
        query: Node,
        by: base.Terms | base.Histogram,
        *,
        collection: base.Collection = "events",
        since: datetime | None = None,
        until: datetime | None = None,
    ) -> list[base.Bucket]:
        """Return counts of the matching documents."""
        asked = plan(query, since, until)
        parts = self._parts(collection, asked)
        if isinstance(by, base.Terms):
            return aggregate.terms(parts, asked, by)
        return aggregate.histogram(parts, asked, by)

    def create_alerts(self, alerts_: Sequence[Event]) -> list[base.Verdict]:
        """Store alerts by `soc.alert.id`, durably; one that is there already is a duplicate."""
        return alerts.create(self._state, alerts_)

    def append_workflow(self, entry: Entry, projection: Mapping[str, Any]) -> None:
        """Add an entry to an alert's log and replace its mutable fields by the projection."""
        alerts.append_workflow(self._state, entry, projection)

    def workflow(self, alert_id: str) -> list[Entry]:
        """Return an alert's log, oldest first."""
        return alerts.workflow(self._state, alert_id)

    def acquire(
        self, name: str, holder: str, *, seconds: float, now: datetime
    ) -> base.Lease | None:
        """Take or renew a lease; None while another holder's has not run out."""
        return work.acquire(self._state, name, holder, seconds, now)

    def release(self, lease: base.Lease) -> None:
        """Give a lease back; does nothing when it has passed to another holder."""
        work.release(self._state, lease)

    def checkpoint(self, name: str) -> base.Checkpoint | None:
        """Return a checkpoint, None when it was never saved."""
        return work.checkpoint(self._state, name)

    def save_checkpoint(self, checkpoint: base.Checkpoint) -> base.Checkpoint:
        """Compare and set."""
        return work.save_checkpoint(self._state, checkpoint)

    def retain(self, policy: base.Retention, *, now: datetime) -> list[str]:
        """Drop whole days, oldest first, never the newest file of a series.

        Age counts back from the newest day at most: a machine that comes up with a clock years
        ahead must not drop what it has.
        """
        with self._lock.held():
            days = self._catalogue.days()
            newest = max((day.date for day in days), default=date.max)
            today = min(now.astimezone(UTC).date(), newest)
            oldest = today - timedelta(days=policy.days or 0)
            final = [day for day in days if any(_follows(other, day) for other in days)]
            final.sort(key=lambda day: day.day)
            gone = [day for day in final if policy.days is not None and day.date < oldest]
            size = sum(self._days.size(day) for day in days if day not in gone)
            for day in final:
                if policy.bytes is not None and size > policy.bytes and day not in gone:
                    gone.append(day)
                    size -= self._days.size(day)
            for day in gone:
                self._catalogue.forget(day)
                with explained(self._days.path(day)):
                    self._days.delete(day)
        return [day.file.removesuffix(".db") for day in gone]

    def mismatch(self) -> StoreError | None:
        """Return None: what an older version wrote is migrated when it is opened."""
        return None

    def info(self) -> base.Info:
        """Return what the store holds."""
        events = size = 0
        for day in self._catalogue.days():
            size += self._days.size(day)
            if day.series == EVENTS:
                events += self._days.read(day, d.count, 0)
        with self._state.read() as connection:
            alerts_ = d.count(connection)
        place = str(self._folder)
        return base.Info("sqlite", place, len(STATE), events, alerts_, size)

    def close(self) -> None:
        """Give back files and connections; the store must not be used afterwards."""
        self._days.close()
        self._state.close()
        self._lock.close()

    def _by_series(self) -> dict[str, list[Day]]:
        found: dict[str, list[Day]] = {}
        for day in self._catalogue.days():
            found.setdefault(day.series, []).append(day)
        return found

    def _parts(self, collection: base.Collection, asked: Plan) -> list[Part]:
        if collection == "alerts":
            return [Part("state.db", MAX_MILLIS, self._read_state)]
        return [
            Part(day.file, day.times.high or 0, partial(self._days.read, day))
            for day in self._catalogue.days(EVENTS)
            if day.times.meets(asked.low, asked.high)
        ]

    def _read_state(self, ask: Callable[[sqlite3.Connection], T], default: T) -> T:
        with self._state.read() as connection:
            return ask(connection)


def series(stream: base.Stream, partition: int) -> str:
    """Return the name of a stream's partition, as in the names of its files."""
    if stream == "events" and partition == 0:
        return EVENTS
    if stream == "matches" and 0 <= partition < PARTITIONS:
        return f"matches-{partition:03d}"
    raise UsageError(f"no stream {stream} has a partition {partition}")


def _position(connection: sqlite3.Connection, name: str) -> str | None:
    row = connection.execute(
        "SELECT payload FROM position WHERE name = ?", (d.key(name),)
    ).fetchone()
    return row[0] if row else None


def _follows(other: Day, day: Day) -> bool:
    return other.series == day.series and other.day > day.day
