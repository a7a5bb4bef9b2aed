"""Correlations behind the detection of single events: findings in, findings of series out."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from itertools import chain
from typing import Any

from detectors.sigma.correlation.correlator import Correlator
from detectors.sigma.correlation.match import Match, micros
from detectors.sigma.correlation.order import LATENESS, Order
from detectors.sigma.load import LoadReport
from detectors.sigma.pipeline import Pipelines
from soc.model.event import Event
from soc.model.finding import Finding
from soc.run.matching import Matching
from soc.run.sorting import Sorting


class Correlating:
    """The correlations of a rule set over the findings of its rules.

    `counters` adds to those of the correlator: `late`, `hurried` (Order), those of Matching.
    """

    def __init__(self, report: LoadReport, pipelines: Pipelines, lateness: int = LATENESS) -> None:
        self._correlator = Correlator(report.correlations)
        self.counters = self._correlator.counters
        self._order = Order(self.counters, lateness)
        self._matching = Matching(report, pipelines, self.counters)
        self._newest = self._second = ""
        self._received = 0

    def heard(self, findings: Sequence[Finding]) -> list[Finding]:
        """Return the findings of single events that are told on their own."""
        return self._matching.heard(findings)

    def take(self, event: Event, findings: Sequence[Finding]) -> Iterator[Finding]:
        """Take an event with its findings and yield what is told now, single events first."""
        yield from self.heard(findings)
        for match in self._matches(event, findings):
            self._order.hold(match)
        yield from self._released()

    def _matches(self, event: Event, findings: Sequence[Finding]) -> list[Match]:
        if not event.get("soc.clock_skew"):
            with suppress(KeyError, TypeError, ValueError):  # without a time it tells no time
                self._saw(event)
        return self._matching.matches(event, findings)

    def _saw(self, event: Event) -> None:
        """Tell the order of an event; one that is newer in nothing tells it nothing."""
        time, received = event["@timestamp"], event.get("event.created") or event["@timestamp"]
        second = received[:19]
        if second != self._second:
            self._received = micros(received)
            self._second = second
            if self._order.turned_back(self._received):
                self._correlator.forget(self._order.watermark)
                self._newest = ""
        elif time <= self._newest:
            return
        self._order.saw(micros(time), self._received)
        self._newest = max(self._newest, time)

    def _released(self) -> Iterator[Finding]:
        return chain(
            self._correlator.feed(self._order.ready()),
            self._correlator.advance(self._order.watermark),
        )

    def collect(self, event: Event, findings: Sequence[Finding], into: Sorting) -> None:
        """Put an event's matches to those that are sorted before any is counted."""
        if not findings:
            return
        for match in self._matches(event, findings):
            into.add(match)

    def count(self, matches: Iterator[Match]) -> Iterator[Finding]:
        """Yield the findings of matches in order after which nothing more comes."""
        return chain(self._correlator.feed(matches), self._correlator.close())

    def idle(self, since: int) -> bool:
        """Let time go on without events, for these microseconds since the last one.

        Return whether `settle` has something to decide then.
        """
        return self._order.idle(since) or self._correlator.due(self._order.watermark)

    def settle(self) -> list[Finding]:
        """Return what the time that went on decides."""
        return list(self._released())

    def finish(self) -> list[Finding]:
        """Return what is still held back or open: nothing more comes."""
        self._order.end()
        return [*self._released(), *self._correlator.close()]

    def dump(self) -> dict[str, Any]:
        """Return the whole state as plain JSON values, to be stored with the cursor."""
        return {"order": self._order.dump(), "groups": self._correlator.dump()}

    def load(self, state: Mapping[str, Any]) -> None:
        """Take back what `dump` gave."""
        self._order.load(state["order"])
        self._correlator.load(state["groups"])
