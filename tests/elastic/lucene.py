"""SigmaHQ's rules as another's Lucene queries: pySigma's backend on the names of our pipelines.

The processing pipeline is made of `rules/pipelines`: a log source is the events that deliver it, a
Sigma field is where our events have it, and a field that is not mapped lies in `soc.unmapped`.
"""

import random
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from sigma.backends.elasticsearch import LuceneBackend
from sigma.processing.pipeline import ProcessingItem, ProcessingPipeline
from sigma.processing.transformations import FieldFunctionTransformation
from sigma.rule import SigmaRule

from detectors.sigma.check_fields import items
from detectors.sigma.load import rule_files
from detectors.sigma.patterns import Regex
from detectors.sigma.pipeline import Source
from detectors.sigma.rule import Rule
from soc.model.event import Event
from soc.store.elastic.fields import OPEN, leaves
from tests.bench.sigma_events import sample, wanted, write
from tests.conformance.test_sigmahq_regression import corpus, pipelines, samples
from tests.conformance.test_sigmahq_regression import events as read
from tests.data import ROOT

EVENTS = 3
"""For each rule: of alternatives chance takes one."""
Entry = dict[str, Any]


@cache
def served() -> dict[str, Rule]:
    """Every rule that some source delivers, by the name of its file."""
    rules = {Path(rule.info.path).stem: rule for rule in corpus().rules}
    assert len(rules) == len(corpus().rules)
    return {name: rule for name, rule in rules.items() if pipelines().route(rule.logsource)}


@cache
def entries() -> dict[str, Entry]:
    """What the files say about each source, by its place."""
    documents = (
        document
        for path in rule_files([ROOT / "rules" / "pipelines"])
        for document in yaml.safe_load_all(path.read_text("utf-8"))
        if document
    )
    found = [entry for document in documents for entry in document["logsources"]]
    return {one.where: entry for one, entry in zip(pipelines().sources, found, strict=True)}


def place(name: str) -> str:
    """Where Elasticsearch has a field of an event."""
    return name if name in leaves() else f"{OPEN}.{name}"


@cache
def backend(source: Source) -> LuceneBackend:
    def names(field: str | None) -> str | list[str]:
        sigma = str(field).replace(" ", "")
        # A field that the pipeline does not list has one place, with the prefix.
        found = source.names(sigma)[: None if sigma in source.fields else 1]
        return [place(one) for one in found]

    mapped: Any = FieldFunctionTransformation(mapping={}, transform_func=names)
    return LuceneBackend(ProcessingPipeline(items=[ProcessingItem(transformation=mapped)]))


@cache
def delivered(where: str) -> str:
    """The query for the events of a source."""
    tests = {f"test{n}": test for n, test in enumerate(entries()[where]["events"])}
    detection = {**tests, "condition": "1 of test*"}
    rule = SigmaRule.from_dict(
        {"title": "delivered", "logsource": {"product": "any"}, "detection": detection}
    )
    (query,) = LuceneBackend().convert_rule(rule)
    return f"({query})"


def query(rule: Rule) -> str:
    """A rule as one query_string; raises pySigma's errors."""
    route = pipelines().route(rule.logsource)
    assert route is not None
    text = Path(rule.info.path).read_text("utf-8")
    from_sources: dict[str, list[str]] = {}  # many sources have the same names: asked once
    for source in route.sources:
        made = backend(source).convert_rule(SigmaRule.from_yaml(text))
        whole = " OR ".join(f"({one})" for one in made)
        from_sources.setdefault(whole, []).append(delivered(source.where))
    parts = [f"(({' OR '.join(of)}) AND ({one}))" for one, of in from_sources.items()]
    return " OR ".join(parts)


def recorded() -> list[Event]:
    """SigmaHQ's regression events; a few samples hold the same one."""
    found = [event for one in samples() for event in read(one.path)]
    return list({event["event.id"]: event for event in found}.values())


def written(rules: set[str]) -> Iterator[Event]:
    """Events for each rule that say what it asks for; what a regex asks for is not invented."""
    for name in sorted(rules):
        rule = served()[name]
        if not any(isinstance(one, Regex) for item in items(rule) for one in item.patterns):
            for number in range(EVENTS):
                yield _event(rule, f"{name}-{number}", random.Random(f"{name}-{number}"))


def _event(rule: Rule, identity: str, dice: random.Random) -> Event:
    route = pipelines().route(rule.logsource)
    assert route is not None
    source = route.sources[0]
    record: dict[str, Any] = {}
    for item in wanted(rule.condition, rule, dice):
        if not item.negated:
            patterns = item.patterns if item.every else [dice.choice(item.patterns)]
            write(record, item.field or "", [sample(one, dice) for one in patterns])
    event: Event = {"event.id": identity, "event.dataset": "windows", "ecs.version": "9.5.0"}
    event["@timestamp"] = "2026-11-22T08:00:00.000000Z"
    for field, value in record.items():
        where = source.names(field.replace(" ", ""))[0] if field else "message"
        event[where] = _typed(where, value)
    for where, value in entries()[source.where]["events"][0].items():
        first = value[0] if isinstance(value, list) else value
        event[where] = _typed(where, first.replace("*", "x"))
    return event


def _typed(name: str, value: Any) -> Any:
    return int(value) if leaves().get(name) == "long" and str(value).isdigit() else value
