"""The engine: equal to the reference, above all where prefilters have gone wrong before."""

import gc
import json
from pathlib import Path
from typing import Any

import pytest

from detectors.sigma.engine import Engine, literals, plan, predicate, routing
from detectors.sigma.reference import Reference
from tests.detectors.sigma.engine.same import assert_same
from tests.detectors.sigma.sigma_rules import load_text, pipelines, rule

BASE = {
    "event.dataset": "test",
    "event.id": "000000000000-aa",
    "@timestamp": "2026-01-01T00:00:00.000000Z",
    "ecs.version": "9.5.0",
}


@pytest.fixture(autouse=True)
def early(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the engine learn from three events, so that both choices of witnesses are tested."""
    monkeypatch.setattr(plan, "SAMPLE", 3)


def same(folder: Path, detections: list[str], events: list[dict[str, Any]]) -> int:
    """Assert equality for some rules; return how many findings there were."""
    texts = [rule(text, number=number) for number, text in enumerate(detections, 1)]
    report = load_text(folder, *texts)
    assert report.rejected == ()
    return assert_same(report.rules, pipelines(folder), [{**BASE, **event} for event in events])


def test_or_not_is_found_without_any_of_its_text(tmp_path: Path) -> None:
    found = same(
        tmp_path,
        [
            "a: {F: evil}\nb: {G|contains: fine}\ncondition: a or not b",
            "a: {F: evil}\nb: {G|contains: fine}\ncondition: not (not a and b)",
            "a: {F|neq: evil}\ncondition: a",
            "a: {F: null}\nb: {F: evil}\ncondition: 1 of them",
        ],
        [{}, {"F": "evil", "G": "fine"}, {"G": "fine"}, {"F": "x"}, {"F": None}, {"F": ""}],
    )
    assert found == 5 + 5 + 5 + 4  # rule by rule, worked out by hand


def test_cased_needles_are_found_in_folded_text(tmp_path: Path) -> None:
    found = same(
        tmp_path,
        [
            "a: {F|cased|contains: EvIl}\ncondition: a",
            "a: {F|cased: STRASSE}\ncondition: a",
            "a: {F|re: 'Ev[I]l'}\ncondition: a",
            "a: {F|re: '(?i)KELVIN|MASS'}\ncondition: a",
            "a: {F|base64offset|contains: Evil one}\ncondition: a",
        ],
        [
            {"F": "an EvIl one"},
            {"F": "an evil one"},
            {"F": "STRASSE"},
            {"F": "straße"},
            {"F": "an \u212aelvin"},
            {"F": "ma\u017fs"},
            {"F": "xRXZpbCBvbmU=x"},
        ],
    )
    assert found == 2 + 0 + 1 + 0 + 1 + 1 + 1


def test_arrays_and_numbers_are_searched(tmp_path: Path) -> None:
    found = same(
        tmp_path,
        [
            "a: {F: evil}\ncondition: a",
            "a: {F|startswith: ev}\ncondition: a",
            "a: {F|endswith: il}\ncondition: a",
            "a: {F: 5}\ncondition: a",
            "a: {F: 0x17}\ncondition: a",
            "a: {F: 5.0}\ncondition: a",
            "a: {F: true}\ncondition: a",
            "a: {L.name|contains: evil}\ncondition: a",
            "a: {F|contains|all: [ev, il]}\ncondition: a",
        ],
        [
            {"F": ["good", "evil"]},
            {"F": ["ev", ["x", ["il"]]]},
            {"F": 5},
            {"F": 5.0},
            {"F": "5"},
            {"F": [7, 5]},
            {"F": [5.0]},
            {"F": 23},
            {"F": "0x17"},
            {"F": "23"},
            {"F": True},
            {"F": [True]},
            {"F": 1},
            {"L": [{"name": "good"}, {"name": "evil"}]},
            {"F": []},
            {"F": [None, "evil"]},
            {"F": {"x": "evil"}},
        ],
    )
    assert found > 25


def test_short_needles_are_found(tmp_path: Path) -> None:
    found = same(
        tmp_path,
        [
            "a: {F|contains: x}\ncondition: a",
            "a: {F|contains: xy}\ncondition: a",
            "a: {F: ''}\ncondition: a",
            "a: {F: '*'}\ncondition: a",
            "a: {F: '?'}\ncondition: a",
            "a: {F: '?x*'}\ncondition: a",
            "a: {F|re: 'x.y'}\ncondition: a",
            "a: {F|re: '^$'}\ncondition: a",
        ],
        [{"F": text} for text in ("x", "y", "", "xy", "axb", "xzy", "\n")] + [{}, {"F": None}],
    )
    assert found > 15


def test_keywords_are_found_in_every_value(tmp_path: Path) -> None:
    found = same(
        tmp_path,
        [
            "a: [evil, 'C:\\\\Tools\\\\x', 6, 'say \"hi\"', '/etc/x']\ncondition: a",
            "a: {'|all': [one, two]}\ncondition: a",
            "a: [ümlaut, straße]\nb: {F: x}\ncondition: a and not b",
        ],
        [
            {"message": "an EVIL one"},
            {"message": r"c:\tools\X run"},
            {"message": 'he said "HI"'},
            {"message": "see /ETC/X"},
            {"message": "init 6", "n": 16},
            {"n": 6},
            {"n": [1, {"m": 6}]},
            {"F": "one", "G": "two"},
            {"F": "one", "G": ["x", {"y": "TWO"}]},
            {"G": "ÜMLAUT"},
            {"G": "STRASSE", "F": "x"},
            {"G": "STRASSE", "F": "y", "n": 1.5},
            {"event.action": "evil"},
            {"event.original": "evil"},
        ],
    )
    assert found >= 11


def test_escapes_in_lines_hide_nothing(tmp_path: Path) -> None:
    texts = [
        rule("a: [/etc/shadow]\ncondition: a", number=1),
        rule("a: {F|contains: /etc/shadow}\ncondition: a", number=2),
        rule(r"a: ['\\updates']" + "\ncondition: a", number=3),
    ]
    engine = Engine(load_text(tmp_path, *texts).rules, pipelines(tmp_path))
    head = json.dumps(BASE)[:-1].encode()
    lines = [
        head + rb', "F": "cat \/etc\/shadow"}',
        head + rb', "F": "cat /\u0065tc/shado\u0077"}',
        head + rb', "\u0046": "cat /etc/shadow"}',
        head + rb', "F": "C:\\\\UPDATES\\x"}',
        head + rb', "F": "nothing"}',
    ]
    found = [[f.rule.title for f in row] for row in engine.evaluate_lines(lines)]
    both = ["Rule 1", "Rule 2"]
    assert found == [both, both, both, ["Rule 3"], []]


def test_a_bad_line_costs_itself(tmp_path: Path) -> None:
    engine = Engine(load_text(tmp_path, rule("a: {F: x}\ncondition: a")).rules, pipelines(tmp_path))
    good = json.dumps({**BASE, "F": "x"}).encode()
    bad = [b"", b"{", b"[]", b'"x"', good[:-1], b"\xff\xfe", b"[" * 100_000]
    found = engine.evaluate_lines([good, *bad, good])
    assert [len(row) for row in found] == [1, *[0] * len(bad), 1]
    assert engine.lines.unread == len(bad)


def test_the_routing_key_keeps_types_apart(tmp_path: Path) -> None:
    pipeline = """\
title: Test
logsources:
  - logsource: {product: test}
    events: [{kind: ["1", "true"]}]
"""
    report = load_text(tmp_path, rule("a: {kind: 1}\ncondition: a"))
    events = [{**BASE, "kind": value} for value in (1, True, 1.0, "1", "true", [1], None, "x", 0)]
    for order in (events, events[::-1]):
        assert assert_same(report.rules, pipelines(tmp_path, pipeline), order) == 3


def test_fields_that_tell_records_apart_are_folded_away(tmp_path: Path) -> None:
    texts = [
        rule(
            f"a: {{EventID: {number % 7}}}\nb: {{F|contains: evil}}\ncondition: a and not b",
            number=number,
        )
        for number in range(1, 40)
    ]
    texts.append(rule("a: {EventID: null}\ncondition: a", number=90))
    texts.append(rule("a: {EventID|startswith: 4}\ncondition: a", number=91))
    events = [
        {**BASE, "EventID": kind, "F": text}
        for kind in (0, 1, 6, 7, "3", "4", "x", 4.0, None, [1, 2], True)
        for text in ("evil", "x")
    ]
    report = load_text(tmp_path, *texts)
    assert assert_same(report.rules, pipelines(tmp_path), [*events, dict(BASE)]) > 30
    exact = [found for found in report.rules if found.info.title != "Rule 91"]
    engine = Engine(exact, pipelines(tmp_path))
    assert engine.router.names == ("event.dataset", "EventID")
    nothing = {**BASE, "EventID": 8}
    assert (engine.plan_of(nothing), engine.evaluate(nothing)) == (None, [])


def test_findings_come_in_the_order_of_the_rules(tmp_path: Path) -> None:
    texts = [
        rule(f"s: {{F|contains: {w}}}\ncondition: s", number=n) for n, w in ((3, "b"), (1, "a"))
    ]
    report = load_text(tmp_path, *texts, rule("s: {G: null}\ncondition: s", number=2))
    engine = Engine(report.rules, pipelines(tmp_path))
    assert [f.rule.title for f in engine.evaluate({**BASE, "F": "a b"})] == [
        "Rule 3",
        "Rule 1",
        "Rule 2",
    ]


def test_a_field_reference_and_other_comparisons(tmp_path: Path) -> None:
    found = same(
        tmp_path,
        [
            "a: {F|fieldref: G}\ncondition: a",
            "a: {F|fieldref|endswith: G}\ncondition: a",
            "a: {F|exists: true}\ncondition: a",
            "a: {F|exists: false}\ncondition: a",
            "a: {F|gte: 5}\ncondition: a",
            "a: {F|cidr: 10.0.0.0/8}\ncondition: a",
            "a: {F|hour|gte: 22}\ncondition: a",
            "a: {F|windash|contains: ' -x'}\ncondition: a",
        ],
        [
            {"F": "a", "G": "A"},
            {"F": "xa", "G": "A"},
            {"F": None},
            {"G": "a"},
            {"F": 7, "G": 7},
            {"F": "7"},
            {"F": "10.1.2.3"},
            {"F": "2026-01-01T23:00:00Z"},
            {"F": "run /x"},
            {"F": ["a", "b"], "G": ["c", "B"]},
        ],
    )
    assert found > 15


HOSTILE = r"""
a: {F|re: '^(a+)+$'}
b: {F|contains: ['aab', 'a?a*b', 'ab']}
c: {F|startswith: 'a*a*a*a*b'}
d: {F|fieldref|contains: G}
e: {F|gt: 5, T|hour: 3, Ip|cidr: 10.0.0.0/8}
f: [zzz, 9]
condition: 1 of them
"""
DEEP: Any = "x"
for _ in range(50_000):
    DEEP = [DEEP]


@pytest.mark.slow
@pytest.mark.timeout(60)
@pytest.mark.parametrize(
    "value",
    [
        "a" * 1_000_000 + "!",
        "\0" * 1_000_000,
        "\x02" * 1_000_000,
        "9" * 1_000_000,
        [f"v{n}" for n in range(100_000)],
        list(range(100_000)),
        {"x": {"y": ["z"] * 100_000}},
        DEEP,
        10**5000,
        float("nan"),
        float("inf"),
        "\ud800\udfff\ud800",
        b"bytes",
        [None, [], {}, [[]]],
        "\x1f\x1fabsent",
    ],
    ids=lambda v: type(v).__name__,
)
def test_hostile_values_change_nothing(tmp_path: Path, value: Any) -> None:
    texts = [
        rule(HOSTILE, number=1),
        rule("s: {F|contains: '\\x1f'}\nt: {G: null}\ncondition: s or t", number=2),
        rule("s: {F|re: '\\?'}\ncondition: s", number=3),
    ]
    report = load_text(tmp_path, *texts)
    reference = Reference(report.rules, pipelines(tmp_path))
    engine = Engine(report.rules, pipelines(tmp_path))
    events = ({"F": value}, {"G": value, "F": "x"}, {"message": value}, {"F": value, "G": 1})
    for event in events:
        wanted = [f.rule.id for f in reference.evaluate({**BASE, **event})]
        for _ in range(2):
            assert [f.rule.id for f in engine.evaluate({**BASE, **event})] == wanted
    assert not engine.errors


@pytest.mark.slow
@pytest.mark.timeout(60)
def test_a_list_of_ten_thousand_values_is_bounded(tmp_path: Path) -> None:
    listed = "\n".join(f"  - 'value number {n}'" for n in range(10_000))
    texts = [
        rule(f"s:\n F|contains:\n{listed}\ncondition: s", number=1),
        rule(f"s:\n F:\n{listed}\ncondition: s", number=2),
    ]
    report = load_text(tmp_path, *texts)
    events = [{**BASE, "F": f"value number {n}"} for n in (5, 9_999, 10_001)]
    assert assert_same(report.rules, pipelines(tmp_path), events) == 5  # 10001 holds 1000


def test_endless_routing_keys_do_not_fill_the_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(routing, "MAX_KEYS", 10)
    monkeypatch.setattr(routing, "MAX_PLANS", 4)
    kinds = [
        rule(f"s: {{EventID: {number}}}\nt: {{F: x}}\ncondition: s and t", number=number + 1)
        for number in range(40)
    ]
    engine = Engine(load_text(tmp_path, *kinds).rules, pipelines(tmp_path))
    for number in range(100):
        event = {**BASE, "EventID": number, "F": "x"}
        assert len(engine.evaluate(event)) == (number < 40)
        assert engine.evaluate_lines([json.dumps(event).encode()]) == [engine.evaluate(event)]
    assert len(engine._memo) <= 10
    assert len(engine._plans) <= 4
    assert len(engine.lines._plans) <= 10


def test_long_lists_are_searched_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(predicate, "MANY", 2)
    values = ["a*b", "ab*ab", "*ss*x*", "b?a*", "*q*", "*", "x", "xx*", "*xa"]
    texts = [
        f"s:\n  F{how}:\n" + "\n".join(f"  - '{one}'" for one in some) + f"\ncondition: {condition}"
        for how, condition in [("", "s"), ("|contains", "s"), ("|cased", "s"), ("|neq", "s")]
        for some in (values[:3], values[2:5], values[4:8], values[6:])
    ]
    texts += [f"t: {{H: here}}\n{text}".replace(": s", ": t and not s") for text in texts]
    material = ["axb", "ababab", "abab", "aba", "AB", "ßx", "b1abq", "q", "x", "xxx", "QXA", ""]
    events: list[dict[str, Any]] = [{"F": one} for one in [*material, 5, None, ["xx", "ab"]]]
    assert same(tmp_path, texts, [{**event, "H": "here"} for event in events]) > 100


def test_what_is_known_of_a_rule_goes_with_the_rule(tmp_path: Path) -> None:
    def judge() -> int:
        report = load_text(tmp_path, rule("a: {F|contains: [evil, bad]}\ncondition: a"))
        engine = Engine(report.rules, pipelines(tmp_path))
        assert engine.evaluate({**BASE, "F": "evil"})
        return len(literals._KNOWN)

    gc.collect()
    before = len(literals._KNOWN)
    assert judge() > before
    gc.collect()
    assert len(literals._KNOWN) == before
