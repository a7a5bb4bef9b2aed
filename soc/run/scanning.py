"""Scanning by hand: paths in, events and findings out; and the tests of YARA rules."""

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import Final

import yaml

import rules
from detectors.sigma.load import Warned
from detectors.sigma.load import rule_files as sigma_files
from detectors.yara.events import Origin, events_of
from detectors.yara.findings import finding_of
from detectors.yara.limits import Limits
from detectors.yara.load import SUFFIXES, YaraReport, YaraRule, load, rule_files
from detectors.yara.samples import assemble
from detectors.yara.scanner import Result, Scanner
from detectors.yara.walk import OpenFile, open_files
from soc.alerts.raising import raise_alerts
from soc.errors import ContentError, InputError, SocError
from soc.model.event import Event
from soc.model.finding import Finding
from soc.model.reason import Reason
from soc.run.collecting import BATCH, Stored
from soc.run.rules import RECEIVED, tests_of
from soc.run.summary import Summary
from soc.store.base import Store


@dataclass(slots=True)
class Scan:
    """A scan by hand: what is told beside the findings, and what was counted.

    `problem` gets what could not be judged, `note` what was not looked into.
    """

    rules: YaraReport
    origin: Origin
    problem: Callable[[SocError], None]
    note: Callable[[str, str], None] = lambda path, text: None
    advance: Callable[[int], None] = lambda size: None
    limits: Limits = field(default_factory=Limits)
    summary: Summary = field(default_factory=Summary)
    size: int = 0

    def events(self, paths: Sequence[Path]) -> Iterator[Event]:
        """Yield the events of every file under the paths."""
        with Scanner(self.rules, self.limits) as scanner:
            for file in open_files(paths, self.problem):
                yield from self._of(scanner.scan(file))
                self.advance(file.status.st_size)

    def findings(self, events: Iterable[Event]) -> Iterator[Finding]:
        """Yield the findings of events in their order, counted."""
        for event in events:
            if finding := finding_of(event):
                self.summary.found(finding)
                yield finding

    def _of(self, result: Result) -> Iterator[Event]:
        self.summary.files += 1
        self.size += result.size
        for text in result.notes:
            self.note(result.file.path, text)
        for text in result.problems:
            self.problem(InputError(text, where=result.file.path))
        for event in events_of(result, self.origin):
            self.summary.saw(event)
            yield event


def file_events(
    scanner: Scanner, path: Path, origin: Origin, problem: Callable[[SocError], None]
) -> Iterator[Event]:
    """Yield the events of one file, such as one carved from traffic."""
    for file in open_files([path], problem):
        yield from events_of(scanner.scan(file), origin)


def yara_rules(given: Sequence[Path], configured: Sequence[Path]) -> YaraReport:
    """Load YARA rules: those given, else those configured, else those that come with soc.

    Raises ContentError when not one rule is usable.
    """
    places = list(given) or yara_paths(configured)
    report = load(places)
    if not report.rules:
        named = ", ".join(map(str, places))
        first = f"; the first problem: {report.rejected[0]}" if report.rejected else ""
        raise ContentError(
            f"no usable YARA rule in {named}{first}", hint=f"soc rules check {named}"
        )
    return report


def yara_paths(configured: Sequence[Path]) -> list[Path]:
    """Return where YARA rules lie: the configured paths if there are any in them, else ours."""
    return list(configured) if any(rule_files(configured)) else [rules.YARA]


def check_yara(paths: Sequence[Path]) -> YaraReport:
    """Load YARA rules to look at them; where yara-python is missing, that is a warning."""
    try:
        return load(paths)
    except ContentError as error:
        if any(not path.exists() for path in paths):
            raise
        places = (Warned(str(path), 1, f"{error.message}: {error.hint}") for path in paths)
        return YaraReport((), (), tuple(places), {})


def by_language(paths: Sequence[Path]) -> tuple[list[Path], list[Path]]:
    """Return the paths under which Sigma rules lie, and those under which YARA rules lie."""
    named = {path: path.suffix in SUFFIXES for path in paths if not path.is_dir()}
    sigma = [p for p in paths if (not named[p] if p in named else any(sigma_files([p])))]
    yara = [p for p in paths if (named[p] if p in named else any(rule_files([p])))]
    return sigma, yara


def store_scan(
    events: Iterable[Event], scan: Scan, store: Store, clock: Callable[[], datetime]
) -> Iterator[tuple[Finding, bool]]:
    """Store the events of a scan and raise their alerts; yield each finding and if it is new."""
    rest = iter(events)
    while batch := list(islice(rest, BATCH)):
        stored = Stored()
        for verdict in store.append(batch, now=clock()):
            stored.count(verdict)
        for refused in stored.rejected:
            scan.problem(InputError(f"event {refused.id} was refused: {refused.reason}"))
        findings = list(scan.findings(batch))
        verdicts = raise_alerts(findings, store, clock()) if findings else []
        for finding, verdict in zip(findings, verdicts, strict=True):
            yield finding, verdict.outcome == "created"


@dataclass(frozen=True, slots=True)
class SampleCase:
    """Content that a rule must hit or miss."""

    name: str
    wanted: bool
    data: bytes


@dataclass(frozen=True, slots=True)
class SampleOutcome:
    """What a rule did with a case; `others` are the identifiers of other rules that matched."""

    rule: YaraRule
    case: SampleCase
    matched: bool
    reason: Reason | None
    others: tuple[str, ...] = ()
    problem: str = ""

    @property
    def passed(self) -> bool:
        """Tell whether the rule did what the case wants."""
        return not self.problem and self.matched == self.case.wanted


def sample_cases(path: Path) -> list[SampleCase]:
    """Return the cases of a YARA rule's test file; raise ContentError when it is not right."""
    try:
        document = yaml.safe_load(path.read_text("utf-8"))
        found = [
            SampleCase(str(entry["name"]), kind == "hits", assemble(entry["sample"]))
            for kind in ("hits", "misses")
            for entry in document[kind]
        ]
    except (OSError, yaml.YAMLError, KeyError, TypeError, ValueError) as error:
        raise ContentError(
            f"not a rule test: {type(error).__name__} {error}",
            where=str(path),
            hint="hits and misses are lists of name and sample",
        ) from error
    if not any(case.wanted for case in found) or all(case.wanted for case in found):
        raise ContentError("a rule test needs a hit and a miss", where=str(path))
    return found


def run_yara_tests(report: YaraReport) -> Iterator[SampleOutcome]:
    """Yield what each rule does with its samples, scanned as files are; none without a test."""
    if not report.rules:
        return
    with Scanner(report) as scanner:
        for rule in report.rules:
            path = tests_of(Path(rule.info.path))
            if path.exists():
                for case in sample_cases(path):
                    yield _outcome(rule, case, scanner)


def _outcome(rule: YaraRule, case: SampleCase, scanner: Scanner) -> SampleOutcome:
    result = scan_bytes(scanner, case.name, case.data)
    found = [finding_of(event) for event in events_of(result, _NOWHERE)]
    ours = next((f for f in found if f and f.rule.id == rule.id), None)
    others = tuple(sorted({m.rule.name for m in result.matches if m.rule.id != rule.id}))
    problem = "; ".join(result.problems)
    return SampleOutcome(
        rule, case, ours is not None, ours.reason if ours else None, others, problem
    )


def scan_bytes(scanner: Scanner, name: str, data: bytes) -> Result:
    """Return what the rules say about bytes that are in no file."""
    descriptor = os.memfd_create("sample")
    with os.fdopen(descriptor, "wb") as stream:
        stream.write(data)
        stream.flush()
        return scanner.scan(OpenFile(name, descriptor, os.fstat(descriptor)))


def untested_yara(paths: Sequence[Path]) -> list[Path]:
    """Return the YARA files without a test beside them."""
    return [path for path in rule_files(paths) if not tests_of(path).exists()]


_NOWHERE: Final = Origin("test", RECEIVED)
