"""What tests of the SQLite store ask it."""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

from soc.model.event import Event
from soc.store.sqlite import SqliteStore

Make = Callable[..., Event]
DAY = timedelta(days=1)


def everything(store: SqliteStore) -> list[Event]:
    events: list[Event] = []
    cursor = None
    while batch := store.tail(cursor):
        if not batch.events:
            return events
        events += batch.events
        cursor = batch.cursor
    raise AssertionError


def days(folder: Path) -> list[str]:
    return sorted(path.stem for path in folder.glob("events-*.db"))
