"""Detection over files and pipes: rules loaded, events read, findings out, no store needed."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import rules
from detectors.sigma.load import LoadReport, load
from detectors.sigma.pipeline import Pipelines
from detectors.sigma.reference import Reference
from soc.errors import ContentError
from soc.model.event import Event
from soc.model.finding import Finding
from soc.run.summary import Summary


@dataclass(frozen=True, slots=True)
class Detection:
    """A loaded rule set, ready to judge events."""

    report: LoadReport
    engine: Reference

    def findings(self, events: Iterable[Event], summary: Summary) -> Iterator[Finding]:
        """Yield the findings of events in their order, counting as it goes."""
        for event in events:
            summary.saw(event)
            for finding in self.engine.evaluate(event):
                summary.found(finding)
                yield finding


def pipelines() -> Pipelines:
    """Return the pipelines that come with soc."""
    return Pipelines.load([rules.PIPELINES])


def detection(paths: Sequence[Path]) -> Detection:
    """Load rules and the shipped pipelines; raise ContentError when not one rule is usable."""
    report = load(paths)
    if not report.rules:
        places = ", ".join(str(path) for path in paths)
        first = f"; the first problem: {report.rejected[0]}" if report.rejected else ""
        raise ContentError(f"no usable rule in {places}{first}", hint=f"soc rules check {places}")
    return Detection(report, Reference(report.rules, pipelines()))
