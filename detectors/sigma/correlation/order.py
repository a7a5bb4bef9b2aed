"""Matches in the order of time: held back until what may still come early can no longer come."""

import heapq
from collections import Counter
from collections.abc import Iterator
from typing import Any, Final

from detectors.sigma.correlation.match import Match

LATENESS: Final = 300_000_000
"""Microseconds by which an event may come after a later one and still count in its place."""
MAX_HELD: Final = 100_000
"""Matches held back; beyond, the earliest go on early."""


class Order:
    """Releases matches in the order of (time, event id), behind a lateness.

    The watermark is the newest time seen less the lateness. A match from before it comes too
    late: it does not count and is left to a backfill (`late` in the counters). What happens
    depends on the order of calls only, never on a clock.
    """

    def __init__(self, counters: Counter[str], lateness: int = LATENESS) -> None:
        self.counters = counters
        self.lateness = lateness
        self.watermark = 0
        self._newest = 0
        self._held: list[tuple[int, str, str, int, Match]] = []
        self._serial = 0

    def saw(self, time: int) -> None:
        """Take note of an event's time, whether a rule matched it or not."""
        if time > self._newest:
            self._newest = time
            self.watermark = max(self.watermark, time - self.lateness)

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
        """Move the watermark on when nothing came for longer than the lateness (microseconds).

        Return whether matches are ready then.
        """
        if self._newest and since > self.lateness:
            self.watermark = max(self.watermark, self._newest + since - self.lateness)
        return bool(self._held) and self._held[0][0] < self.watermark

    def end(self) -> None:
        """Move the watermark behind everything that was seen: nothing more comes."""
        self.watermark = max(self.watermark, self._newest + 1)

    def dump(self) -> dict[str, Any]:
        """Return what is held as plain JSON values."""
        held = [item[-1].as_list() for item in sorted(self._held, key=lambda item: item[:4])]
        return {"watermark": self.watermark, "newest": self._newest, "held": held}

    def load(self, state: dict[str, Any]) -> None:
        """Take back what `dump` gave."""
        self.watermark, self._newest = state["watermark"], state["newest"]
        for item in state["held"]:
            self._push(Match.of(item))
