"""Files: private, foreign, on a full disk, busy, copied."""

import os
import shutil
import sqlite3
import stat
from datetime import datetime
from pathlib import Path

import pytest

from soc.errors import StoreError
from soc.store.sqlite import SqliteStore
from tests.soc.store.sqlite.kit import Make, everything


def test_files_are_private(folder: Path, store: SqliteStore, noon: datetime, make: Make) -> None:
    before = os.umask(0)
    try:
        store.append([make(1)], now=noon)
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()}
        assert len(modes) >= 5
        assert set(modes.values()) == {0o600}
    finally:
        os.umask(before)


def test_a_foreign_file_is_not_touched(folder: Path) -> None:
    folder.mkdir()
    connection = sqlite3.connect(folder / "state.db")
    connection.execute("CREATE TABLE mine (x)")
    connection.close()
    with pytest.raises(StoreError) as caught:
        SqliteStore(folder)
    assert "state.db" in caught.value.where
    (folder / "state.db").write_bytes(b"no database at all, certainly" * 100)
    with pytest.raises(StoreError) as caught:
        SqliteStore(folder)
    assert caught.value.hint


def test_a_full_disk_is_said_and_loses_nothing(
    folder: Path, store: SqliteStore, noon: datetime, make: Make
) -> None:
    store.append([make(1)], now=noon)
    database = store._days.database(store._catalogue.days("events")[0])
    with database.read() as connection:
        pages = connection.execute("PRAGMA page_count").fetchone()[0]
        connection.execute(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(StoreError) as caught:
        store.append([make(n, **{"message": "y" * 5000}) for n in range(2, 50)], now=noon)
    assert "disk is full" in caught.value.message
    with database.read() as connection:
        connection.execute("PRAGMA max_page_count = 1000000")
    assert everything(store) == [make(1)]
    assert store.append([make(2)], now=noon)[0].outcome == "created"


def test_a_busy_store_is_said(
    folder: Path,
    store: SqliteStore,
    noon: datetime,
    make: Make,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("soc.store.sqlite.lock.BUSY_SECONDS", 0.05)
    other = SqliteStore(folder)
    with other._lock.held(), pytest.raises(StoreError) as caught:
        store.append([make(1)], now=noon)
    assert "another writer" in caught.value.message
    assert store.append([make(1)], now=noon)[0].outcome == "created"
    other.close()


def test_a_copy_of_the_folder_is_a_store(
    folder: Path, tmp_path: Path, noon: datetime, make: Make
) -> None:
    store = SqliteStore(folder)
    store.append([make(1)], now=noon)
    store.close()
    shutil.copytree(folder, tmp_path / "copy")
    copy = SqliteStore(tmp_path / "copy")
    assert everything(copy) == [make(1)]
    copy.close()
