"""Matches for correlations: made where the event is, of the findings of single events."""

from collections import Counter
from collections.abc import Sequence

from detectors.sigma.correlation.match import Extractor, Match
from detectors.sigma.correlation.resolve import silent
from detectors.sigma.load import LoadReport
from detectors.sigma.pipeline import Pipelines
from soc.model.event import Event
from soc.model.finding import Finding


class Matching:
    """What the correlations of a rule set want to know of single events.

    Rules that a correlation without `generate` names raise nothing themselves. `counters`:
    `untimed` and `ahead` (events without a time, or with one that the receipt proves wrong: they
    do not count).
    """

    def __init__(
        self, report: LoadReport, pipelines: Pipelines, counters: Counter[str] | None = None
    ) -> None:
        self.counters: Counter[str] = Counter() if counters is None else counters
        self._extractor = Extractor(report.correlations, report.rules, pipelines)
        self._silent = silent(report.correlations)

    def heard(self, findings: Sequence[Finding]) -> list[Finding]:
        """Return the findings of single events that are told on their own."""
        return [finding for finding in findings if finding.rule.id not in self._silent]

    def matches(self, event: Event, findings: Sequence[Finding]) -> list[Match]:
        """Return the matches of an event's findings."""
        wanted = [f.rule.id for f in findings if self._extractor.wants(f.rule.id)]
        if not wanted:
            return []
        if event.get("soc.clock_skew"):
            self.counters["ahead"] += len(wanted)
            return []
        try:
            return [self._extractor.match(rule, event) for rule in wanted]
        except (KeyError, TypeError, ValueError):
            self.counters["untimed"] += len(wanted)
            return []
