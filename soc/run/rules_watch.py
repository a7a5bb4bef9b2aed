"""Watches what rules cost while events are judged, and stops one that holds everything up.

Measuring is held to a part of the judging's own time, whatever the machine and the rules: a few
events of a batch are evaluated again, rule by rule, when that part has room for them. A batch that
takes longer than any should is looked through at once.
"""

import logging
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Final

from detectors.sigma.engine import Engine
from detectors.sigma.engine.profile import profile
from soc.errors import Conflict, StoreError
from soc.model.event import Event
from soc.model.time import iso
from soc.run.rules_health import COSTLY_SHARE, Health
from soc.run.rules_parking import Parked, park
from soc.store.base import Checkpoint, Store

log = logging.getLogger("soc.run")

NAME: Final = "rules.health"
PART: Final = 0.0025
"""Part of the judging's time that measuring may take."""
FEW: Final = 8
"""Events that are sampled of a batch, at most."""
SAVE_EVERY: Final = 30.0
"""Seconds between two additions to the store."""
TRIES: Final = 5
HARD: Final = 1.0
"""Seconds of one rule for one event that park it at once."""
SEARCH_EVERY: Final = 30.0
"""Seconds between two searches of slow batches, at least."""


class Watch:
    """Counts and samples for one process; adds what it has to the `Health` in the store."""

    def __init__(
        self,
        store: Store,
        engine: Engine,
        clock: Callable[[], datetime],
        *,
        now: Callable[[], float] = time.perf_counter,
        hard: float = HARD,
    ) -> None:
        self.store = store
        self.clock = clock
        self.now = now
        self.hard = hard
        self._delta = Health()
        self._judging = self._measuring = 0.0
        self._turn = 0
        self._saved_at = now()
        self._searched_at: float | None = None
        self._told: set[tuple[str, str]] = set()
        self.use(engine)

    def use(self, engine: Engine) -> None:
        """Watch another rule set from now on."""
        self.engine = engine
        self._titles = {rule.id: rule.info.title for rule in engine.rules}
        self._errors = Counter(engine.errors)

    def judged(self, events: Sequence[Event], matches: Mapping[str, int], seconds: float) -> None:
        """Take note of a batch: its events, matches by rule id, and the seconds judging took."""
        moment = self.clock()
        stamp = iso(moment)
        for period in self._delta.now(moment.timestamp()):
            period.judged += len(events)
            for rule, number in matches.items():
                tally = period.of(rule)
                tally.matches += number
                tally.last = stamp
            for rule, number in (self.engine.errors - self._errors).items():
                period.of(rule).errors += number
        self._judging += seconds
        if seconds > self.hard:
            self._search(events)
        self._sample(events)
        self._errors = Counter(self.engine.errors)  # those of measuring do not count
        if self.now() - self._saved_at >= SAVE_EVERY:
            self.save()

    def _sample(self, events: Sequence[Event]) -> None:
        """Measure events from all over the batch, as long as there is time to spare."""
        step = max(1, len(events) // FEW)
        self._turn += 1
        for event in events[self._turn % step :: step]:
            if self._measuring >= self._judging * PART:
                return
            self._measure(event)

    def _measure(self, event: Event) -> dict[str, float]:
        began = self.now()
        whole, rules = profile(self.engine, event, self.now)
        for period in self._delta.now(self.clock().timestamp()):
            period.sampled += 1
            period.seconds += whole
            for rule, seconds in rules.items():
                tally = period.of(rule)
                tally.candidates += 1
                tally.seconds += seconds
                tally.slowest = max(tally.slowest, seconds)
        self._measuring += self.now() - began
        return rules

    def _search(self, events: Sequence[Event]) -> None:
        """Look for the rule that held a batch up."""
        if self._searched_at is not None and self.now() - self._searched_at < SEARCH_EVERY:
            return
        for event in events:
            began = self.now()
            self.engine.evaluate(event)
            if self.now() - began > self.hard:
                for rule, seconds in self._measure(event).items():
                    if seconds > self.hard:
                        self._park(rule, seconds)
                break
        self._searched_at = self.now()

    def _park(self, rule: str, seconds: float) -> None:
        detail = f"took {seconds:.1f} s for one event; the bound is {self.hard:g} s"
        title = self._titles.get(rule, rule)
        if park(self.store, Parked(rule, title, detail, "soc", iso(self.clock()))):
            self._notice(rule, "parked", detail)
            log.error("rule parked: %s (%s) %s; soc rules health", title, rule, detail)
            self.save()

    def _notice(self, rule: str, what: str, detail: str) -> None:
        title = self._titles.get(rule, rule)
        at = iso(self.clock())
        self._delta.notices.append(
            {"at": at, "rule": rule, "title": title, "what": what, "detail": detail}
        )

    def save(self) -> None:
        """Add what was counted to the store; what cannot be added now stays for the next time."""
        self._saved_at = self.now()
        try:
            self._told_costly(self._added())
        except StoreError as error:
            log.warning("the health of rules was not stored: %s", error)

    def _added(self) -> Health:
        for tries_left in reversed(range(TRIES)):
            found = self.store.checkpoint(NAME)
            health = Health.load(found.payload) if found else Health()
            health.merge(self._delta)
            try:
                version = found.version if found else 0
                self.store.save_checkpoint(Checkpoint(NAME, health.dump(), version))
            except Conflict:
                if tries_left:
                    continue
                raise
            self._delta = Health()
            return health
        raise AssertionError("not reached")

    def _told_costly(self, health: Health) -> None:
        """Say loudly, once per day, which rules take more than their share."""
        recent = health.recent
        for rule in recent.costly():
            if rule in self._titles and (key := (rule, iso(self.clock())[:10])) not in self._told:
                self._told.add(key)
                detail = (
                    f"takes {recent.share(rule):.0%} of the evaluation time"
                    f" ({recent.per_event(rule) * 1e6:.0f} us per event);"
                    f" {COSTLY_SHARE:.0%} is the limit"
                )
                self._notice(rule, "costly", detail)
                hint = f"soc rules park {rule} --reason ..."
                log.warning(
                    "rule is costly: %s (%s) %s; %s", self._titles[rule], rule, detail, hint
                )


def health(store: Store) -> Health:
    """Return what was counted by all who judge events from this store."""
    found = store.checkpoint(NAME)
    return Health.load(found.payload) if found else Health()
