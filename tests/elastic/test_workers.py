"""Worker processes that are killed and stopped at random: every alert once, on both stores."""

import random
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest

from soc.run.worker.roster import NAME, Page
from soc.store.base import Store
from soc.store.open import open_store
from tests.elastic import worker_flow as flow
from tests.elastic.cluster import environment, running

BOTH = pytest.mark.parametrize(
    "kind", ["sqlite", pytest.param("elastic", marks=pytest.mark.elastic)]
)


@contextmanager
def crew(kind: str, home: Path) -> Iterator[tuple[flow.Team, Store]]:
    """Give a team and a store of its own kind."""
    if kind == "sqlite":
        team = flow.team(home, {})
        store: Store = open_store(home / "state" / "store")
        try:
            yield team, store
        finally:
            team.end()
            store.close()
        return
    cluster = running()
    with environment(cluster) as name, closing(cluster.store(name)) as found:
        team = flow.team(home, flow.access(cluster, name), idle=0.5)
        try:
            yield team, found
        finally:
            team.end()


@pytest.mark.slow
@pytest.mark.timeout(600)
@BOTH
def test_killed_and_stopped_at_random(kind: str, tmp_path: Path) -> None:
    rng = random.Random(20261127)
    with crew(kind, tmp_path) as (team, store):
        for _ in range(3):
            team.start()
        marked = flow.feed(store, 30_000, 250, 0.5, flow.harass(team, rng))
        for process in team.processes:
            process.send_signal(flow.signal.SIGCONT)
        flow.whole(store, marked)


@pytest.mark.slow
@pytest.mark.timeout(300)
@BOTH
def test_a_takeover_takes_less_than_half_a_minute(kind: str, tmp_path: Path) -> None:
    with crew(kind, tmp_path) as (team, store):
        team.start()
        flow.until(lambda: _held(store) == 1, 30)
        team.start()
        flow.until(lambda: _held(store) == 2, 60)
        now = datetime.now(UTC)
        team.kill(team.processes[0])
        store.append([flow.login(1, now, marked=True)], now=now)
        began = time.monotonic()
        flow.until(lambda: _all_by_one(store), 30)
        flow.until(lambda: len(flow.alerts(store, "*")) == 1, 30)
        print(f"{kind}: taken over after {time.monotonic() - began:.1f} s")
        assert time.monotonic() - began < 30


def _page(store: Store) -> Page:
    found = store.checkpoint(NAME)
    return Page.of(found.payload if found else {})


def _held(store: Store) -> int:
    return len({one.holder for one in _page(store).slots.values()} - {""})


def _all_by_one(store: Store) -> bool:
    holders = {one.holder for one in _page(store).slots.values()}
    return len(holders) == 1 and "" not in holders


@pytest.mark.slow
@pytest.mark.elastic
@pytest.mark.timeout(300)
def test_a_rollover_in_mid_flow(tmp_path: Path) -> None:
    cluster = running()
    with crew("elastic", tmp_path) as (team, store):
        for _ in range(2):
            team.start()

        def between(start: int) -> None:
            if start == 4_000:
                name = next(one.name for one in store.shards()).partition("/")[0]
                cluster.ask("POST", f"/{name}/_rollover")

        marked = flow.feed(store, 8_000, 250, 0.5, between)
        flow.whole(store, marked)
