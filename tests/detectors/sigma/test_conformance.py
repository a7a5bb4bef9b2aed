"""The meaning of rules, case by case: tests/conformance/sigma/single/*.yml."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from detectors.sigma.load import LoadReport, load
from detectors.sigma.pipeline import Pipelines
from detectors.sigma.reference import Reference
from tests.data import ROOT

CASES = ROOT / "tests" / "conformance" / "sigma" / "single"
HEAD = """\
title: A case
id: 5f1b6c1e-0b0a-4c4e-9d2b-9d1f2a3b4c5d
logsource: {category: test}
detection:
"""
FILTER = """\
---
title: A filter
logsource: {category: test}
filter:
"""
PIPELINE = """\
title: Test
logsources:
  - logsource: {category: test}
    events: [{event.dataset: test}]
"""


def indented(text: str) -> str:
    return "".join(f"  {line}\n" for line in text.splitlines())


def cases() -> Iterator[Any]:
    for path in sorted(CASES.glob("*.yml")):
        for case in yaml.load(path.read_text("utf-8"), yaml.CSafeLoader):
            yield pytest.param(case, id=f"{path.stem}: {case['name']}")


def loaded(folder: Path, text: str) -> LoadReport:
    path = folder / "rule.yml"
    path.write_text(text, "utf-8")
    return load([path])


@pytest.fixture(scope="module")
def pipelines(tmp_path_factory: pytest.TempPathFactory) -> Pipelines:
    path = tmp_path_factory.mktemp("pipelines") / "test.yml"
    path.write_text(PIPELINE, "utf-8")
    return Pipelines.load([path])


@pytest.mark.parametrize("case", list(cases()))
def test_case(case: dict[str, Any], tmp_path: Path, pipelines: Pipelines) -> None:
    filters = [FILTER + indented(text) for text in case.get("filters", ())]
    report = loaded(tmp_path, HEAD + indented(case["detection"]) + "".join(filters))
    assert report.rejected == ()
    reference = Reference(report.rules, pipelines)
    assert case["hits"]
    assert case["misses"]
    for wanted, events in ((True, case["hits"]), (False, case["misses"])):
        for fields in events:
            event = {"event.dataset": "test", **fields}
            assert bool(reference.evaluate(event)) is wanted, f"{fields} must give {wanted}"
            assert reference.explain(report.rules[0], event).matched is wanted
    assert not reference.errors


def test_there_are_enough_cases() -> None:
    total = sum(len(p.values[0]["hits"]) + len(p.values[0]["misses"]) for p in cases())
    assert total > 700
    assert len(list(cases())) >= 250
