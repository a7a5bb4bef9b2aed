"""A worker: beats, takes its share of the slots, judges shards, correlates partitions, and again.

Any number of them run, on any machine. One that dies is replaced by the others after a lease; one
that stood still and wakes up finds its slots in other hands: its writes are refused.
"""

import logging
import os
import secrets
import socket
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from threading import Event as Flag
from typing import Any, Final

from detectors.sigma.correlation.order import LATENESS
from detectors.sigma.correlation.partition import Partitioning
from detectors.sigma.correlation.starving import starved
from soc.alerts.raising import raise_alerts
from soc.errors import Conflict, StoreError
from soc.model.event import Event
from soc.model.finding import Finding
from soc.model.time import iso
from soc.run.detection import Detection
from soc.run.matching import Matching
from soc.run.rules_watch import Watch
from soc.run.worker.partitions import Partitions
from soc.run.worker.roster import BEAT, LEASE, Page, Roster
from soc.run.worker.shards import BATCH, Shards
from soc.run.worker.slots import EVENTS, PARTITIONS
from soc.store.base import Store

log = logging.getLogger("soc.worker")

RETRY: Final = 2.0
"""Seconds to wait when the store refuses."""
SHOWN: Final = 10
"""Starved correlations that the roster names."""


@dataclass(slots=True)
class Worker:
    """Works until told to stop. `clock` is the wall clock, `now` monotonic seconds.

    `idle`: seconds between two looks when the last one left nothing. `reload` gives a new rule
    set when there is one; `watch` looks at what rules cost.
    """

    store: Store
    detection: Detection
    clock: Callable[[], datetime]
    idle: float = 0.2
    lateness: int = LATENESS
    lease: float = LEASE
    beat_every: float = BEAT
    now: Callable[[], float] = time.monotonic
    told: Callable[[Finding], None] = lambda finding: None
    reload: Callable[[], Detection | None] = lambda: None
    watch: Watch | None = None
    me: str = ""
    alerts: int = 0
    shards: Shards = field(init=False)
    partitions: Partitions = field(init=False)
    roster: Roster = field(init=False)
    _frontier: int = 0
    _beaten: float | None = None
    _rate: tuple[float, int] = (0.0, 0)

    def __post_init__(self) -> None:
        """Make both sides of the worker."""
        report = self.detection.report
        self.me = self.me or f"{socket.gethostname()}.{os.getpid()}.{secrets.token_hex(2)}"
        partitioning = Partitioning(report.correlations, PARTITIONS)
        matching = Matching(report, self.detection.pipelines)
        self.shards = Shards(
            self.store, self._judged, matching, partitioning, self.clock, self._raise, self.now
        )
        self.partitions = Partitions(
            self.store, report.correlations, partitioning, self._raise, self.now, self.lateness
        )
        self.roster = Roster(self.store, self.me, self.now, self.lease)

    def run(self, stop: Flag) -> None:
        """Work until told to stop; a store that refuses is tried again, nothing is lost."""
        while not stop.is_set():
            try:
                busy = self.step()
            except StoreError as error:
                log.error("%s", error)
                self._forget()
                stop.wait(RETRY)
                continue
            if busy < BATCH:
                stop.wait(self.idle)
        self._end()

    def step(self) -> int:
        """Beat when it is time, then judge and correlate what is new; return how much that was."""
        self._reload()
        if self._beaten is None or self.now() - self._beaten >= self.beat_every:
            self._beat()
        return self.shards.step() + self.partitions.step(self._frontier)

    def _reload(self) -> None:
        """Judge by the new rule set from here on, if there is one; the slots stay in hand."""
        new = self.reload()
        if new is None:
            return
        self.detection = new
        if self.watch:
            self.watch.use(new.engine)
        report = new.report
        partitioning = Partitioning(report.correlations, PARTITIONS)
        self.shards.use(Matching(report, new.pipelines, self.shards.counters), partitioning)
        self.partitions.use(report.correlations, partitioning)

    def _beat(self) -> None:
        page = self.roster.beat(self._about(), self.shards.reached(), self._give)
        self._beaten, self._frontier = self.now(), page.frontier
        self._follow(page)

    def _follow(self, page: Page) -> None:
        """Hold what the roster says, nothing else."""
        for slot, epoch in self._held_by(self.shards) | self._held_by(self.partitions):
            if page.held(self.me).get(slot) != epoch:
                self._side(slot).drop(slot)
        for slot, epoch in page.held(self.me).items():
            if slot not in self._side(slot).slots:
                self._take(slot, epoch)

    def _side(self, slot: str) -> Shards | Partitions:
        return self.shards if slot in EVENTS else self.partitions

    @staticmethod
    def _held_by(side: Shards | Partitions) -> set[tuple[str, int]]:
        return {(slot, known.saved.epoch) for slot, known in side.slots.items()}

    def _take(self, slot: str, epoch: int) -> None:
        try:
            self._side(slot).take(slot, epoch)
        except Conflict as error:
            log.warning("%s could not be taken: %s", slot, error)

    def _give(self, slots: Sequence[str]) -> None:
        for side in (self.shards, self.partitions):
            side.save(slots)
            for slot in slots:
                side.drop(slot)

    def _about(self) -> dict[str, Any]:
        then, before = self._rate
        elapsed = self.now() - then
        rate = (self.shards.documents - before) / elapsed if then and elapsed > 0 else 0.0
        self._rate = (self.now(), self.shards.documents)
        left_out = self.shards.counters + self.partitions.left_out()
        return {
            "at": iso(self.clock()),
            "documents": self.shards.documents,
            "rate": round(rate, 1),
            "alerts": self.alerts,
            "rules": self.detection.report.in_force,
            "starved": [asdict(one) for one in starved(self.detection.report)[:SHOWN]],
            "left_out": {name: n for name, n in sorted(left_out.items()) if n},
        }

    def _judged(self, events: Sequence[Event]) -> Sequence[Sequence[Finding]]:
        began = time.perf_counter()
        found = self.detection.evaluate_batch(events)
        took = time.perf_counter() - began
        if self.watch:
            self.watch.judged(events, Counter(f.rule.id for told in found for f in told), took)
        return found

    def _raise(self, findings: Sequence[Finding]) -> None:
        if not findings:
            return
        for finding, verdict in zip(
            findings, raise_alerts(findings, self.store, self.clock()), strict=True
        ):
            if verdict.outcome == "created":
                self.alerts += 1
                self.told(finding)
            elif verdict.outcome == "rejected":
                log.error("an alert was refused: %s: %s", verdict.id, verdict.reason)

    def _end(self) -> None:
        """Save what was done and give everything back."""
        try:
            self.shards.save()
            self.partitions.save()
            self.roster.leave()
            if self.watch:
                self.watch.save()
        except StoreError as error:
            log.error("%s", error)

    def _forget(self) -> None:
        """Drop what was done but perhaps not stored; what is saved is the truth."""
        self._beaten = None
        self.shards.slots.clear()
        self.partitions.slots.clear()
