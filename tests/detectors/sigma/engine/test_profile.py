"""The profile tells what each rule costs and changes nothing about what the engine finds."""

from pathlib import Path
from typing import Any

from detectors.sigma.engine import Engine
from detectors.sigma.engine.profile import profile
from tests.detectors.sigma.sigma_rules import load_text, pipelines, rule

PLAIN = "s:\n  f|contains: needle\ncondition: s"
NEVER = "s:\n  f|contains: other\ncondition: s"
NEGATED = "s:\n  g: x\ncondition: not s"
IDS = [f"00000000-0000-4000-8000-{number:012d}" for number in (1, 2, 3)]


def engine(folder: Path) -> Engine:
    texts = [rule(text, number=n) for n, text in enumerate((PLAIN, NEVER, NEGATED), 1)]
    report = load_text(folder, *texts)
    assert len(report.rules) == 3
    return Engine(report.rules, pipelines(folder))


def event(**fields: Any) -> dict[str, Any]:
    return {"event.dataset": "test", "event.id": "1", **fields}


class Ticks:
    """A clock on which each look takes a second."""

    at = 0.0

    def __call__(self) -> float:
        self.at += 1
        return self.at


def test_candidates_are_timed_and_others_are_not(tmp_path: Path) -> None:
    whole, seconds = profile(engine(tmp_path), event(f="a needle", g="x"), Ticks())
    assert whole == 1.0
    assert set(seconds) == {IDS[0], IDS[2]}
    assert seconds[IDS[0]] == 2.0, "its condition and its explanation"
    assert seconds[IDS[2]] == 1.0, "its condition, which does not hold"


def test_irregular_values_and_routes_are_timed_too(tmp_path: Path) -> None:
    made = engine(tmp_path)
    assert IDS[0] in profile(made, event(f=["a needle", "b"]))[1]
    assert IDS[0] in profile(made, event(f="needle") | {"event.dataset": ["test", "x"]})[1]
    assert profile(made, {"event.dataset": "nobody"})[1] == {}


def test_the_engine_finds_the_same_before_and_after(tmp_path: Path) -> None:
    made, told = engine(tmp_path), []
    for number in range(600):  # past the point where witnesses are chosen anew
        one = event(f=f"{'needle' if number % 3 else 'hay'} {number}", g=number % 2)
        before = [f.rule.id for f in made.evaluate(one)]
        profile(made, one)
        assert [f.rule.id for f in made.evaluate(one)] == before
        assert before == [f.rule.id for f in made.reference.evaluate(one)]
        told += before
    assert told.count(IDS[0]) == 400
