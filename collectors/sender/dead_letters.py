"""Dead letters: events that the store refused for what they are, each once, with the reason.

A small database of its own, so that people can look, replay and drop while the collector writes.
What was put is durable when `put` returns: only then the spool may forget the frame.
The database is opened when it is first needed: one that is damaged, or on a full disk, must keep
nobody from receiving.
"""

import json
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

from soc.folders import private
from soc.model.event import Event
from soc.model.time import iso
from soc.store.sqlite.database import Database, explained

NAME: Final = "dead-letters.db"
PAGE: Final = 500


@dataclass(frozen=True, slots=True)
class Letter:
    """An event and why it was refused; `attempts` counts how often."""

    id: str
    reason: str
    first: str
    last: str
    attempts: int
    event: Event


class DeadLetters:
    """The dead letters of a node, in its state folder."""

    def __init__(self, state: Path) -> None:
        """Name them; what uses them raises StoreError when they cannot be opened."""
        self._state = state
        self._opened = Database(state / NAME, (_schema,))
        self._made = False

    @property
    def _database(self) -> Database:
        if not self._made:
            with explained(self._opened.path):
                private(self._state)
            self._opened.create()
            self._made = True
        return self._opened

    def put(self, refused: Iterable[tuple[Event, str]], now: datetime) -> None:
        """Keep events with the store's reasons, durably; one that is there stays once."""
        at = iso(now)
        rows = [(_id(event), reason, at, at, _written(event)) for event, reason in refused]
        with self._database.write() as connection:
            connection.executemany(
                "INSERT INTO letter (id, reason, first, last, attempts, event)"
                " VALUES (?, ?, ?, ?, 1, ?) ON CONFLICT (id) DO UPDATE SET"
                " reason = excluded.reason, last = excluded.last, attempts = attempts + 1",
                rows,
            )

    def count(self) -> int:
        """Return how many there are."""
        with self._database.read() as connection:
            found: int = connection.execute("SELECT count(*) FROM letter").fetchone()[0]
            return found

    def all(self) -> Iterator[Letter]:
        """Yield those that are there now, oldest first; they may be dropped meanwhile."""
        with self._database.read() as connection:
            last = connection.execute("SELECT max(rowid) FROM letter").fetchone()[0] or 0
        at = 0
        while True:
            with self._database.read() as connection:
                rows = connection.execute(
                    f"SELECT rowid, {_COLUMNS} FROM letter"  # noqa: S608 - a constant
                    " WHERE rowid > ? AND rowid <= ? ORDER BY rowid LIMIT ?",
                    (at, last, PAGE),
                ).fetchall()
            if not rows:
                return
            at = rows[-1][0]
            yield from (_letter(row[1:]) for row in rows)

    def get(self, id: str) -> Letter | None:
        """Return the letter of an event's id."""
        with self._database.read() as connection:
            row = connection.execute(
                f"SELECT {_COLUMNS} FROM letter WHERE id = ?",  # noqa: S608 - a constant
                (_key(id),),
            ).fetchone()
        return None if row is None else _letter(row)

    def drop(self, ids: Sequence[str]) -> int:
        """Forget letters; return how many there were."""
        with self._database.write() as connection:
            before = connection.total_changes
            connection.executemany("DELETE FROM letter WHERE id = ?", [(_key(one),) for one in ids])
            return connection.total_changes - before

    def close(self) -> None:
        """Close the database."""
        self._opened.close()


_COLUMNS: Final = "id, reason, first, last, attempts, event"


def _schema(connection: sqlite3.Connection) -> None:
    connection.execute(
        "CREATE TABLE letter (id TEXT PRIMARY KEY, reason TEXT NOT NULL, first TEXT NOT NULL,"
        " last TEXT NOT NULL, attempts INTEGER NOT NULL, event TEXT NOT NULL)"
    )


def _id(event: Event) -> str:
    found = event.get("event.id")
    return _key(found) if isinstance(found, str) else ""


def _key(id: str) -> str:
    return id.encode("utf-8", "backslashreplace").decode()


def _written(event: Event) -> str:
    # The standard library writes what orjson refuses: lone surrogates are among the reasons
    # for which events are refused.
    return json.dumps(event)


def _letter(row: Sequence[object]) -> Letter:
    id, reason, first, last, attempts, event = row
    return Letter(
        str(id), str(reason), str(first), str(last), int(str(attempts)), json.loads(str(event))
    )
