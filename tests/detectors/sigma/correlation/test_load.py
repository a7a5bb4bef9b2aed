"""Correlation documents: what loads, what is refused where and why, and what pySigma says."""

from itertools import pairwise
from pathlib import Path

import pytest
from sigma.collection import SigmaCollection
from sigma.exceptions import SigmaError

from detectors.sigma.correlation.rule import Bounds
from detectors.sigma.load import LoadReport, load
from tests.detectors.sigma.correlation.material import base_rules, correlation, document, loaded

GOOD = "type: event_count\nrules: a\ntimespan: 5m\ncondition: {gte: 3}"


def text_of(body: str) -> str:
    return base_rules() + document("it", body)


def report_of(folder: Path, text: str) -> LoadReport:
    path = folder / "rules.yml"
    path.write_text(text, "utf-8")
    return load([path])


BODIES = {
    "count": GOOD,
    "list of one rule": "type: event_count\nrules: [a]\ntimespan: 5m\ncondition: {gt: 3}",
    "by id": GOOD.replace("rules: a", "rules: 00000000-0000-4000-8000-00000000000a"),
    "by id in upper case": GOOD.replace("rules: a", "rules: 00000000-0000-4000-8000-00000000000A"),
    "group as text": GOOD + "\ngroup-by: User",
    "group as list": GOOD + "\ngroup-by: [User, Host]",
    "weeks": GOOD.replace("5m", "1w"),
    "generate": GOOD + "\ngenerate: true",
    "values": "type: value_count\nrules: a\ntimespan: 5m\ncondition: {field: F, gte: 3}",
    "pairs": "type: value_count\nrules: a\ntimespan: 5m\ncondition: {field: [F, G], gte: 3}",
    "sum": "type: value_sum\nrules: a\ntimespan: 5m\ncondition: {field: F, gte: 3}",
    "average": "type: value_avg\nrules: a\ntimespan: 5m\ncondition: {field: F, lt: 3}",
    "median": "type: value_median\nrules: a\ntimespan: 5m\ncondition: {field: F, neq: 3}",
    "percentile": (
        "type: value_percentile\nrules: a\ntimespan: 5m\n"
        "condition: {field: F, percentile: 90, eq: 3}"
    ),
    "no percentile": (
        "type: value_percentile\nrules: a\ntimespan: 5m\ncondition: {field: F, lte: 1}"
    ),
    "temporal": "type: temporal\nrules: [a, b]\ntimespan: 5m",
    "ordered": "type: temporal_ordered\nrules: [a, b]\ntimespan: 5m",
    "text": "type: temporal\nrules: [a, b]\ntimespan: 5m\ncondition: a and not b",
    "text alone": "type: temporal_ordered\ntimespan: 5m\ncondition: (a or b) and c",
    "aliases": GOOD + "\ngroup-by: who\naliases: {who: {a: User}}",
    # Refused by both:
    "no type": GOOD.replace("type: event_count\n", ""),
    "type": GOOD.replace("event_count", "event_sum"),
    "no timespan": GOOD.replace("timespan: 5m\n", ""),
    "timespan unit": GOOD.replace("5m", "5x"),
    "timespan zero": GOOD.replace("5m", "0m"),
    "timespan in words": GOOD.replace("5m", "5 minutes"),
    "no condition": GOOD.replace("condition: {gte: 3}", ""),
    "no rules": GOOD.replace("rules: a\n", ""),
    "unknown rule": GOOD.replace("rules: a", "rules: z"),
    "no field": "type: value_count\nrules: a\ntimespan: 5m\ncondition: {gte: 3}",
    "unknown operator": GOOD.replace("gte", "ge"),
    "no number": GOOD.replace("gte: 3", "gte: many"),
    "text for a count": GOOD.replace("{gte: 3}", "a"),
    "generate as text": GOOD + "\ngenerate: perhaps",
    "aliases as list": GOOD + "\naliases: [who]",
    "alias as text": GOOD + "\naliases: {who: User}",
    "rule left out of the text": "type: temporal\nrules: [a, b]\ntimespan: 5m\ncondition: a",
    "text names another rule": "type: temporal\nrules: [a]\ntimespan: 5m\ncondition: a and b",
    "unclosed": "type: temporal\nrules: [a, b]\ntimespan: 5m\ncondition: (a and b",
    "of": "type: temporal\nrules: [a, b]\ntimespan: 5m\ncondition: 1 of them",
}
DIFFERENT = {
    "range": GOOD.replace("{gte: 3}", "{gt: 3, lte: 5}"),  # in the specification, not in pySigma
    "months": GOOD.replace("5m", "5M"),  # pySigma only
    "twice": "type: temporal_ordered\nrules: [a, a]\ntimespan: 5m",  # without a meaning
    "alias of an unknown rule": GOOD + "\ngroup-by: who\naliases: {who: {z: User}}",
    "number as text": GOOD.replace("gte: 3", "gte: '3'"),
}


def pysigma_takes(text: str) -> bool:
    try:
        SigmaCollection.from_yaml(text).resolve_rule_references()
    except SigmaError:
        return False
    return True


def taken(body: str) -> bool:
    return not loaded({"it": body}).rejected


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
def test_what_pysigma_takes_loads_and_nothing_else(body: str) -> None:
    assert taken(body) is pysigma_takes(text_of(body))


@pytest.mark.parametrize("body", DIFFERENT.values(), ids=DIFFERENT)
def test_where_pysigma_differs(body: str) -> None:
    assert taken(body) is not pysigma_takes(text_of(body))


def test_pysigma_reads_the_same() -> None:
    for name, body in BODIES.items():
        if not taken(body) or "{" not in body:
            continue
        ours = correlation(body)
        theirs = SigmaCollection.from_yaml(text_of(body))["it"]
        assert ours.timespan == theirs.timespan.seconds, name
        assert ours.kind == theirs.type.name.lower(), name
        assert list(ours.group_by) == (theirs.group_by or []), name
        assert ours.generate is theirs.generate, name
        if isinstance(ours.condition, Bounds):
            [(operator, limit)] = ours.condition.tests
            wanted = (theirs.condition.op.name.lower(), theirs.condition.count)
            assert (operator, limit) == wanted, name


@pytest.mark.parametrize(
    ("change", "line", "words", "hint"),
    [
        (("event_count", "event_cuont"), 6, "'event_cuont' does not exist", "event_count"),
        (("rules: a", "rules: aa"), 7, "no rule 'aa'", "a"),
        (("timespan: 5m", "timespan: 5"), 8, "'5' is no time span", "90m"),
        (("{gte: 3}", "{gt: '3'}"), 9, "gt needs a number", "without quotes"),
        (("{gte: 3}", "{gte: 3, filed: F}"), 9, "no key 'filed'", "field"),
        (("{gte: 3}", "{field: F}"), 9, "compares with nothing", "gte"),
        (("{gte: 3}", "{gte: 2000000}"), 9, "counts beyond", "shorter"),
        (("{gte: 3}", "a and b"), 9, "does not apply to event_count", "gte"),
        (("{gte: 3}", "{gte: 3}\naliases: {u: {zz: F}}"), 10, "no rule 'zz'", ""),
        (("{gte: 3}", "{gte: 3}\ngroup-by: {a: b}"), 10, "group-by", ""),
    ],
)
def test_what_is_wrong_is_said_with_its_line_and_what_to_do(
    tmp_path: Path, change: tuple[str, str], line: int, words: str, hint: str
) -> None:
    text = document("it", GOOD.replace(*change)) + base_rules()
    [rejection] = report_of(tmp_path, text).rejected
    assert words in rejection.reason
    assert rejection.line == line
    assert hint in rejection.hint
    assert rejection.path == str(tmp_path / "rules.yml")


def test_a_circle_is_refused_and_what_hangs_on_it_and_the_rest_runs() -> None:
    body = "type: temporal\nrules: [%s, a]\ntimespan: 5m"
    report = loaded(
        {"one": body % "two", "two": body % "three", "three": body % "one", "out": body % "two"}
        | {"good": GOOD}
    )
    assert [one.name for one in report.correlations] == ["good"]
    reasons = [rejection.reason for rejection in report.rejected]
    assert len(reasons) == 4
    assert all("circle" in reason for reason in reasons)
    assert "one -> two -> three -> one" in reasons[0]


def test_a_correlation_over_a_rejected_one_is_rejected() -> None:
    report = loaded(
        {"bad": GOOD.replace("rules: a", "rules: z"), "it": GOOD.replace("a\n", "bad\n")}
    )
    assert report.correlations == ()
    assert [
        "no rule 'z'" in r.reason or "rejected itself" in r.reason for r in report.rejected
    ] == [
        True,
        True,
    ]


def test_inner_ones_come_before_outer_ones_however_they_stand(tmp_path: Path) -> None:
    names = [f"c{n}" for n in range(300)]
    bodies = {"c0": GOOD} | {
        name: f"type: temporal\nrules: {inner}\ntimespan: 5m" for inner, name in pairwise(names)
    }
    text = "".join(document(n, bodies[n], i) for i, n in reversed(list(enumerate(names))))
    report = report_of(tmp_path, text + base_rules())
    assert [one.name for one in report.correlations] == names


def test_a_name_that_two_rules_have_needs_the_id(tmp_path: Path) -> None:
    other = base_rules().split("---\n")[1].replace("00000000a", "00000000f")
    [rejection] = report_of(tmp_path, f"{text_of(GOOD)}---\n{other}").rejected
    assert "2 rules are called 'a'" in rejection.reason


def test_an_id_is_taken_once_by_rules_and_correlations(tmp_path: Path) -> None:
    text = text_of(GOOD).replace(
        "10000000-0000-4000-8000-000000000001", "00000000-0000-4000-8000-00000000000a"
    )
    [rejection] = report_of(tmp_path, text).rejected
    assert "is taken by" in rejection.reason


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (GOOD.replace("gte: 3", "lt: 1"), "never true"),
        (GOOD.replace("gte: 3", "eq: 0"), "never true"),
        (GOOD.replace("gte: 3", "gt: 5, lt: 6"), "never true"),
        ("type: temporal\nrules: [a, b]\ntimespan: 5m\ncondition: {gte: 3}", "never true"),
        ("type: temporal\ntimespan: 5m\ncondition: not a", "never true"),
        ("type: temporal\ntimespan: 5m\ncondition: a and not (a or b)", "never true"),
        (BODIES["no percentile"], "median"),
        (GOOD + "\nfrequency: 5m", "'frequency'"),
        (GOOD.replace("{", "{field: F, "), "uses no field"),
        (GOOD + "\ngroup-by: Who\naliases: {who: {a: User}}", "alias 'who'"),
    ],
)
def test_odd_correlations_are_warned_about(body: str, words: str) -> None:
    report = loaded({"it": body})
    assert report.rejected == ()
    [warned] = report.warnings
    assert words in warned.message


def test_the_examples_of_the_specification_load(tmp_path: Path) -> None:
    text = """\
title: Correlation - Multiple Failed Logins Followed by Successful Login
id: b180ead8-d58f-40b2-ae54-c8940995b9b6
correlation: {type: temporal_ordered, rules: [many, b], group-by: [User], timespan: 10m}
level: high
---
title: Multiple failed logons
id: a8418a5a-5fc4-46b5-b23b-6c73beb19d41
name: many
correlation: {type: event_count, rules: [a], group-by: [User], timespan: 10m, condition: {gte: 10}}
"""
    report = report_of(tmp_path, text + base_rules())
    assert (report.rejected, report.warnings) == ((), ())
    assert [one.name for one in report.correlations] == ["many", ""]
    assert [one.info.level for one in report.correlations] == ["medium", "high"]


def test_filters_narrow_the_rules_and_not_the_correlations(tmp_path: Path) -> None:
    for rules in ("[a]", "[it]"):
        text = (
            text_of(GOOD)
            + f"---\ntitle: F\nlogsource: {{category: test}}\nfilter:\n  rules: {rules}\n"
            "  s: {User: x}\n  condition: not s\n"
        )
        report = report_of(tmp_path, text)
        narrowed = [rule.name for rule in report.rules if len(rule.selections) > 1]
        assert narrowed == (["a"] if rules == "[a]" else [])
        assert len(report.warnings) == (rules == "[it]")
