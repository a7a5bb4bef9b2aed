"""Matches in the order of time: held back until what may still come early can no longer come."""

import heapq
from collections import Counter, deque
from collections.abc import Iterator
from typing import Any, Final

from detectors.sigma.correlation.match import Match

LATENESS: Final = 300_000_000
"""Microseconds by which an event may be received after a later one and still count in its place."""
MAX_HELD: Final = 50_000
"""Matches held back; beyond, the earliest go on early."""
_STEP: Final = 1_000_000
"""Microseconds of receipt that are remembered as one."""


class Order:
    """Releases matches in the order of (time, event id), behind a lateness.

    The watermark is the newest event time that was received longer ago than the lateness. Time is
    that of the receipts, so that logs which are read one after the other (at the first start, after
    a pause) fall into place. A match from before the watermark comes too late: it does not count
    and is left to a backfill (`late` in the counters). What happens depends on the order of calls
    only, never on a clock.
    """

    def __init__(self, counters: Counter[str], lateness: int = LATENESS) -> None:
        self.counters = counters
        self.lateness = lateness
        self.watermark = 0
        self._newest = 0
        self._received = 0
        self._lower: int | None = None
        self._steps: deque[tuple[int, int]] = deque()
        self._held: list[tuple[int, str, str, int, Match]] = []
        self._serial = 0

    @property
    def held(self) -> int:
        """Return how many matches are held back."""
        return len(self._held)

    @property
    def received(self) -> int:
        """Return the latest receipt that was noted."""
        return self._received

    def saw(self, time: int, received: int) -> None:
        """Note an event's time and receipt, whether a rule matched it or not; time goes on."""
        self.note(time, received)
        self._move(self._received)

    def turned_back(self, received: int) -> bool:
        """Tell whether receipts of one clock show that it was ahead before; then time begins anew.

        They do when they lie before the latest one by more than the lateness, and go on so for as
        long. Else nothing would be released until the clock is where it had been.
        """
        if received + self.lateness >= self._received:
            self._lower = None
            return False
        self._lower = received if self._lower is None else min(received, self._lower)
        if received - self._lower < self.lateness:
            return False
        self._lower, self._received = None, received
        while self._steps and self._steps[-1][0] > received // _STEP:
            self._steps.pop()
        self._newest = self._steps[-1][1] if self._steps else min(self._newest, received)
        self.watermark = min(self.watermark, received - self.lateness)
        return True

    def note(self, time: int, received: int) -> None:
        """Take note of an event's time and receipt; `reach` says when time goes on."""
        self._newest = max(self._newest, time)
        self._received = max(self._received, received)
        step = self._received // _STEP
        if self._steps and self._steps[-1][0] == step:
            self._steps.pop()
        self._steps.append((step, self._newest))

    def _move(self, now: int) -> None:
        while self._steps and (self._steps[0][0] + 1) * _STEP + self.lateness <= now:
            self.watermark = max(self.watermark, self._steps.popleft()[1])

    def hold(self, match: Match) -> None:
        """Take a match; `saw` must have been told of its event."""
        if match.time < self.watermark:
            self.counters["late"] += 1
            return
        self._push(match)
        if len(self._held) > MAX_HELD:
            self.watermark = max(self.watermark, self._held[0][0] + 1)
            self.counters["hurried"] += 1

    def _push(self, match: Match) -> None:
        self._serial += 1
        heapq.heappush(self._held, (match.time, match.id, match.rule, self._serial, match))

    def ready(self) -> Iterator[Match]:
        """Yield the matches from before the watermark."""
        while self._held and self._held[0][0] < self.watermark:
            yield heapq.heappop(self._held)[-1]

    def idle(self, since: int) -> bool:
        """Let time go on while nothing comes (microseconds since the last event).

        Return whether matches are ready then.
        """
        return self.reach(self._received + since)

    def reach(self, moment: int) -> bool:
        """Let time go on: what was received before this moment has been noted.

        Return whether matches are ready then.
        """
        self._move(moment)
        if self._newest and not self._steps:
            quiet = self._received // _STEP * _STEP + _STEP + self.lateness
            self.watermark = max(self.watermark, self._newest + moment - quiet)
        return bool(self._held) and self._held[0][0] < self.watermark

    def end(self) -> None:
        """Move the watermark behind everything that was seen: nothing more comes."""
        self.watermark = max(self.watermark, self._newest + 1)

    def dump(self) -> dict[str, Any]:
        """Return what is held as plain JSON values."""
        return {
            "watermark": self.watermark,
            "newest": self._newest,
            "received": self._received,
            "steps": list(self._steps),
            "held": [item[-1].as_list() for item in sorted(self._held, key=lambda i: i[:4])],
        }

    def load(self, state: dict[str, Any]) -> None:
        """Take back what `dump` gave."""
        self.watermark, self._newest = state["watermark"], state["newest"]
        self._received = state["received"]
        self._steps.extend((step, newest) for step, newest in state["steps"])
        for item in state["held"]:
            self._push(Match.of(item))
