"""Workers in one process, with clocks that go on when they are told to."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from detectors.sigma.engine import Engine
from detectors.sigma.load import LoadReport
from soc.model.event import Event
from soc.run.detection import Detection
from soc.run.worker.worker import Worker
from soc.store.base import Store
from soc.store.query import parse
from tests.detectors.sigma.correlation.material import pipelines

START = datetime(2026, 11, 22, tzinfo=UTC)
FAR = 40 * 86_400.0
"""Seconds after which every window of the cases has ended."""


class Time:
    """One time for everybody, as a wall clock and as a monotonic one."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        return self.seconds

    def clock(self) -> datetime:
        return START + timedelta(seconds=self.seconds)


class Hooked:
    """A store that calls something before and after every write."""

    def __init__(self, store: Store, hook: Callable[[], None]) -> None:
        self._store = store
        self._hook = hook

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._store, name)
        if name not in ("append", "create_alerts", "save_checkpoint"):
            return found

        def hooked(*arguments: Any, **more: Any) -> Any:
            self._hook()
            result = found(*arguments, **more)
            self._hook()
            return result

        return hooked


def worker(store: Any, report: LoadReport, time: Time, name: str, lateness: int) -> Worker:
    """Return a worker that beats at every step."""
    detection = Detection(report, Engine(report.rules, pipelines()), pipelines())
    return Worker(
        store, detection, time.clock, lateness=lateness, beat_every=0.0, now=time, me=name
    )


def received(events: Sequence[Event]) -> list[Event]:
    """Return events as a store takes them: received when they happened, unless they say."""
    rest = {"ecs.version": "9.5.0", "event.kind": "event", "observer.name": "t"}
    return [{"event.created": one["@timestamp"], **one, **rest} for one in events]


def settle(workers: Sequence[Worker], time: Time, steps: int = 4) -> None:
    """Let them work until nothing is left, time going on by seconds."""
    quiet = 0
    while quiet < steps:
        time.seconds += 1.5
        quiet = 0 if sum(one.step() for one in workers) else quiet + 1


def alerts(store: Store) -> list[tuple[Any, ...]]:
    """Return what was raised, for comparison."""
    found = store.search(parse("*"), collection="alerts", limit=10_000).events
    return sorted((a["rule.id"], a["soc.alert.id"], tuple(a["soc.event_ids"])) for a in found)
