"""The correlator: matches in the order of time go in, findings come out. No clock, no I/O."""

import hashlib
from collections import Counter, deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from detectors.sigma.correlation.finding import MAX_UNDER, event_id, finding, others
from detectors.sigma.correlation.match import Match
from detectors.sigma.correlation.resolve import silent
from detectors.sigma.correlation.rule import Correlation
from detectors.sigma.correlation.state import Limits, Mine, Result, State
from soc.model.finding import Finding

MAX_INNER: Final = 10_000
"""Matches of inner correlations that one event may cause."""


class Correlator:
    """Evaluates correlations over matches; inner ones before the outer ones that refer to them.

    `counters` tells what did not count and why: `ungrouped` (a group-by field is absent),
    `evicted_groups` and `dropped_numbers` (the bounds of memory), `cut_chains`, `errors`.
    """

    def __init__(
        self,
        correlations: Sequence[Correlation],
        limits: Limits | None = None,
        mine: Mine | None = None,
    ) -> None:
        self.correlations = tuple(correlations)
        self.counters: Counter[str] = Counter()
        self._states = [
            State(one, self.counters, limits or Limits(), mine)
            for one in correlations
            if not one.parked
        ]
        self._listening: dict[str, list[State]] = {}
        for state in self._states:
            for rule in state.one.rules:
                self._listening.setdefault(rule, []).append(state)
        self._closing = [state for state in self._states if not state.one.rising]
        self._silent = silent(correlations)

    def feed(self, matches: Iterable[Match]) -> Iterator[Finding]:
        """Yield the findings of matches, which must come in the order of (time, event id)."""
        for match in matches:
            yield from self.advance(match.time)
            yield from self._take(match)

    def advance(self, time: int) -> Iterator[Finding]:
        """Decide the windows that end before this time (microseconds)."""
        while self._closing:
            state = min(self._closing, key=_due)
            due = state.due
            if due is None or due >= time:
                break
            yield from self._close(state, due + 1)
        for state in self._closing:
            yield from self._close(state, time)

    def due(self, time: int) -> bool:
        """Tell whether `advance` to this time has a window to decide."""
        return any(_due(state) < time for state in self._closing)

    def close(self) -> Iterator[Finding]:
        """Decide every window that is open: nothing more comes."""
        while any(state.due is not None for state in self._closing):
            state = min(self._closing, key=_due)
            yield from self._close(state, (state.due or 0) + 1)

    def forget(self, after: int) -> None:
        """Forget the groups that counted something after this time: the clock had been ahead."""
        for state in self._states:
            state.forget(after)

    def _close(self, state: State, before: int) -> Iterator[Finding]:
        for result in list(state.close(before)):
            yield from self._told(result)
            if inner := self._inner(result):
                yield from self._take(inner)

    def _take(self, match: Match) -> Iterator[Finding]:
        waiting = deque([match])
        taken = 0
        while waiting:
            match = waiting.popleft()
            for state in self._listening.get(match.rule, ()):
                try:
                    results = list(state.feed(match))
                except Exception:  # one match of one correlation is lost, not the process
                    self.counters["errors"] += 1
                    continue
                for result in results:
                    yield from self._told(result)
                    if inner := self._inner(result):
                        waiting.append(inner)
            taken += 1
            if taken > MAX_INNER:
                self.counters["cut_chains"] += 1
                return

    def _told(self, result: Result) -> Iterator[Finding]:
        if result.fired and result.one.id not in self._silent:
            yield finding(result)

    def _inner(self, result: Result) -> Match | None:
        """Return a result as a match for the correlations that refer to it.

        Its fields are those of the completing event; what it is grouped by goes first.
        """
        one, match = result.one, result.match
        if one.id not in self._listening:
            return None
        own = {name: [value] for name, value in zip(one.group_by, result.values, strict=True)}
        return Match(
            rule=one.id,
            base=match.base,
            time=result.time,
            id=f"{one.id}\n{result.key}\n{event_id(match.id)}",
            event=match.event,
            fields={**match.fields, **own},
            fired=result.fired,
            under=tuple(others(result, MAX_UNDER)),
        )

    def dump(self) -> dict[str, Any]:
        """Return the whole state as plain JSON values."""
        return {
            state.one.id: {"rule": fingerprint(state.one), **state.dump()} for state in self._states
        }

    def load(self, state: Mapping[str, Any]) -> None:
        """Take back what `dump` gave; a correlation that changed since begins anew."""
        for one in self._states:
            found = state.get(one.one.id)
            if found and found["rule"] == fingerprint(one.one):
                one.load(found)


def _due(state: State) -> float:
    due = state.due
    return float("inf") if due is None else due


def fingerprint(one: Correlation) -> str:
    """Return a hash of all that gives a correlation's state its meaning."""
    parts = (
        one.kind,
        one.rules,
        one.timespan,
        repr(one.condition),
        one.group_by,
        sorted((alias, *sorted(fields.items())) for alias, fields in (one.aliases or {}).items()),
        one.fields,
        one.percentile,
    )
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:20]
