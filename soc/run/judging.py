"""The detection's step in `soc run`: the tail of the store through rules and correlations."""

import time
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any, Final, Protocol

from soc.model.event import Event
from soc.model.finding import Finding
from soc.run.correlating import Correlating
from soc.run.rules_watch import Watch
from soc.store.base import Checkpoint, Store

BATCH: Final = 1000
CURSOR: Final = "detect"
SAVE_EVERY: Final = 1.0
"""Seconds between two saves of cursor and state while there is work, at least."""
SHARE: Final = 20
"""Times that a save took to wait before the next one: saving costs 5 % at most."""


class Detector(Protocol):
    """What turns an event into findings."""

    def evaluate(self, event: Event) -> Sequence[Finding]:
        """Return what the rules say about an event."""
        ...


class Judge:
    """Judges what is stored and has its alerts raised.

    Cursor and correlation state are saved together, after the alerts they led to; what a crash
    cuts off is judged again and gives the same alerts, whose ids are the same. Time that goes on
    without events would be forgotten by a crash: it is saved before it decides anything.
    """

    def __init__(
        self,
        store: Store,
        detector: Detector,
        correlating: Correlating | None,
        now: Callable[[], float] = time.monotonic,
        tell: Callable[[Sequence[Finding]], None] = lambda findings: None,
        watch: Watch | None = None,
    ) -> None:
        self.store = store
        self.detector = detector
        self.correlating = correlating
        self.now = now
        self.tell = tell
        self.watch = watch
        self._matches: Counter[str] = Counter()
        self._saved = store.checkpoint(CURSOR) or Checkpoint(CURSOR, {"cursor": None})
        self._cursor: str | None = self._saved.payload["cursor"]
        self._saved_at = self._busy_at = now()
        self._changed = False
        self._took = 0.0
        if correlating and (state := self._saved.payload.get("correlations")):
            correlating.load(state)

    def step(self) -> int:
        """Judge the next events; return how many there were."""
        batch = self.store.tail(self._cursor, limit=BATCH)
        if not batch.events:
            self._cursor = batch.cursor  # over what is no event, else it is read again and again
            self._idle()
            return 0
        began = time.perf_counter()
        told = [f for event in batch.events for f in self._findings(event)]
        took = time.perf_counter() - began
        self._told(told)
        self._watched(batch.events, took)
        self._cursor, self._busy_at, self._changed = batch.cursor, self.now(), True
        if self.now() - self._saved_at >= max(SAVE_EVERY, SHARE * self._took):
            self.save()
        return len(batch.events)

    def use(self, detector: Detector, correlating: Correlating | None) -> None:
        """Judge by another rule set from here on; what correlations have counted goes on."""
        if correlating and self.correlating:
            correlating.load(self.correlating.dump())
            correlating.counters.update(self.correlating.counters)
        self.detector, self.correlating, self._changed = detector, correlating, True

    def _watched(self, events: Sequence[Event], took: float) -> None:
        if self.watch:
            self.watch.judged(events, self._matches, took)
        self._matches.clear()

    def _findings(self, event: Event) -> Sequence[Finding]:
        findings = self.detector.evaluate(event)
        if findings:
            self._matches.update(finding.rule.id for finding in findings)
        return list(self.correlating.take(event, findings)) if self.correlating else findings

    def _told(self, findings: Sequence[Finding]) -> None:
        if findings:
            self.tell(findings)

    def _idle(self) -> None:
        self.save()
        since = int((self.now() - self._busy_at) * 1e6)
        if self.correlating and self.correlating.idle(since):
            self._decide(self.correlating.settle)

    def _decide(self, what: Callable[[], list[Finding]]) -> None:
        self._changed = True
        self.save()
        self._told(what())
        self._changed = True
        self.save()

    def finish(self) -> None:
        """Decide what waits for later events: nothing more comes."""
        if self.correlating:
            self._decide(self.correlating.finish)

    def left_out(self) -> dict[str, int]:
        """Return what did not count in correlations since the start, and how often."""
        counters = self.correlating.counters if self.correlating else {}
        return {name: n for name, n in sorted(counters.items()) if n and name != "ungrouped"}

    def save(self) -> None:
        """Save cursor and state in one write, if they changed."""
        if not self._changed:
            return
        began = self.now()
        payload: dict[str, Any] = {"cursor": self._cursor}
        if self.correlating:
            payload["correlations"] = self.correlating.dump()
        self._saved = self.store.save_checkpoint(
            Checkpoint(CURSOR, payload, self._saved.version, self._saved.epoch)
        )
        self._saved_at, self._changed = self.now(), False
        self._took = self._saved_at - began
