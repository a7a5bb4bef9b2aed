"""Damaged and lost files."""

import logging
from datetime import datetime
from pathlib import Path

import pytest

from soc.store.base import Position
from soc.store.query import parse
from soc.store.sqlite import SqliteStore
from tests.soc.store.sqlite.kit import DAY, Make, days, everything


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
