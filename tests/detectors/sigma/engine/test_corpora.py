"""engine == reference on the conformance cases, our own rules' records and SigmaHQ's samples."""

from pathlib import Path

import pytest

from detectors.sigma.engine import plan
from detectors.sigma.load import load
from detectors.sigma.pipeline import Pipelines
from soc.run import rules as tested
from tests.conformance import test_sigmahq_regression as regression
from tests.data import ROOT
from tests.detectors.sigma import test_conformance as conformance
from tests.detectors.sigma.engine.same import assert_same


@pytest.mark.slow
def test_conformance_cases_all_against_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plan, "SAMPLE", 50)
    events = []
    for number, parameters in enumerate(conformance.cases()):
        case = parameters.values[0]
        head = conformance.HEAD.replace("9d1f2a3b4c5d", f"{number:012d}")
        text = head + conformance.indented(case["detection"])
        (tmp_path / f"r{number:03}.yml").write_text(text, "utf-8")
        fields = [*case["hits"], *case["misses"]]
        events += [{"event.dataset": "test", **found} for found in fields]
    pipeline = tmp_path / "pipeline.txt"
    pipeline.write_text(conformance.PIPELINE, "utf-8")
    report = load([tmp_path])
    assert report.rejected == ()
    assert assert_same(report.rules, Pipelines.load([pipeline]), events, rounds=1) > len(events)


@pytest.mark.slow
def test_the_records_of_our_own_rules(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plan, "SAMPLE", 4)
    report = load([ROOT / "rules" / "sigma"])
    cases = [
        case
        for rule in report.rules
        for case in tested.cases(tested.tests_of(Path(rule.info.path)))
    ]
    events = [event for case in cases for event in tested.events_of(case)]
    pipelines = Pipelines.load([ROOT / "rules" / "pipelines"])
    assert assert_same(report.rules, pipelines, events) >= len(report.rules)


@pytest.mark.slow
def test_every_rule_of_sigmahq_on_every_sample(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plan, "SAMPLE", 30)
    events = [e for sample in regression.samples() for e in regression.events(sample.path)]
    found = assert_same(regression.corpus().rules, regression.pipelines(), events, rounds=1)
    assert found > 300
