"""The shipped rules: each loads, is tested, is explained in two languages and means one thing."""

import difflib
import ipaddress
import json
import re
import unicodedata
from collections import defaultdict
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml
from sigma.collection import SigmaCollection
from sigma.rule import SigmaRule

from collectors.normalise import ENVELOPE
from collectors.parsing import KIND, parser
from detectors.sigma.correlation.rule import Correlation
from detectors.sigma.load import LoadReport, load
from detectors.sigma.pipeline import Pipelines
from detectors.sigma.reference import Reference
from detectors.sigma.rule import Rule
from detectors.yara import load as yara
from rules import YARA
from soc.errors import SocError
from soc.model.event import Event
from soc.model.time import parse_iso
from soc.registry import plugins
from soc.run import rules as contract
from soc.run.captures import Captures
from soc.run.collecting import Reading, read_all
from soc.run.detection import Detection
from soc.run.rules import RECEIVED, Case, cases, events_of
from soc.run.summary import Summary
from soc.store.query import parse
from tests.data import ROOT, material

SIGMA = ROOT / "rules" / "sigma"
DEMO = ROOT / "soc" / "demo"
PATHS = sorted(p for p in SIGMA.rglob("*.yml") if not p.name.endswith(".test.yml"))
HEADINGS = {
    ".md": ["What it means", "How to check", "Benign causes", "What to do next"],
    ".vi.md": ["Ý nghĩa", "Cách kiểm tra", "Nguyên nhân lành tính", "Việc cần làm tiếp"],
}
OURS = [
    ipaddress.ip_network(net)
    for net in ("10.0.0.0/8", "127.0.0.0/8", "192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24")
]
"""Private addresses and those that RFC 5737 keeps for documentation."""


@cache
def report() -> LoadReport:
    return load([SIGMA])


@cache
def engine() -> Reference:
    return Reference(report().rules, Pipelines.load([ROOT / "rules" / "pipelines"]))


@cache
def loaded() -> Detection:
    return Detection(report(), engine(), engine().pipelines)


@cache
def rule_of(path: Path) -> Rule | Correlation:
    return next(rule for rule in contract.subjects(report()) if Path(rule.info.path) == path)


def fired(events: list[Event]) -> set[str]:
    """Return the titles of the rules that fire on these events, taken together."""
    return {finding.rule.title for finding in loaded().findings(events, Summary())}


def name(path: Path) -> str:
    return path.stem


each_rule = pytest.mark.parametrize("path", PATHS, ids=name)
each_guide = pytest.mark.parametrize("suffix", HEADINGS)


def test_every_rule_loads_without_a_warning() -> None:
    assert [str(found) for found in (*report().rejected, *report().warnings)] == []
    assert len(contract.subjects(report())) == len(PATHS) >= 30
    assert engine().pipelines.unserved(report().rules) == []


def test_ids_and_titles_tell_rules_apart() -> None:
    rules = [*report().rules, *report().correlations]
    vietnamese = [p.with_suffix(".vi.md").read_text("utf-8").partition("\n")[0] for p in PATHS]
    assert len({rule.id for rule in rules}) == len(rules)
    assert len({rule.info.title.casefold() for rule in rules}) == len(rules)
    assert len(set(vietnamese)) == len(vietnamese)
    assert [rule.info.title for rule in rules if len(rule.info.title) > 50] == []


@each_rule
def test_a_rule_is_valid_for_pysigma_too(path: Path) -> None:
    collection = SigmaCollection.from_yaml(path.read_text("utf-8"))
    collection.resolve_rule_references()
    rule = collection[0] if len(collection) == 1 else collection[rule_of(path).id]
    for one in collection:
        assert one.errors == []
        if isinstance(one, SigmaRule):
            assert all(condition.parsed for condition in one.detection.parsed_condition)
    assert rule.id is not None
    assert rule.id.version == 4
    assert rule.author == "metrosoc"
    assert rule.level is not None
    assert rule.description
    assert rule.falsepositives


def first(path: Path) -> dict[str, Any]:
    """Return the first document of a file: what it is about stands before what it needs."""
    document: dict[str, Any] = next(yaml.safe_load_all(path.read_text("utf-8")))
    assert document["title"] == rule_of(path).info.title
    return document


@each_rule
def test_attack_tags_name_techniques_and_their_tactics(path: Path) -> None:
    attack = json.loads(material("attack-techniques.json").read_text("utf-8"))
    tags = [tag.removeprefix("attack.") for tag in first(path)["tags"]]
    techniques = [tag.upper() for tag in tags if re.fullmatch(r"t\d{4}(\.\d{3})?", tag)]
    tactics = {tag for tag in tags if tag.upper() not in techniques}
    assert techniques
    possible = [set(attack["techniques"][technique]["tactics"]) for technique in techniques]
    assert tactics <= set().union(*possible)
    assert all(found & tactics for found in possible)


@each_rule
def test_a_hit_fires_this_rule_and_no_other(path: Path) -> None:
    title = rule_of(path).info.title
    for case in cases(contract.tests_of(path)):
        if case.wanted:
            assert (case.name, fired(read(case))) == (case.name, {title})


@each_rule
def test_a_miss_does_not_fire_it(path: Path) -> None:
    title = rule_of(path).info.title
    for case in cases(contract.tests_of(path)):
        if not case.wanted:
            assert title not in fired(read(case)), case.name


def read(case: Case) -> list[Event]:
    """Return a case's events, all understood by the parser."""
    events = events_of(case)
    assert [e.get("error.message") for e in events] == [None] * len(events), case.name
    return events


@each_rule
def test_a_miss_is_near(path: Path) -> None:
    found = cases(contract.tests_of(path))
    hits = [shape(case) for case in found if case.wanted]
    for case in found:
        if not case.wanted:
            near = (difflib.SequenceMatcher(None, shape(case), hit, autojunk=False) for hit in hits)
            assert max(matcher.ratio() for matcher in near) > 0.8, case.name


def shape(case: Case) -> Sequence[str]:
    """Return what is compared: the letters of a record, the records of a series."""
    return case.raws if len(case.raws) > 1 else case.raw


@each_rule
def test_the_records_name_nobody_real(path: Path) -> None:
    assert [a for case in cases(contract.tests_of(path)) for a in foreign(case.raw)] == []


def foreign(text: str) -> list[str]:
    """Return the IPv4 addresses in a text that may belong to somebody."""
    found = re.findall(r"(?<![\w./\\-])(?:\d{1,3}\.){3}\d{1,3}(?![\w.])", text)
    return [a for a in found if not any(ipaddress.ip_address(a) in net for net in OURS)]


@each_guide
@each_rule
def test_a_guide_has_its_four_parts_on_one_page(path: Path, suffix: str) -> None:
    text = path.with_suffix(suffix).read_text("utf-8")
    assert text.startswith("# ")
    assert re.findall(r"^## (.+)$", text, re.M) == HEADINGS[suffix]
    assert 3 <= len(re.findall(r"^\d\. ", text, re.M)) <= 5
    assert len(text.splitlines()) <= 45
    assert unicodedata.is_normalized("NFC", text)
    assert "`soc alerts show ID`" in text


@each_rule
def test_both_guides_give_the_same_commands(path: Path) -> None:
    english, vietnamese = (path.with_suffix(suffix).read_text("utf-8") for suffix in HEADINGS)
    assert re.findall(r"`[^`]+`", english) == re.findall(r"`[^`]+`", vietnamese)
    assert english.startswith(f"# {rule_of(path).info.title}\n")
    words = vietnamese.split()
    accented = [w for w in words if any(ord(c) > 127 for c in w)]
    assert len(accented) > len(words) / 4


@each_rule
def test_the_hunts_of_a_guide_can_be_asked(path: Path) -> None:
    text = path.with_suffix(".md").read_text("utf-8")
    hunts = re.findall(r"`soc hunt '([^']+)'(?: --since \d+[hd])?`", text)
    assert len(hunts) == text.count("soc hunt")
    for hunt in hunts:
        asked = hunt.replace("ip:ADDRESS", "ip:192.0.2.1")
        parse(asked)
        assert [f for f in re.findall(r"([\w.]+):", asked) if not is_set(f)] == [], hunt


def is_set(field: str) -> bool:
    """Tell whether some parser sets a field."""
    return any(field == f or (f[-2:] == ".*" and field.startswith(f[:-1])) for f in all_fields())


@cache
def all_fields() -> frozenset[str]:
    return frozenset(ENVELOPE).union(*(parser(name).fields for name in plugins(KIND)))


def test_the_documentation_lists_every_rule_with_its_level() -> None:
    listed = re.findall(
        r"^\| \[(.+)\]\(\.\./(.+)\.md\) \| (\w+) \|",
        (ROOT / "docs/rules.md").read_text("utf-8"),
        re.M,
    )
    relative = {p: p.relative_to(ROOT).with_suffix("").as_posix() for p in PATHS}
    infos = {relative[p]: rule_of(p).info for p in PATHS}
    assert sorted(listed) == sorted((i.title, place, i.level) for place, i in infos.items())


@cache
def story() -> dict[str, Any]:
    document: dict[str, Any] = yaml.safe_load((DEMO / "story.yml").read_text("utf-8"))
    return document


@cache
def told() -> dict[str, list[Event]]:
    """Return the events of the demo that raise something, by rule id."""
    found: dict[str, list[Event]] = defaultdict(list)
    samples = [DEMO / "samples" / sample for sample in story()["samples"]]
    problems: list[SocError] = []
    how = Reading(RECEIVED, UTC, "demo")
    with Captures(how, None, (), problems.append, problems.append) as captures:
        read = read_all(samples, how, problem=problems.append, capture=captures.events)
        events = list(read)
    assert problems == []
    assert {event["event.kind"] for event in events} == {"event"}
    for finding in loaded().findings(events, Summary()):
        found[finding.rule.id].append(finding.event)
    return found


def test_the_demo_raises_what_its_story_tells_and_nothing_else() -> None:
    titles = {rule.id: rule.info.title for rule in contract.subjects(report())}
    titles |= {rule.info.id: rule.info.title for rule in yara.load([YARA]).rules}
    expected = {titles[i] for step in story()["steps"] for i in step["rule_ids"]}
    assert {titles[i] for i in told()} == expected


def test_each_step_of_the_story_raises_its_alerts_in_its_time() -> None:
    steps = story()["steps"]
    times = [datetime.fromisoformat(step["time"]) for step in steps]
    assert times == sorted(times)
    for step, start, end in zip(steps, times, [*times[1:], RECEIVED], strict=True):
        for rule_id in step["rule_ids"]:
            first = min(parse_iso(event["@timestamp"]) for event in told()[rule_id])
            assert start <= first < end, step["what"]


def test_ordinary_lines_of_the_demo_raise_nothing() -> None:
    intruder = {"203.0.113.77", "10.20.4.11", "10.20.8.15"}
    for events in told().values():
        for event in events:
            assert event.get("source.ip", "203.0.113.77") in intruder
            assert event.get("user.name") in {None, "www-data", "trienkhai", "svc-backup"}
    logs = [DEMO / "samples" / s for s in story()["samples"] if not s.endswith(".pcap")]
    quiet = [line for log in logs for line in log.read_text("utf-8").splitlines()]
    assert sum(map(len, told().values())) < len(quiet) / 3


def test_the_demo_names_nobody_real() -> None:
    for sample in story()["samples"]:
        assert foreign((DEMO / "samples" / sample).read_text("latin-1")) == []


def test_the_story_is_told_in_both_languages() -> None:
    told_by = [story(), *story()["paragraphs"], *story()["steps"]]
    assert all(part["vi"].strip() for part in told_by)
    assert {step["sample"] for step in story()["steps"]} == set(story()["samples"])
