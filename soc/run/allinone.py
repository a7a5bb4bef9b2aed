"""All in one process: follow the files, store the events, detect, raise the alerts, and again.

One step after the other in one thread: SQLite has one writer, Python one core, and a step that
was not finished is done again after a restart without a trace of the first try. Events and the
position behind them commit together; alerts have deterministic ids and are stored before the
detection's cursor moves.
"""

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, tzinfo
from threading import Event as Flag
from typing import Final

from collectors.frame import Source
from collectors.inputs.follow import Chunk, Follower
from collectors.normalise import Normaliser
from collectors.parsing import Parser, parser
from collectors.recognise import recognise
from soc.alerts.raising import raise_alerts
from soc.errors import InputError, SocError, StoreError
from soc.model.finding import Finding
from soc.run.correlating import Correlating
from soc.run.detection import Detection
from soc.run.judging import Detector, Judge
from soc.run.rules_watch import Watch
from soc.store.base import Position, Retention, Store

log = logging.getLogger("soc.run")

RETRY: Final = 2.0
"""Seconds to wait when the store refuses."""
TEND_EVERY: Final = 5.0
"""Seconds between two looks at leases."""
RETAIN_EVERY: Final = 3600.0
"""Seconds between two looks at what the retention drops."""
SAMPLE: Final = 50
"""Records that tell what a file holds."""


@dataclass(frozen=True, slots=True)
class Input:
    """Files to follow: a glob pattern and what their records need to be understood."""

    pattern: str
    zone: tzinfo
    parser: str = ""
    unit: str = ""


@dataclass(slots=True)
class Counters:
    """What happened since the start; received = stored + duplicate + rejected."""

    received: int = 0
    stored: int = 0
    duplicate: int = 0
    rejected: int = 0
    evaluated: int = 0
    alerts: int = 0


@dataclass(slots=True)
class Runner:
    """Moves events from files to alerts. `clock` is the wall clock, `now` monotonic seconds.

    `idle`: seconds to wait when there is nothing to do. `tend` ends leases that have run out, and
    compares everything with the real state at a start. `reload` gives a new rule set when there is
    one; `watch` looks at what rules cost.
    """

    store: Store
    inputs: Sequence[Input]
    detector: Detector
    key: bytes
    observer: str
    clock: Callable[[], datetime]
    idle: float = 0.2
    retention: Retention = field(default_factory=Retention)
    now: Callable[[], float] = time.monotonic
    counters: Counters = field(default_factory=Counters)
    raised: Callable[[Finding], None] = lambda finding: None
    correlating: Callable[[], Correlating] | None = None
    tend: Callable[[bool], None] = lambda start: None
    reload: Callable[[], Detection | None] = lambda: None
    watch: Watch | None = None
    _judge: Judge | None = None
    _retained: float | None = None
    _tend_due: float | None = None
    _compared: bool = False
    _followers: dict[str, Follower] = field(default_factory=dict)
    _normalisers: dict[str, Normaliser] = field(default_factory=dict)
    _passed_over: set[str] = field(default_factory=set)

    def run(self, stop: Flag) -> None:
        """Work until told to stop; a store that refuses is tried again, nothing is lost."""
        while not stop.is_set():
            try:
                self._retain()
                self._tend()
                self._reload()
                busy = self.step()
            except StoreError as error:
                log.error("%s", error)
                self._forget()
                stop.wait(RETRY)
                continue
            if not busy:
                stop.wait(self.idle)
        self._stop()

    def step(self) -> bool:
        """Collect and detect once; return whether there was anything to do."""
        collected = [self._collect(one) for one in self.inputs]
        return any([*collected, self._detect()])

    def drain(self) -> None:
        """Work until everything that is there has been read and judged."""
        while self.step():
            pass

    def finish(self) -> None:
        """Drain, and decide what waits for later events: nothing more comes."""
        self.drain()
        if self._judge is not None:
            self._judge.finish()

    def _collect(self, settings: Input) -> bool:
        follower = self._followers.get(settings.pattern)
        if follower is None:
            state = self.store.position(_position(settings))
            follower = self._followers[settings.pattern] = Follower(settings.pattern, state)
        busy = False
        for chunk in follower.poll(self.now()):
            self._append(settings, chunk)
            busy = True
        return busy

    def _append(self, settings: Input, chunk: Chunk) -> None:
        normaliser = self._normaliser(settings, chunk)
        received = self.clock()
        events = (
            [e for frame in chunk.frames for e in normaliser.events(frame, received)]
            if normaliser
            else []
        )
        verdicts = self.store.append(
            events, now=received, position=Position(_position(settings), chunk.state)
        )
        self.counters.received += len(events)
        for verdict in verdicts:
            if verdict.outcome == "created":
                self.counters.stored += 1
            elif verdict.outcome == "duplicate":
                self.counters.duplicate += 1
            else:
                self.counters.rejected += 1
                log.error("%s: event %s was refused: %s", chunk.path, verdict.id, verdict.reason)

    def _normaliser(self, settings: Input, chunk: Chunk) -> Normaliser | None:
        """Return what understands a file, None when nothing does: then this much is passed over.

        The next lines are looked at again: whoever gets a binary first one into a new log must not
        hide the others.
        """
        if chunk.origin not in self._normalisers:
            try:
                chosen = parser(settings.parser) if settings.parser else _recognise(chunk)
            except InputError as error:
                if chunk.origin not in self._passed_over:
                    log.warning("%s", error)
                self._passed_over.add(chunk.origin)
                return None
            source = Source(
                key=self.key,
                name=chunk.origin,
                path=chunk.path,
                observer=self.observer,
                unit=settings.unit,
                zone=settings.zone,
            )
            normaliser = Normaliser(source, chosen)
            if (chosen.generic or chosen.name == "text") and not settings.parser:
                return normaliser  # look again: later lines may tell more
            self._normalisers[chunk.origin] = normaliser
        return self._normalisers[chunk.origin]

    def _detect(self) -> bool:
        if self._judge is None:
            correlating = self.correlating() if self.correlating else None
            self._judge = Judge(
                self.store, self.detector, correlating, self.now, self._raise, self.watch
            )
        judged = self._judge.step()
        self.counters.evaluated += judged
        return judged > 0

    def _raise(self, findings: Sequence[Finding]) -> None:
        verdicts = raise_alerts(findings, self.store, self.clock())
        for finding, verdict in zip(findings, verdicts, strict=True):
            if verdict.outcome == "created":
                self.counters.alerts += 1
                self.raised(finding)

    def _retain(self) -> None:
        """Drop the days of events that the retention does not keep, once an hour."""
        if self._retained is None or self.now() - self._retained >= RETAIN_EVERY:
            self._retained = self.now()
            for name in self.store.retain(self.retention, now=self.clock()):
                log.warning("%s was dropped: the retention keeps it no longer", name)

    def _tend(self) -> None:
        """Have leases ended that have run out: those no kernel ends depend on it."""
        begun = self.now()
        if self._tend_due is not None and begun < self._tend_due:
            return
        try:
            self.tend(not self._compared)
            self._compared = True
        except SocError as error:  # somebody acts at the moment, or a name does not resolve yet
            log.warning("leases were not looked at: %s", error)
        # A device that does not answer takes a tenth of the time at most: the rest is for events.
        self._tend_due = begun + max(TEND_EVERY, 10 * (self.now() - begun))

    def _reload(self) -> None:
        """Judge by the new rule set from here on, if there is one."""
        new = self.reload()
        if new is None:
            return
        self.detector, self.correlating = new, new.correlating
        if self._judge is not None:
            self._judge.use(new, new.correlating())
        if self.watch is not None:
            self.watch.use(new.engine)

    def _stop(self) -> None:
        """Save what was judged; the next start would judge it again."""
        try:
            if self._judge is not None:
                self._judge.save()
                for name, number in self._judge.left_out().items():
                    log.warning(
                        "correlations: %s %d (docs/sigma.md, Time and Bounds)", name, number
                    )
            if self.watch is not None:
                self.watch.save()
        except StoreError as error:
            log.error("%s", error)
        self._forget()

    def _forget(self) -> None:
        """Drop what was read but perhaps not stored; the stored positions are the truth."""
        for follower in self._followers.values():
            follower.close()
        self._followers.clear()
        self._normalisers.clear()
        self._passed_over.clear()
        self._judge = None


def _position(settings: Input) -> str:
    return f"follow:{settings.pattern}"


def _recognise(chunk: Chunk) -> Parser:
    return recognise(b"\n".join(frame.raw for frame in chunk.frames[:SAMPLE]), chunk.path)
