"""The whole path: a file, a collector, the real server, two workers, alerts; every process killed.

Nothing is lost and nothing is there twice: no line, no alert of a rule, no alert of a correlation.
"""

import random
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from soc.run.worker.roster import NAME
from soc.store.base import Store
from tests.elastic import worker_flow
from tests.elastic.cluster import Cluster
from tests.elastic.flow import drained, flow, marked
from tests.elastic.server import installed
from tests.elastic.worker_flow import Team

pytestmark = [pytest.mark.elastic, pytest.mark.slow]

PLACE = "whole"
LATENESS = 90.0
"""Longer than the server is away and the collector waits then; five minutes outside of tests."""


@contextmanager
def harassed(crew: Team, seed: int) -> Iterator[list[int]]:
    """Kill a worker now and then, and start another; the list has their process ids."""
    rng = random.Random(seed)
    stop = threading.Event()
    killed: list[int] = []

    def harass() -> None:
        while not stop.wait(rng.uniform(4, 20)):
            victim = rng.choice(crew.processes)
            assert victim.poll() is None, "a worker ended by itself"
            crew.kill(victim)
            killed.append(victim.pid)
            crew.start()

    with ThreadPoolExecutor(1) as pool:
        ending: Future[None] = pool.submit(harass)
        try:
            yield killed
        finally:
            stop.set()
            ending.result()


def left_out(store: Store) -> list[object]:
    """Return what the workers could not count."""
    page = store.checkpoint(NAME)
    return [one["left_out"] for one in page.payload["members"].values()] if page else []


@pytest.mark.timeout(2400)
@pytest.mark.parametrize(
    ("lines", "kills"),
    [(100_000, 20), pytest.param(1_000_000, 60, marks=pytest.mark.soak)],
)
def test_everything_is_killed(own: Cluster, tmp_path: Path, lines: int, kills: int) -> None:
    node = own.node
    assert node is not None
    began = time.monotonic()
    section = {
        "url": own.url,
        "environment": PLACE,
        "ca": str(own.ca),
        "user": own.user,
        "password": str(own.secret),
    }
    for name in ("node", "workers"):
        (tmp_path / name).mkdir()
    crew = worker_flow.team(
        tmp_path / "workers", worker_flow.access(own, PLACE), lateness=LATENESS, idle=0.5
    )

    def restart() -> None:
        node.start(installed())
        node.wait()

    def between(kill: int) -> None:
        if kill == kills // 3:
            node.kill()
            restarting.append(pool.submit(restart))
        if kill == kills * 3 // 4:
            restarting[0].result()

    restarting: list[Future[None]] = []
    with (
        ThreadPoolExecutor(1) as pool,
        flow(tmp_path / "node", section) as collector,
        closing(own.store(PLACE)) as store,
    ):
        try:
            for _ in range(2):
                crew.start()
            with harassed(crew, collector.seed) as killed:
                collector.write_while_killed(lines, kills, between)
                collector.settle(600)
                moved = time.monotonic() - began
                figures = collector.check(store)
                wanted = [one for one in drained(store) if "for marked" in one["event.original"]]
                assert len(wanted) == sum(marked(number) for number in range(lines))
                worker_flow.whole(store, wanted, LATENESS + 300)
            assert all(process.poll() is None for process in crew.processes)
        finally:
            print(f"left out: {left_out(store)}")
            crew.end()
    print(
        f"{lines} lines, {len(wanted)} alerts, kills: {collector.kills} of the collector,"
        f" {len(killed)} of workers, 1 of the server; stored after {moved:.0f} s,"
        f" all in {time.monotonic() - began:.0f} s: {figures['events']}"
    )
