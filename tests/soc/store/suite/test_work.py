"""The protocol's promises, the same for every store: leases, checkpoints, retention, threads."""

import threading
from datetime import datetime, timedelta
from typing import Any

import pytest

from soc.errors import Conflict
from soc.store.base import Checkpoint, Retention, Store
from soc.store.query import parse
from tests.soc.store.suite.kit import DAY, Make, drain, found, outcomes


def test_a_lease_has_one_holder(store: Store, noon: datetime) -> None:
    second = timedelta(seconds=1)
    mine = store.acquire("shard-1", "a", seconds=10, now=noon)
    assert mine is not None
    assert mine.expires == noon + 10 * second
    assert store.acquire("shard-1", "b", seconds=10, now=noon + 9 * second) is None
    renewed = store.acquire("shard-1", "a", seconds=10, now=noon + 9 * second)
    assert renewed is not None
    assert renewed.epoch == mine.epoch
    taken = store.acquire("shard-1", "b", seconds=10, now=noon + 19 * second)
    assert taken is not None
    assert taken.epoch == mine.epoch + 1
    store.release(renewed)
    assert store.acquire("shard-1", "a", seconds=10, now=noon + 20 * second) is None
    store.release(taken)
    after = store.acquire("shard-1", "b", seconds=10, now=noon + 20 * second)
    assert after is not None
    assert after.epoch == taken.epoch + 1


def test_one_of_many_threads_gets_the_lease(store: Store, noon: datetime) -> None:
    got: list[Any] = []

    def take(holder: str) -> None:
        got.append(store.acquire("x", holder, seconds=10, now=noon))

    threads = [threading.Thread(target=take, args=(str(n),)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(one is not None for one in got) == 1


def test_checkpoints_are_compared_and_set(store: Store) -> None:
    assert store.checkpoint("rules") is None
    first = store.save_checkpoint(Checkpoint("rules", {"cursor": "x"}))
    assert first.version == 1
    with pytest.raises(Conflict):
        store.save_checkpoint(Checkpoint("rules", {"cursor": "y"}))
    second = store.save_checkpoint(Checkpoint("rules", {"n": [1]}, first.version, epoch=4))
    with pytest.raises(Conflict):
        store.save_checkpoint(Checkpoint("rules", {}, second.version, epoch=3))
    assert store.checkpoint("rules") == second
    assert second.payload == {"n": [1]}


def test_retention_by_age_keeps_the_newest(store: Store, noon: datetime, make: Make) -> None:
    for day in range(4):
        store.append([make(day)], now=noon + day * DAY)
    _, cursor = drain(store, limit=1)
    gone = store.retain(Retention(days=1), now=noon + 3 * DAY)
    assert len(gone) == 2
    assert len(found(store, "*")) == 2
    assert len(store.retain(Retention(days=0), now=noon + 99 * DAY)) == 1
    assert drain(store)[0] == [make(3)]
    assert drain(store, cursor)[0] == []
    store.append([make(9)], now=noon + 3 * DAY)
    assert drain(store, cursor)[0] == [make(9)]


def test_retention_by_size_drops_the_oldest(store: Store, noon: datetime, make: Make) -> None:
    for day in range(3):
        batch = [make(day * 1000 + n, **{"message": "x" * 500}) for n in range(50)]
        store.append(batch, now=noon + day * DAY)
    total = store.info().bytes
    assert store.retain(Retention(bytes=total), now=noon) == []
    assert len(store.retain(Retention(bytes=total - 1), now=noon)) == 1
    assert len(store.retain(Retention(bytes=0), now=noon)) == 1
    assert store.info().events == 50


def test_threads_share_a_store(store: Store, noon: datetime, make: Make) -> None:
    def work(number: int) -> None:
        for n in range(10):
            batch = [make(n, **{"event.sequence": number * 100 + n * 10 + i}) for i in range(5)]
            assert set(outcomes(store.append(batch, now=noon))) == {"created"}
            store.search(parse("event.kind:event"), limit=5)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(drain(store)[0]) == 200
