"""Files of other versions of the schema."""

import sqlite3
from datetime import datetime
from pathlib import Path

import pytest

from soc.errors import StoreError
from soc.model.event import Event
from soc.store.sqlite import SqliteStore, schema
from tests.soc.store.sqlite.kit import Make, everything


def append_one(folder: Path, noon: datetime, event: Event) -> None:
    store = SqliteStore(folder)
    try:
        store.append([event], now=noon)
    finally:
        store.close()


@pytest.mark.parametrize("name", ["state.db", "events-2026-11-22.db"])
def test_a_newer_schema_is_refused_with_a_hint(
    folder: Path, noon: datetime, make: Make, name: str
) -> None:
    store = SqliteStore(folder)
    store.append([make(1)], now=noon)
    store.close()
    connection = sqlite3.connect(folder / name)
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    with pytest.raises(StoreError) as caught:
        append_one(folder, noon, make(2))
    assert "upgrade" in caught.value.hint
    assert name in caught.value.where


def test_an_older_file_is_brought_forward(
    folder: Path, noon: datetime, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file of version 1 gets a table of version 2 when it is opened, and keeps its events."""
    old = SqliteStore(folder)
    old.append([make(1)], now=noon)
    old.close()

    def day_2(connection: sqlite3.Connection) -> None:
        connection.execute("CREATE TABLE extra (n INTEGER)")
        connection.execute("INSERT INTO extra SELECT count(*) FROM document")

    monkeypatch.setattr("soc.store.sqlite.days.DAY", (*schema.DAY, day_2))
    new = SqliteStore(folder)
    assert everything(new) == [make(1)]
    new.append([make(2)], now=noon)
    new.close()
    connection = sqlite3.connect(folder / "events-2026-11-22.db")
    assert connection.execute("PRAGMA user_version").fetchone() == (2,)
    assert connection.execute("SELECT n FROM extra").fetchall() == [(1,)]
    connection.close()


def test_a_failing_migration_leaves_the_file_as_it_was(
    folder: Path, noon: datetime, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = SqliteStore(folder)
    old.append([make(1)], now=noon)
    old.close()

    def day_2(connection: sqlite3.Connection) -> None:
        connection.execute("CREATE TABLE extra (n INTEGER)")
        connection.execute("SELECT nothing FROM nowhere")

    with monkeypatch.context() as patched:
        patched.setattr("soc.store.sqlite.days.DAY", (*schema.DAY, day_2))
        new = SqliteStore(folder)
        with pytest.raises(StoreError):
            new.append([make(2)], now=noon)
        new.close()
    again = SqliteStore(folder)
    assert everything(again) == [make(1)]
    again.close()
