"""The datasets that the store does not take while it takes others: each is tried by itself.

A key may add to one data stream and not to another; an index can be blocked, closed or without its
shards. What waits for that must not hold up the rest, and is not broken: it stays in the spool.
"""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from soc.model.time import iso

log = logging.getLogger("soc.collect")

FIRST_WAIT: Final = 0.2
LONGEST_WAIT: Final = 30.0


@dataclass(slots=True)
class Closed:
    """Why and since when a dataset is not taken; it is tried again when `due` has come."""

    why: str
    since: str
    failures: int = 0
    due: float = 0.0


class Closings:
    """The closed datasets. `clock` is the wall clock, `now` monotonic."""

    def __init__(
        self,
        clock: Callable[[], datetime],
        now: Callable[[], float],
        spread: Callable[[float, float], float],
    ) -> None:
        self._clock, self._now, self._spread = clock, now, spread
        self._closed: dict[str, Closed] = {}

    def __contains__(self, name: str) -> bool:
        return name in self._closed

    def __bool__(self) -> bool:
        return bool(self._closed)

    def close(self, name: str, why: str) -> None:
        """Note that nothing of a dataset was taken."""
        known = self._closed.get(name)
        if known is None:
            log.error("%s is not sent, the rest is: %s", name, why)
            known = self._closed[name] = Closed(why, iso(self._clock()))
        known.why = why
        known.failures += 1
        most = min(FIRST_WAIT * 2 ** min(known.failures, 10), LONGEST_WAIT)
        known.due = self._now() + self._spread(0, most)

    def reopen(self, name: str) -> None:
        """Note that something of a dataset was taken."""
        if self._closed.pop(name, None):
            log.warning("%s is sent again", name)

    def due(self, at: float) -> str | None:
        """Return a dataset whose time for a try has come; it is due again when that is lost."""
        for name, known in self._closed.items():
            if known.due <= at:
                known.due = at + LONGEST_WAIT
                return name
        return None

    def figures(self, held: Mapping[str, int]) -> dict[str, Any]:
        """Return why and since when, and how many events wait."""
        return {
            name: {"why": known.why, "since": known.since, "waiting": held.get(name, 0)}
            for name, known in sorted(self._closed.items())
        }
