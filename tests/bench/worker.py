"""Measure workers: from stored to listed at a steady rate, events a second, requests a second.

python -m tests.bench.worker [--store sqlite|elastic] [--rate 1000] [--seconds 30] [--shards 300]

On Elasticsearch `--shards` data streams exist, of which 10 are written; the server is that of the
tests (METROSOC_TEST_ES_URL, or one of its own).
"""

import argparse
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from soc.run.detection import detection
from soc.run.worker.worker import Worker
from soc.store.base import Store
from soc.store.open import open_store
from tests.elastic.worker_flow import EVERY, alerts, login, team

ACTIVE = 10


@contextmanager
def stores(kind: str, home: Path) -> Iterator[tuple[Store, Store, Store]]:
    """Give three views of one store: of the writer, of the worker, of who looks."""
    if kind == "sqlite":
        found: list[Any] = [open_store(home / "state" / "store") for _ in range(3)]
        yield found[0], found[1], found[2]
    else:
        from tests.elastic.cluster import environment, running

        cluster = running()
        with environment(cluster) as name:
            found = [cluster.store(name) for _ in range(3)]
            yield found[0], found[1], found[2]
    for one in found:
        one.close()


def counted(store: Any) -> list[str]:
    """Have the requests of a store counted."""
    asked: list[str] = []
    transport = store._client.raw.transport
    send = transport.perform_request

    def perform(method: str, target: str, **more: Any) -> Any:
        asked.append(f"{method} {target.partition('?')[0].rpartition('/')[2]}")
        return send(method, target, **more)

    transport.perform_request = perform
    return asked


def prepare(writer: Store, shards: int) -> None:
    """Make the shards."""
    for start in range(0, shards, 20):
        now = datetime.now(UTC)
        some = range(start, min(start + 20, shards))
        writer.append([login(-n - 1, now, f"set{n}") for n in some], now=now)


def dataset(number: int, active: int) -> str:
    """Return an active dataset; the marked events are of the one that the rule is about."""
    return "sshd" if number % active == 0 else f"set{number % active}"


def write(writer: Store, rate: int, seconds: int, stored: dict[str, float], active: int) -> None:
    """Append at a rate, and note when the marked ones were stored."""
    number = 0
    began = time.monotonic()
    while (elapsed := time.monotonic() - began) < seconds:
        due = int(elapsed * rate) - number
        if due < rate // 10:
            time.sleep(0.01)
            continue
        now = datetime.now(UTC)
        events = [
            login(n, now, dataset(n, active), marked=n % EVERY == 0)
            for n in range(number, number + due)
        ]
        writer.append(events, now=now)
        at = time.monotonic()
        stored.update({e["event.id"]: at for n, e in enumerate(events, number) if n % EVERY == 0})
        number += due


def look(reader: Store, stop: threading.Event, listed: dict[str, float]) -> None:
    """Note when alerts can be listed."""
    from soc.store.query import parse

    while not stop.is_set():
        found = reader.search(parse("*"), collection="alerts", limit=300).events
        at = time.monotonic()
        for one in found:
            listed.setdefault(one["event.id"], at)
        time.sleep(0.05)


def work(worker: Worker, stop: threading.Event) -> threading.Thread:
    """Start a worker in a thread."""
    thread = threading.Thread(target=worker.run, args=(stop,))
    thread.start()
    return thread


def percentile(values: list[float], share: float) -> float:
    """Return a percentile."""
    return sorted(values)[min(int(len(values) * share), len(values) - 1)]


def main() -> None:
    """Measure and print."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--store", choices=("sqlite", "elastic"), default="sqlite")
    options.add_argument("--rate", type=int, default=1000)
    options.add_argument("--seconds", type=int, default=30)
    options.add_argument("--shards", type=int, default=300)
    given = options.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        crew = team(home, {})
        with stores(given.store, home) as (writer, mine, reader):
            measure(given, writer, mine, reader, detection([crew.home / "rules"]))


def measure(given: Any, writer: Store, mine: Store, reader: Store, loaded: Any) -> None:
    """Measure on an open store."""
    elastic = given.store == "elastic"
    if elastic:
        prepare(writer, given.shards)
    asked = counted(mine) if elastic else []
    stop, blind = threading.Event(), threading.Event()
    stored: dict[str, float] = {}
    listed: dict[str, float] = {}
    worker = Worker(mine, loaded, lambda: datetime.now(UTC), idle=1.0 if elastic else 0.2)
    thread = work(worker, stop)
    time.sleep(8)
    watching = threading.Thread(target=look, args=(reader, blind, listed))
    watching.start()
    asked.clear()
    write(writer, given.rate, given.seconds, stored, ACTIVE if elastic else 1)
    requests = len(asked) / given.seconds
    kinds = {kind: asked.count(kind) for kind in set(asked)}
    time.sleep(8)
    blind.set()
    watching.join()
    stop.set()
    thread.join()
    waits = [listed[name] - at for name, at in stored.items() if name in listed]
    print(f"{given.store}: {given.rate} events/s for {given.seconds} s, {len(stored)} alerts due,")
    print(
        f"  {len(alerts(reader, '*'))} there; stored to listed p50 {percentile(waits, 0.5):.2f} s,"
    )
    print(f"  p99 {percentile(waits, 0.99):.2f} s")
    if elastic:
        common = sorted(kinds.items(), key=lambda pair: -pair[1])[:6]
        print(f"  {given.shards} shards, {ACTIVE} active: {requests:.1f} requests/s: {common}")
    backlog(given, writer, mine, loaded)


def backlog(given: Any, writer: Store, mine: Store, loaded: Any) -> None:
    """Measure how fast a worker goes through what is there."""
    active = ACTIVE if given.store == "elastic" else 1
    for start in range(1_000_000, 1_030_000, 2000):
        now = datetime.now(UTC)
        writer.append(
            [login(n, now, dataset(n, active)) for n in range(start, start + 2000)], now=now
        )
    worker = Worker(mine, loaded, lambda: datetime.now(UTC), beat_every=3.0)
    worker._beat()
    wall, cpu, count = time.monotonic(), time.process_time(), 0
    while done := worker.shards.step():
        count += done
    wall, cpu = time.monotonic() - wall, time.process_time() - cpu
    print(f"  backlog: {count} events, {count / wall:.0f}/s, {count / cpu:.0f} per CPU second")
    worker._end()


if __name__ == "__main__":
    main()
