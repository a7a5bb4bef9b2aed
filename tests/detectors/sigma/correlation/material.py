"""Base rules a to e and events for them: an event is `a` when its field `is` says so."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from detectors.sigma.correlation.correlator import Correlator
from detectors.sigma.correlation.match import Extractor, Match
from detectors.sigma.correlation.rule import Correlation
from detectors.sigma.load import LoadReport, load
from detectors.sigma.pipeline import Pipelines
from detectors.sigma.reference import Reference
from soc.model.event import Event
from soc.model.finding import Finding
from soc.model.time import iso

START = datetime(2026, 11, 22, tzinfo=UTC)
PIPELINE = """\
title: Test
logsources:
  - logsource: {category: test}
    events: [{event.dataset: test}]
"""
BASE = """\
---
title: Rule %s
id: 00000000-0000-4000-8000-00000000000%s
name: %s
logsource: {category: test}
detection:
  selection: {is: %s}
  condition: selection
"""


@cache
def pipelines() -> Pipelines:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "pipeline.yml"
        path.write_text(PIPELINE, "utf-8")
        return Pipelines.load([path])


def document(name: str, body: str, number: int = 1) -> str:
    indented = "".join(f"  {line}\n" for line in body.splitlines())
    identifier = f"10000000-0000-4000-8000-{number:012}"
    return f"---\ntitle: {name}\nid: {identifier}\nname: {name}\ncorrelation:\n{indented}"


def base_rules() -> str:
    return "".join(BASE % (x, x, x, x) for x in "abcde")


def loaded(correlations: Mapping[str, str]) -> LoadReport:
    """Load base rules and correlations of these names and bodies."""
    text = base_rules() + "".join(
        document(name, body, number) for number, (name, body) in enumerate(correlations.items(), 1)
    )
    with TemporaryDirectory() as folder:
        return load([in_folder(folder, text)])


def in_folder(folder: str, text: str) -> Path:
    """Write a file of rules and return it."""
    path = Path(folder) / "rules.yml"
    path.write_text(text, "utf-8")
    return path


def correlation(body: str) -> Correlation:
    report = loaded({"it": body})
    assert report.rejected == ()
    return report.correlations[0]


def event(number: int, seconds: float, kinds: str | Sequence[str], fields: Event) -> Event:
    moment = START + timedelta(seconds=seconds)
    return {
        "@timestamp": iso(moment),
        "event.id": f"e{number:08}",
        "event.dataset": "test",
        "is": kinds,
        **fields,
    }


def matches(report: LoadReport, events: Iterable[Event]) -> list[Match]:
    """Return the matches of events in the order of the events."""
    reference = Reference(report.rules, pipelines())
    extractor = Extractor(report.correlations, report.rules, pipelines())
    return [
        extractor.match(finding.rule.id, one)
        for one in events
        for finding in reference.evaluate(one)
        if extractor.wants(finding.rule.id)
    ]


def in_order(found: Iterable[Match]) -> list[Match]:
    return sorted(found, key=lambda match: (match.time, match.id, match.rule))


def found(report: LoadReport, events: Iterable[Event]) -> list[Finding]:
    """Return the findings of the correlations over a whole list of events."""
    correlator = Correlator(report.correlations)
    told = [*correlator.feed(in_order(matches(report, events))), *correlator.close()]
    assert not correlator.counters["errors"]
    return told


def said(findings: Iterable[Finding]) -> list[tuple[Any, ...]]:
    """Return what findings say, for comparison."""
    return [
        (f.rule.id, f.group, [e["event.id"] for e in f.events], f.reason.as_dict(), f.entities)
        for f in findings
    ]
