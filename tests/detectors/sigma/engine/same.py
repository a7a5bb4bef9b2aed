"""The engine's findings held to the reference's, for dicts and for lines."""

import json
from collections.abc import Iterable, Sequence
from typing import Any

import orjson

from detectors.sigma.engine import Engine
from detectors.sigma.pipeline import Pipelines
from detectors.sigma.reference import Reference
from detectors.sigma.rule import Rule
from soc.model.event import flatten, nest
from soc.model.finding import Finding

Event = dict[str, Any]


def assert_same(
    rules: Sequence[Rule], pipelines: Pipelines, events: Iterable[Event], *, rounds: int = 2
) -> int:
    """Assert that both find the same, several times over; return the number of findings."""
    reference, engine = Reference(rules, pipelines), Engine(rules, pipelines)
    material = list(events)
    wanted = [reference.evaluate(event) for event in material]
    for _ in range(rounds):
        for event, found in zip(material, wanted, strict=True):
            told = engine.evaluate(event)
            assert told == found, event
            _assert_written(told)
        assert engine.evaluate_batch(material) == wanted
    _assert_lines(engine, reference, material)
    assert engine.errors == reference.errors == {}
    return sum(map(len, wanted))


def _assert_written(findings: Sequence[Finding]) -> None:
    """Assert that the JSON of findings is that of their documents; both may be impossible."""
    for finding in findings:
        try:
            wanted = orjson.dumps(finding.as_document())
        except (KeyError, TypeError):
            continue
        assert finding.as_json() == wanted


def _assert_lines(engine: Engine, reference: Reference, material: list[Event]) -> None:
    plain = [event for event in material if is_json(event)]
    for form in (lambda event: event, nest):
        for ascii_only in (True, False):
            lines = [json.dumps(form(e), ensure_ascii=ascii_only).encode() for e in plain]
            wanted = [reference.evaluate(flatten(json.loads(line))) for line in lines]
            for _ in range(2):
                for line, found in zip(lines, wanted, strict=True):
                    assert engine.evaluate_lines([line]) == [found], line
    assert engine.lines.unread == 0


def is_json(event: Event) -> bool:
    """Tell whether an event survives JSON as a line does."""
    try:
        text = json.dumps(event, ensure_ascii=False, allow_nan=False).encode()
        return json.loads(text) == event and all(abs(n) < 1 << 53 for n in _integers(event))
    except (TypeError, ValueError, RecursionError):
        return False


def _integers(event: Event) -> Iterable[int]:
    return (value for value in event.values() if isinstance(value, int))
