"""Several processes on one store, and one that is killed."""

import os
import random
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

from soc.store.query import parse
from soc.store.sqlite import SqliteStore
from tests.data import ROOT
from tests.soc.store.sqlite.kit import everything

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
