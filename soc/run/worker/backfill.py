"""Backfill: rules over events that are stored already. The same alert is raised once for all."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import islice
from typing import Final

from detectors.sigma.engine import Engine
from soc.alerts.raising import to_alert
from soc.errors import UsageError
from soc.model.event import Event
from soc.run.detection import Detection
from soc.run.summary import Summary
from soc.store.base import Store
from soc.store.query import parse

PAGE: Final = 1000
MARK: Final = "soc.alert.backfill"
"""True on alerts that a backfill raised."""


@dataclass(slots=True)
class Counts:
    """What a backfill did: `known` alerts were there already."""

    events: int = 0
    raised: int = 0
    known: int = 0
    refused: int = 0


def only(detection: Detection, rule: str) -> Detection:
    """Return the detection of one rule or correlation, by its id, with what it refers to."""
    report = detection.report
    inside = {rule}
    for one in reversed(report.correlations):  # inner ones stand before
        if one.id in inside:
            inside |= set(one.rules)
    rules = tuple(one for one in report.rules if one.id in inside)
    correlations = tuple(one for one in report.correlations if one.id in inside)
    if not rules:
        raise UsageError(f"no rule has the id {rule!r}", hint="soc rules list")
    chosen = replace(report, rules=rules, correlations=correlations)
    return Detection(chosen, Engine(rules, detection.pipelines), detection.pipelines)


def backfill(
    store: Store,
    detection: Detection,
    since: datetime,
    until: datetime,
    now: datetime,
) -> Counts:
    """Judge the events of a time and raise what has not been raised; say how much that was."""
    counts = Counts()
    findings = detection.findings(_events(store, since, until, counts), Summary())
    while some := list(islice(findings, PAGE)):
        alerts = [to_alert(finding, now) | {MARK: True} for finding in some]
        for verdict in store.create_alerts(alerts):
            counts.raised += verdict.outcome == "created"
            counts.known += verdict.outcome == "duplicate"
            counts.refused += verdict.outcome == "rejected"
    return counts


def _events(store: Store, since: datetime, until: datetime, counts: Counts) -> Iterator[Event]:
    after = None
    everything = parse("*")
    while True:
        page = store.search(everything, since=since, until=until, limit=PAGE, after=after)
        counts.events += len(page.events)
        yield from page.events
        if (after := page.next) is None:
            return
