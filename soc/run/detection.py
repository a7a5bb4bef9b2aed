"""Detection over files and pipes: rules loaded, events read, findings out, no store needed."""

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Final

import rules
from detectors.sigma.cache import load_cached
from detectors.sigma.check_fields import Known
from detectors.sigma.check_fields import known_fields as fields_of
from detectors.sigma.engine import Engine
from detectors.sigma.load import LoadReport, load
from detectors.sigma.pipeline import Pipelines
from detectors.yara.findings import finding_of
from soc.errors import ContentError
from soc.model.event import Event
from soc.model.finding import Finding
from soc.run.correlating import Correlating
from soc.run.sorting import Sorting
from soc.run.summary import Summary

BATCH: Final = 256
"""Events of files that are judged together."""


@dataclass(frozen=True, slots=True)
class Detection:
    """A loaded rule set, ready to judge events."""

    report: LoadReport
    engine: Engine
    pipelines: Pipelines

    def findings(
        self, events: Iterable[Event], summary: Summary, *, stream: bool = False
    ) -> Iterator[Finding]:
        """Yield the findings of events in their order, counting as it goes.

        Those of correlations follow at the end, over all events in the order of time; in a
        `stream`, whose end may be far, as soon as the lateness of events allows.
        """
        for finding in self._told(events, summary, stream):
            summary.found(finding)
            yield finding

    def _told(self, events: Iterable[Event], summary: Summary, stream: bool) -> Iterator[Finding]:
        correlating, matches = self.correlating(), Sorting()
        if stream:
            for event in events:
                summary.saw(event)
                yield from correlating.take(event, self.evaluate(event))
            yield from correlating.finish()
            return
        for event, findings in self.judged(events, summary):
            yield from correlating.heard(findings)
            correlating.collect(event, findings, matches)
        yield from correlating.count(matches.drain())

    def judged(
        self, events: Iterable[Event], summary: Summary
    ) -> Iterator[tuple[Event, list[Finding]]]:
        """Yield events with what `evaluate` says of them; a batch at a time, which costs less."""
        rest = iter(events)
        while batch := list(islice(rest, BATCH)):
            for event, found in zip(batch, self.evaluate_batch(batch), strict=True):
                summary.saw(event)
                yield event, found

    def evaluate(self, event: Event) -> list[Finding]:
        """Return what Sigma's rules say of an event, and what YARA said when it was scanned."""
        found = self.engine.evaluate(event)
        told = finding_of(event)
        return [*found, told] if told else found

    def evaluate_batch(self, events: Sequence[Event]) -> list[list[Finding]]:
        """Return what `evaluate` says of each event."""
        found = self.engine.evaluate_batch(events)
        told = map(finding_of, events)
        return [[*f, one] if one else f for f, one in zip(found, told, strict=True)]

    def correlating(self) -> Correlating:
        """Return the correlations, with nothing counted yet."""
        return Correlating(self.report, self.pipelines)

    def without(self, parked: Collection[str]) -> "Detection":
        """Return the same rule set without the rules and correlations of these ids."""
        report = self.report.without(parked)
        if len(report.rules) == len(self.report.rules):
            return replace(self, report=report)
        return replace(self, report=report, engine=Engine(report.rules, self.pipelines))


def pipelines() -> Pipelines:
    """Return the pipelines that come with soc."""
    return Pipelines.load([rules.PIPELINES])


def known_fields() -> Known:
    """Return the table of fields that comes with soc."""
    return fields_of(rules.PIPELINES / "fields.tsv")


def detection(paths: Sequence[Path], *, state: Path | None = None) -> Detection:
    """Load rules and the shipped pipelines; raise ContentError when not one rule is usable.

    With a `state` folder the loaded rules are kept in its `cache` for the next start.
    """
    report = load(paths) if state is None else load_cached(paths, state / "cache")
    if not report.rules:
        places = ", ".join(str(path) for path in paths)
        first = f"; the first problem: {report.rejected[0]}" if report.rejected else ""
        raise ContentError(f"no usable rule in {places}{first}", hint=f"soc rules check {places}")
    found = pipelines()
    return Detection(report, Engine(report.rules, found), found)
