"""The sieve: what a column remembers, keywords of a batch, clauses; equal to the reference."""

import json
from pathlib import Path
from typing import Any

import pytest

from detectors.sigma.engine import Engine, column, plan, scan
from detectors.sigma.engine.access import ABSENT
from detectors.sigma.engine.words import ESCAPES, FOLDING, words_of
from tests.detectors.sigma.engine.same import assert_same
from tests.detectors.sigma.sigma_rules import load_text, pipelines, rule

BASE = {"event.dataset": "test", "event.id": "000000000000-aa", "ecs.version": "9.5.0"}
BASE |= {"@timestamp": "2026-01-01T00:00:00.000000Z"}


@pytest.fixture(autouse=True)
def early(monkeypatch: pytest.MonkeyPatch) -> None:
    """Learn from six events: values that come twice among them make a column."""
    monkeypatch.setattr(plan, "SAMPLE", 6)


def same(folder: Path, detections: list[str], events: list[dict[str, Any]]) -> int:
    texts = [rule(text, number=number) for number, text in enumerate(detections, 1)]
    report = load_text(folder, *texts)
    assert report.rejected == ()
    return assert_same(report.rules, pipelines(folder), [{**BASE, **event} for event in events])


def test_a_column_rules_out_by_what_a_rule_excludes(tmp_path: Path) -> None:
    found = same(
        tmp_path,
        [
            "a: {F|endswith: x}\nb: {F|startswith: c}\ncondition: a and not b",
            "a: {F|endswith: x}\nb: {G: null}\ncondition: a and not b",
            "a: {F: null}\nb: {G|contains: g}\ncondition: not a and not b",
            "a: {F|contains|all: [c, x]}\nb: {G|contains: g}\ncondition: a or b",
            "a: {F: 5.0}\nb: {F|re: '[0-9]'}\ncondition: b and not a",
        ],
        [{"F": f, "G": g} for f in ("cx", "x", None, "5", 5, ["c", "x"]) for g in ("g", None)] * 2,
    )
    assert found == 2 * (4 + 3 + 5 + 8 + 0)


def test_text_that_looks_like_absence_is_text(tmp_path: Path) -> None:
    alike = "".join(list(ABSENT))
    rules = ["a: {F: null}\ncondition: a", "a: {F: null}\ncondition: not a"]
    for order in ([{}, {"F": alike}], [{"F": alike}, {}]):
        assert same(tmp_path, rules, order * 5) == 10


def test_a_column_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(column, "MAX_VALUES", 5)
    monkeypatch.setattr(column, "MAX_VALUE", 50)
    report = load_text(tmp_path, rule("a: {F|contains: x}\nb: {F: xy}\ncondition: a and not b"))
    engine = Engine(report.rules, pipelines(tmp_path))
    for number in range(100):
        text = "x" * (number % 3) + ("" if number < 20 else str(number))
        assert len(engine.evaluate({**BASE, "F": text})) == (number % 3 > 0)
    assert len(engine.evaluate({**BASE, "F": "x" * 60})) == 1
    (made,) = engine._plans.values()
    assert made is not None
    (kept,) = made.sieve.columns.values()
    assert 0 < len(kept) <= 5
    assert max(map(len, kept)) <= 50


def test_keywords_of_one_event_in_a_batch(tmp_path: Path) -> None:
    report = load_text(tmp_path, rule("a: [kill it, 'c:\\\\x']\ncondition: a"))
    engine = Engine(report.rules, pipelines(tmp_path))
    events = [{**BASE, "message": f"number {number}"} for number in range(40)]
    hits = {
        3: "Kill it",
        7: "\u212aill it",
        11: "k\u0130ll it",
        20: r"see C:\X",
        30: "đường kill it",
    }
    for place, text in hits.items():
        events[place]["message"] = text
    wanted = [place in hits and place != 11 for place in range(40)]
    assert [bool(found) for found in engine.evaluate_batch(events)] == wanted
    for ascii_only in (True, False):
        lines = [json.dumps(event, ensure_ascii=ascii_only).encode() for event in events]
        lines[3] = lines[3].replace(b"Kill", b"\\u004bi\\u006c\\u006C")
        assert [bool(found) for found in engine.evaluate_lines(lines)] == wanted


def test_no_character_or_escape_can_hide_a_keyword() -> None:
    made = {
        chr(code)
        for code in range(128, 0x110000)
        if not 0xD800 <= code < 0xE000 and any(map(str.isascii, chr(code).casefold()))
    }
    assert set(FOLDING) == made
    words = words_of(frozenset({b"evil"}))
    assert not words.may_be_in(rb'{"a":"C:\\users\\Ubuntu \u1ea1 \n"}')
    for char in made | {chr(code) for code in range(128)}:
        assert words.may_be_in(f'{{"a":"\\u{ord(char):04x}"}}'.encode())
        assert words.may_be_in(f'{{"a":"\\u{ord(char):04X}"}}'.encode())
    assert words.may_be_in(b'{"a":"\\/"}')
    assert len(ESCAPES) == 6
    assert words_of(frozenset({b"evil"})) is words


def test_a_plan_that_learns_in_the_middle_of_a_batch_still_finds_keywords(tmp_path: Path) -> None:
    text = "a: {F|contains: looks rare}\nb: [kill it]\ncondition: a and b"
    report = load_text(tmp_path, rule(text))
    events = [{**BASE, "F": f"looks rare {n}", "message": f"number {n}"} for n in range(40)]
    events[35]["message"] = "kill it"
    wanted = [place == 35 for place in range(40)]
    engine = Engine(report.rules, pipelines(tmp_path))
    assert [bool(found) for found in engine.evaluate_batch(events)] == wanted
    engine = Engine(report.rules, pipelines(tmp_path))
    lines = [json.dumps(event).encode() for event in events]
    assert [bool(found) for found in engine.evaluate_lines(lines)] == wanted


@pytest.mark.parametrize("most", [scan.MOST, 10])
def test_marks_of_the_scan_in_a_value_hide_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, most: int
) -> None:
    """A value may hold what stands between events and between slots; long ones go apart."""
    monkeypatch.setattr(scan, "MOST", most)
    report = load_text(tmp_path, rule("a: {F|startswith: be, G|endswith: en}\ncondition: a"))
    engine = Engine(report.rules, pipelines(tmp_path))
    values = [f"{mark}be{mark}" for mark in ("\x03", "\x03\x03", "\x020\x02", "\u0130")]
    events = [{**BASE, "F": "be" + text, "G": text + "en"} for text in values * 5]
    events += [{**BASE, "F": text + "be", "G": "en" + text} for text in values * 5]
    wanted = [True] * 20 + [False] * 20
    for _ in range(2):
        assert [bool(found) for found in engine.evaluate_batch(events)] == wanted
        lines = [json.dumps(event).encode() for event in events]
        assert [bool(found) for found in engine.evaluate_lines(lines)] == wanted


@pytest.mark.parametrize("most", [scan.MOST, 10])
def test_hashes_are_looked_up_and_missed_nowhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, most: int
) -> None:
    monkeypatch.setattr(scan, "MOST", most)
    one, two = "0123456789ABCDEF" * 2, "fedcba9876543210" * 2
    texts = [
        f"a: {{F|contains: ['IMPHASH={one}', 'MD5={two}']}}\ncondition: a",
        f"a: {{F|contains: 'SHA256={one}{two}', G: x}}\ncondition: a",
    ]
    values = [
        f"MD5={one},IMPHASH={one}",
        f"imphash=imphash={one.lower()}",
        f"MD5={two.upper()},SHA256={one}{two}",
        f"SHA256={one}{one}",
        f"IMPHASH={one[:-1]}",
        f"MD5={two}",
        f"\u0130IMPHASH={one}\x03",
        5,
        None,
        ["x", f"md5={two}"],
    ]
    found = same(tmp_path, texts, [{"F": f, "G": g} for f in values for g in "xy"] * 2)
    assert found == 2 * (2 * 6 + 1)
    report = load_text(tmp_path, *(rule(text, number=n) for n, text in enumerate(texts, 1)))
    engine = Engine(report.rules, pipelines(tmp_path))
    engine.evaluate_batch([{**BASE, "F": f"MD5={n}"} for n in range(50)])
    (made,) = engine._plans.values()
    assert made is not None
    assert list(made.sieve.codes) == [("F",)]
