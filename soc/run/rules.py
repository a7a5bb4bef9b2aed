"""Rules are tested software: each carries records that it must hit and records it must miss."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import yaml

from collectors.frame import Frame, Source
from collectors.normalise import Normaliser
from collectors.parsing import parser
from detectors.sigma.correlation.resolve import silent
from detectors.sigma.correlation.rule import Correlation
from detectors.sigma.load import LoadReport, rule_files
from detectors.sigma.rule import Rule
from soc.errors import ContentError
from soc.model.event import Event
from soc.model.reason import Reason
from soc.run.detection import Detection
from soc.run.summary import Summary

RECEIVED: Final = datetime(2026, 11, 22, 12, tzinfo=UTC)
"""When the records of tests were received: a year-less time stamp needs one that stays."""


@dataclass(frozen=True, slots=True)
class Case:
    """Records that a rule must hit or miss; `dataset` is the name of the parser.

    A rule for single events has one record; a correlation has several, in any order.
    """

    name: str
    wanted: bool
    dataset: str
    raws: tuple[str, ...]

    @property
    def raw(self) -> str:
        """Return the records as one text."""
        return "\n".join(self.raws)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a rule did with a case; `reason` is the whole tree, `problem` a record unread."""

    rule: Rule | Correlation
    case: Case
    matched: bool
    reason: Reason | None
    problem: str = ""

    @property
    def passed(self) -> bool:
        """Tell whether the rule did what the case wants."""
        return not self.problem and self.matched == self.case.wanted


def tests_of(rule_path: Path) -> Path:
    """Return where the tests of a rule stand: `NAME.test.yml` beside `NAME.yml`."""
    return rule_path.with_name(f"{rule_path.stem}.test.yml")


def cases(path: Path) -> list[Case]:
    """Return the cases of a test file; raise ContentError when it is not of the right form."""
    try:
        document = yaml.safe_load(path.read_text("utf-8"))
        found = [*_cases(document["hits"], True), *_cases(document["misses"], False)]
    except (OSError, UnicodeDecodeError, yaml.YAMLError, KeyError, TypeError) as error:
        raise ContentError(
            f"not a rule test: {type(error).__name__} {error}",
            where=str(path),
            hint="hits and misses are lists of name, dataset, raw (raws for a correlation)",
        ) from error
    if not any(case.wanted for case in found) or all(case.wanted for case in found):
        raise ContentError("a rule test needs a hit and a miss", where=str(path))
    return found


def _cases(entries: list[dict[str, Any]], wanted: bool) -> Iterator[Case]:
    for entry in entries:
        raws = entry["raws"] if "raws" in entry else [entry["raw"]]
        yield Case(str(entry["name"]), wanted, str(entry["dataset"]), tuple(map(str, raws)))


def events_of(case: Case) -> list[Event]:
    """Return the events of a case's records, read by the real parser."""
    normaliser = Normaliser(Source(key=b"rule test", observer="test"), parser(case.dataset))
    return [
        event
        for number, raw in enumerate(case.raws)
        for event in normaliser.events(Frame(raw.encode(), str(number)), RECEIVED)
    ]


def subjects(report: LoadReport) -> list[Rule | Correlation]:
    """Return what is tested: correlations, and rules that stand in no file with a correlation.

    What a correlation is about without raising anything itself is tested through it.
    """
    quiet = silent(report.correlations)
    correlations = [one for one in report.correlations if one.id not in quiet]
    joint = {one.info.path for one in report.correlations}
    return [*(rule for rule in report.rules if rule.info.path not in joint), *correlations]


def run_tests(loaded: Detection) -> Iterator[Outcome]:
    """Yield what each rule does with each of its cases; a rule without a test yields nothing."""
    for rule in subjects(loaded.report):
        path = tests_of(Path(rule.info.path))
        if path.exists():
            for case in cases(path):
                yield _outcome(rule, case, loaded)


def _outcome(rule: Rule | Correlation, case: Case, loaded: Detection) -> Outcome:
    try:
        events = events_of(case)
    except ContentError as error:
        return Outcome(rule, case, False, None, str(error))
    unread = next((e["error.message"] for e in events if e["event.kind"] == "pipeline_error"), "")
    if isinstance(rule, Correlation):
        fired = loaded.findings(events, Summary())
        told = next((f.reason for f in fired if f.rule.id == rule.id), None)
        return Outcome(rule, case, told is not None, told, unread)
    reasons = [loaded.engine.explain(rule, event) for event in events]
    decisive = next((reason for reason in reasons if reason.matched), reasons[0])
    return Outcome(rule, case, decisive.matched, decisive, unread)


def untested(paths: Sequence[Path]) -> list[Path]:
    """Return the rule files without a test beside them."""
    return [path for path in rule_files(paths) if not tests_of(path).exists()]
