"""What is particular to SQLite: processes, crashes, damage, days, versions, files."""

import logging
import os
import random
import shutil
import signal
import sqlite3
import stat
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from soc.errors import StoreError
from soc.model.event import Event
from soc.store.base import Position, Retention
from soc.store.query import parse
from soc.store.sqlite import SqliteStore, documents, schema
from soc.store.sqlite.tokens import MAX_TEXT, OVERFLOW, Tokens

Make = Callable[..., Event]
DAY = timedelta(days=1)
ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "store"


@pytest.fixture
def store(folder: Path) -> Iterator[SqliteStore]:
    opened = SqliteStore(folder)
    yield opened
    opened.close()


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


WRITER = textwrap.dedent(
    """
    import sys
    from datetime import UTC, datetime
    from pathlib import Path
    from soc.model.event import event_id
    from soc.model.time import iso
    from soc.store.base import Position
    from soc.store.sqlite import SqliteStore

    folder, name, count = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
    noon = datetime(2026, 11, 22, 12, tzinfo=UTC)
    store = SqliteStore(folder)
    start = (store.position(name) or {"next": 0})["next"]
    for n in range(start, count, 10):
        events = [
            {"@timestamp": iso(noon), "event.id": f"{name}-{i}", "event.sequence": i,
             "message": "word " * 50}
            for i in range(n, n + 10)
        ]
        store.append(events, now=noon, position=Position(name, {"next": n + 10}))
        print(n, flush=True)
    store.close()
    """
)


def writer(folder: Path, name: str, count: int) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", WRITER, str(folder), name, str(count)]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)


def test_processes_write_at_once_and_the_tail_misses_nothing(
    folder: Path, store: SqliteStore
) -> None:
    writers = [writer(folder, name, 300) for name in ("a", "b")]
    seen: list[str] = []
    cursor = None
    while any(one.poll() is None for one in writers):
        batch = store.tail(cursor)
        cursor = batch.cursor
        seen += [event["event.id"] for event in batch.events]
    seen += [event["event.id"] for event in store.tail(cursor).events]
    for one in writers:
        assert one.wait() == 0
        assert one.stdout is not None
        one.stdout.close()
    assert sorted(seen) == sorted(f"{name}-{i}" for name in "ab" for i in range(300))
    assert len(seen) == 600


def test_a_killed_writer_leaves_events_and_position_in_agreement(folder: Path) -> None:
    rng = random.Random(5)
    for _ in range(6):
        process = writer(folder, "w", 1_000_000)
        assert process.stdout is not None
        process.stdout.readline()
        time.sleep(rng.random() * 0.12)
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        process.stdout.close()
        store = SqliteStore(folder)
        position = store.position("w")
        assert position is not None
        events = everything(store)
        assert [event["event.sequence"] for event in events] == list(range(position["next"]))
        assert store.info().events == position["next"]
        found = store.search(parse('event.dataset:x OR "word word"'), limit=5).events
        assert len(found) == 5
        store.close()


def test_a_new_day_begins_a_new_file(
    folder: Path, store: SqliteStore, noon: datetime, make: Make
) -> None:
    store.append([make(1)], now=noon.replace(hour=23, minute=59))
    store.append([make(2)], now=noon.replace(hour=0) + DAY)
    assert days(folder) == ["events-2026-11-22", "events-2026-11-23"]
    assert everything(store) == [make(1), make(2)]


def test_a_lagging_clock_appends_to_the_newest_day(
    folder: Path, store: SqliteStore, noon: datetime, make: Make
) -> None:
    store.append([make(1)], now=noon)
    cursor = store.tail(None).cursor
    store.append([make(2)], now=noon - 3 * DAY)
    assert days(folder) == ["events-2026-11-22"]
    assert store.tail(cursor).events == [make(2)]


def test_positions_survive_a_crash_between_two_days(
    folder: Path, store: SqliteStore, noon: datetime, make: Make
) -> None:
    """The new day's file is there, its first commit never happened."""
    store.append([make(1)], now=noon, position=Position("f", {"n": 1}))
    store._appender._current("events", store._catalogue.days("events"), (noon + DAY).date())
    assert len(days(folder)) == 2
    assert store.position("f") == {"n": 1}
    store.append([make(2)], now=noon + DAY)
    store.retain(Retention(days=0), now=noon + DAY)
    assert store.position("f") == {"n": 1}


def damage(path: Path) -> None:
    for suffix in ("-wal", "-shm"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)
    path.write_bytes(b"\x00garbage" * 2000)


@pytest.mark.parametrize("how", ["garbage", "gone", "flipped"])
def test_a_damaged_day_costs_that_day(
    folder: Path, noon: datetime, make: Make, how: str, caplog: pytest.LogCaptureFixture
) -> None:
    first = SqliteStore(folder)
    for day in range(3):
        first.append([make(day)], now=noon + day * DAY, position=Position("f", {"n": day}))
    first.close()
    path = folder / "events-2026-11-23.db"
    if how == "garbage":
        damage(path)
    elif how == "gone":
        path.unlink()
    else:
        content = bytearray(path.read_bytes())
        for at in range(200, len(content), 97):
            content[at] ^= 0xFF
        path.write_bytes(content)
    store = SqliteStore(folder)
    with caplog.at_level(logging.WARNING, "soc.store"):
        for _ in range(2):
            assert everything(store) == [make(0), make(2)]
            assert store.search(parse("*")).events == [make(2), make(0)]
            assert store.search(parse("event.dataset:test")).events == [make(2), make(0)]
        assert store.get([make(0)["event.id"]]) == [make(0)]
        assert store.append([make(5), make(0)], now=noon + 2 * DAY)[1].outcome == "duplicate"
    assert [r.getMessage()[:20] for r in caplog.records] == ["events-2026-11-23.db"]
    store.close()


def test_damage_of_the_newest_day_does_not_stop_appending(
    folder: Path, noon: datetime, make: Make
) -> None:
    first = SqliteStore(folder)
    first.append([make(1)], now=noon - DAY, position=Position("f", {"n": 1}))
    first.append([make(2)], now=noon)
    first.close()
    damage(folder / "events-2026-11-22.db")
    for number in range(3, 5):
        store = SqliteStore(folder)
        assert store.append([make(number)], now=noon)[0].outcome == "created"
        assert store.position("f") == {"n": 1}
        store.close()
    store = SqliteStore(folder)
    assert everything(store) == [make(1), make(3), make(4)]
    assert days(folder)[-1] == "events-2026-11-22.01"
    store.append([make(5)], now=noon + DAY)
    assert days(folder)[-1] == "events-2026-11-23"
    assert store.search(parse("*"), limit=1).events == [make(5)]
    store.close()


def test_a_lost_state_is_rebuilt_from_the_days(folder: Path, noon: datetime, make: Make) -> None:
    store = SqliteStore(folder)
    store.append([make(1), make(2)], now=noon, position=Position("f", {"n": 2}))
    store.close()
    (folder / "state.db").unlink()
    store = SqliteStore(folder)
    assert store.search(parse("*")).events == [make(2), make(1)]
    assert store.position("f") == {"n": 2}
    assert store.append([make(1)], now=noon)[0].outcome == "duplicate"
    store.close()


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


def test_a_millisecond_can_overflow(
    store: SqliteStore, noon: datetime, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With room for four documents a millisecond, time bounds and paging still hold."""
    monkeypatch.setattr(documents, "BITS", 2)
    events = [make(1, **{"event.sequence": n}) for n in range(30)]
    others = [make(1 + n / 1000) for n in range(1, 10)]
    store.append(events[:20] + others[:5], now=noon)
    store.append(others[5:] + events[20:], now=noon)
    at = noon + timedelta(seconds=1)
    page = store.search(parse("*"), since=at, until=at + timedelta(milliseconds=1), limit=100)
    assert len(page.events) == 30
    page = store.search(parse("event.dataset:test"), since=at + timedelta(milliseconds=1))
    assert sorted(map(str, page.events)) == sorted(map(str, others))


def test_a_document_with_too_much_text_is_still_found(
    store: SqliteStore, noon: datetime, make: Make
) -> None:
    rng = random.Random(1)
    text = " ".join(f"w{rng.randrange(10**9)}" for _ in range(MAX_TEXT // 5))
    event = make(1, message=text + " needle", **{"user.name": "lan"})
    assert Tokens().of(event) == OVERFLOW
    store.append([event, make(2)], now=noon)
    for query in ("needle", "user.name:lan", "need*", "w1 OR needle"):
        assert store.search(parse(query)).events == [event]
    assert store.search(parse("absent")).events == []


def test_many_days_are_searched_with_few_files_open(
    folder: Path, store: SqliteStore, noon: datetime, make: Make
) -> None:
    for day in range(40):
        store.append([make(day * 86400)], now=noon + day * DAY)
    assert len(store.search(parse("event.dataset:test"), limit=100).events) == 40
    assert len(store._days._open) <= 16
    assert len(everything(store)) == 40


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
