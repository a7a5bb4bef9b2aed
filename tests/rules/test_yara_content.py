"""The shipped YARA rules: every hit fires its rule alone, every near miss does not, guides help."""

import difflib
import json
import re
import unicodedata
from functools import cache
from pathlib import Path

import pytest
import yaml

from detectors.yara.load import YaraReport, YaraRule, load
from soc.run import rules as contract
from soc.run.scanning import SampleOutcome, run_yara_tests, sample_cases
from soc.store.query import parse
from tests.command import soc
from tests.data import ROOT, material

YARA = ROOT / "rules" / "yara"
PATHS = sorted(YARA.rglob("*.yar"))
HEADINGS = {
    ".md": ["What it means", "How to check", "Benign causes", "What to do next"],
    ".vi.md": ["Ý nghĩa", "Cách kiểm tra", "Nguyên nhân lành tính", "Việc cần làm tiếp"],
}


@cache
def report() -> YaraReport:
    return load([YARA])


@cache
def outcomes() -> tuple[SampleOutcome, ...]:
    return tuple(run_yara_tests(report()))


@cache
def rule_of(path: Path) -> YaraRule:
    (rule,) = (rule for rule in report().rules if Path(rule.info.path) == path)
    return rule


def of(path: Path) -> list[SampleOutcome]:
    return [outcome for outcome in outcomes() if Path(outcome.rule.info.path) == path]


def name(path: Path) -> str:
    return path.stem


each_rule = pytest.mark.parametrize("path", PATHS, ids=name)
each_guide = pytest.mark.parametrize("suffix", HEADINGS)


def test_every_rule_loads_without_a_warning() -> None:
    assert [str(found) for found in (*report().rejected, *report().warnings)] == []
    assert len(report().rules) == len(PATHS) >= 12


def test_ids_and_titles_tell_rules_apart() -> None:
    titles = [rule.info.title for rule in report().rules]
    assert len({title.casefold() for title in titles}) == len(titles)
    assert [title for title in titles if len(title) > 60] == []


@each_rule
def test_the_head_of_a_rule_is_complete(path: Path) -> None:
    rule = rule_of(path)
    assert rule.name == path.stem
    info = rule.info
    assert info.author == "metrosoc"
    assert info.version
    assert info.techniques
    assert info.tactics
    assert info.references
    assert info.false_positives


@each_rule
def test_a_hit_fires_this_rule_and_no_other(path: Path) -> None:
    hits = [outcome for outcome in of(path) if outcome.case.wanted]
    assert hits
    for outcome in hits:
        assert (outcome.case.name, outcome.matched, outcome.others, outcome.problem) == (
            outcome.case.name,
            True,
            (),
            "",
        )
        assert outcome.reason
        assert outcome.reason.children, outcome.case.name


@each_rule
def test_a_miss_fires_nothing(path: Path) -> None:
    misses = [outcome for outcome in of(path) if not outcome.case.wanted]
    assert misses
    for outcome in misses:
        assert (outcome.case.name, outcome.matched, outcome.others) == (
            outcome.case.name,
            False,
            (),
        )


@each_rule
def test_a_miss_is_near(path: Path) -> None:
    described = yaml.safe_load(contract.tests_of(path).read_text("utf-8"))
    hits = [flat(entry["sample"]) for entry in described["hits"]]
    for entry in described["misses"]:
        near = (difflib.SequenceMatcher(None, flat(entry["sample"]), h, False) for h in hits)
        assert max(matcher.ratio() for matcher in near) > 0.75, entry["name"]


def flat(sample: object) -> str:
    return json.dumps(sample, ensure_ascii=False)


@each_rule
def test_samples_on_disk_are_harmless(path: Path) -> None:
    """What is in the project is a description that neither we nor others take for the thing."""
    text = contract.tests_of(path).read_bytes()
    for case in sample_cases(contract.tests_of(path)):
        assert not case.wanted or case.data not in text, case.name


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
    assert len([w for w in words if any(ord(c) > 127 for c in w)]) > len(words) / 4


@each_rule
def test_the_hunts_of_a_guide_can_be_asked(path: Path) -> None:
    text = path.with_suffix(".md").read_text("utf-8")
    hunts = re.findall(r"`soc hunt '([^']+)'(?: --since \d+[hd])?`", text)
    assert len(hunts) == text.count("soc hunt")
    for hunt in hunts:
        parse(hunt.replace("ip:ADDRESS", "ip:192.0.2.1"))


@each_rule
def test_attack_names_techniques_and_their_tactics(path: Path) -> None:
    attack = json.loads(material("attack-techniques.json").read_text("utf-8"))["techniques"]
    info = rule_of(path).info
    tactics = {tactic.lower().replace(" ", "-") for tactic in info.tactics}
    possible = [set(attack[technique]["tactics"]) for technique in info.techniques]
    assert tactics <= set().union(*possible)
    assert all(found & tactics for found in possible)


def test_our_own_project_raises_nothing(tmp_path: Path) -> None:
    ran = soc("scan", ROOT / "rules", ROOT / "docs", ROOT / "soc", "-f", "ndjson", home=tmp_path)
    assert ran.code == 0, ran.err
    assert [found["file"]["path"] for found in ran.documents] == []


def test_the_documentation_lists_every_rule_with_its_level() -> None:
    listed = re.findall(
        r"^\| \[(.+)\]\(\.\./(.+)\.md\) \| (\w+) \|",
        (ROOT / "docs" / "yara.md").read_text("utf-8"),
        re.M,
    )
    places = {path.relative_to(ROOT).with_suffix("").as_posix(): path for path in PATHS}
    infos = {place: rule_of(path).info for place, path in places.items()}
    assert sorted(listed) == sorted((i.title, place, i.level) for place, i in infos.items())
