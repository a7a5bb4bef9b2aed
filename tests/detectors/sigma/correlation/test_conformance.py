"""The meaning of correlations, case by case: tests/conformance/sigma/correlation/*.yml."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from tests.data import ROOT
from tests.detectors.sigma.correlation.material import event, found, loaded

CASES = ROOT / "tests" / "conformance" / "sigma" / "correlation"


def cases() -> Iterator[Any]:
    for path in sorted(CASES.glob("*.yml")):
        for case in yaml.load(path.read_text("utf-8"), yaml.CSafeLoader):
            yield pytest.param(case, id=f"{path.stem}: {case['name']}")


@pytest.mark.parametrize("case", list(cases()))
def test_case(case: dict[str, Any]) -> None:
    bodies = case.get("correlations") or {"it": case["correlation"]}
    report = loaded(bodies)
    assert report.rejected == ()
    events = [
        event(number, seconds, kinds, (rest or [{}])[0])
        for number, (seconds, kinds, *rest) in enumerate(case["events"], 1)
    ]
    got = [
        {
            "rule": finding.rule.title,
            "events": [int(e["event.id"][1:]) for e in finding.events],
            "group": json.loads(finding.group),
        }
        for finding in found(report, events)
    ]
    wanted = [
        {"rule": "it", **finding, "group": folded(finding.get("group", []))}
        for finding in case["findings"]
    ]
    assert got == wanted


def folded(group: list[Any]) -> list[Any]:
    return [value.casefold() if isinstance(value, str) else value for value in group]


def test_there_are_enough_cases() -> None:
    assert len(list(cases())) >= 120
