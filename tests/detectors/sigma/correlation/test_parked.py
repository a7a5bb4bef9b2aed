"""A parked correlation counts nothing and keeps quiet whom it kept quiet; who needs it is told."""

import random
from collections.abc import Sequence
from typing import Any

import pytest

from detectors.sigma.correlation.correlator import Correlator
from detectors.sigma.correlation.match import Extractor, wanted
from detectors.sigma.correlation.partition import Partitioning
from detectors.sigma.correlation.resolve import silent
from detectors.sigma.correlation.starving import starved
from detectors.sigma.load import LoadReport
from soc.model.event import Event
from tests.detectors.sigma.correlation.material import event, found, loaded, matches, pipelines

REPORT = loaded(
    {
        "many": "type: event_count\nrules: a\ngroup-by: User\ntimespan: 20s\ncondition: {gte: 3}",
        "then": "type: temporal_ordered\nrules: [many, b]\ngroup-by: User\ntimespan: 30s",
        "hosts": "type: value_count\nrules: d\ntimespan: 9s\ncondition: {field: Host, gte: 2}",
        "loud": "type: event_count\nrules: c\ntimespan: 9s\ncondition: {gte: 2}\ngenerate: true",
    }
)
IDS = {one.name: one.id for one in (*REPORT.rules, *REPORT.correlations)}


def parked(*names: str, report: LoadReport = REPORT) -> LoadReport:
    ids = {one.name: one.id for one in (*report.rules, *report.correlations)}
    return report.without({ids[name] for name in names})


def happened(count: int = 400) -> list[Event]:
    rng = random.Random(3)
    return [
        event(n, n, rng.choice("aaabbcd"), {"User": rng.choice("uv"), "Host": rng.choice("xyz")})
        for n in range(count)
    ]


def told(report: LoadReport, events: Sequence[Event]) -> dict[str, list[Any]]:
    result: dict[str, list[Any]] = {}
    for one in found(report, events):
        result.setdefault(one.rule.title, []).append([e["event.id"] for e in one.events])
    return result


def test_it_raises_nothing_and_the_others_go_on() -> None:
    whole, events = told(REPORT, happened()), happened()
    assert set(whole) == {"then", "hosts", "loud"}
    for name in whole:
        rest = {title: series for title, series in whole.items() if title != name}
        assert told(parked(name), events) == rest


def test_who_needs_it_hears_nothing_and_nobody_gets_loud() -> None:
    assert set(told(parked("many"), happened())) == {"hosts", "loud"}
    assert set(told(parked("then"), happened())) == {"hosts", "loud"}
    for name in ("many", "then", "hosts", "loud"):
        assert silent(parked(name).correlations) == silent(REPORT.correlations)


def test_nothing_is_looked_up_for_it() -> None:
    def names(report: LoadReport) -> dict[str, tuple[str, ...]]:
        return {rule[-1]: names for rule, names in wanted(report.correlations).items()}

    assert names(REPORT) == {"a": ("User",), "b": ("User",), "c": (), "d": ("Host",)}
    assert names(parked("many")) == {"b": ("User",), "c": ()} | {"d": ("Host",)}
    assert names(parked("hosts", "loud")) == {"a": ("User",), "b": ("User",)}
    report = parked("hosts")
    extractor = Extractor(report.correlations, report.rules, pipelines())
    assert [extractor.wants(IDS[name]) for name in "ad"] == [True, False]


def test_it_remembers_nothing_and_begins_anew() -> None:
    events = [event(n, n, "d", {"Host": f"h{n}"}) for n in range(2)]
    before, during = Correlator(REPORT.correlations), Correlator(parked("hosts").correlations)
    list(before.feed(matches(REPORT, events[:1])))
    assert before.dump()[IDS["hosts"]]["groups"]
    during.load(before.dump())
    assert IDS["hosts"] not in during.dump()
    after = Correlator(REPORT.correlations)
    after.load(during.dump())
    assert not list(after.feed(matches(REPORT, events[1:])))


def test_groups_stay_in_their_partitions_and_its_matches_are_not_handed_on() -> None:
    every, less = (Partitioning(r.correlations, 97) for r in (REPORT, parked("then")))
    many = REPORT.correlations[0]
    assert [every.of(many, [u]) for u in "uvw"] == [less.of(many, [u]) for u in "uvw"]
    (b,) = matches(REPORT, [event(1, 1, "b", {"User": "u"})])
    assert len(every.targets(b)) == 1
    assert less.targets(b) == []


@pytest.mark.parametrize(
    ("body", "gone", "effect"),
    [
        ("event_count\nrules: a\ncondition: {gte: 3}", "a", "never"),
        ("event_count\nrules: [a, b]\ncondition: {gte: 3}", "a", "less"),
        ("event_count\nrules: [a, b]\ncondition: {lt: 3}", "a", "wrongly"),
        ("event_count\nrules: [a, b]\ncondition: {lt: 3}", "ab", "never"),
        ("temporal\nrules: [a, b]", "a", "never"),
        ("temporal\nrules: [a, b, c]\ncondition: {gte: 2}", "a", "less"),
        ("temporal\nrules: [a, b, c]\ncondition: {gte: 2}", "ab", "never"),
        ("temporal\nrules: [a, b, c]\ncondition: a and (b or c)", "b", "less"),
        ("temporal\nrules: [a, b, c]\ncondition: a and (b or c)", "a", "never"),
        ("temporal\nrules: [a, b]\ncondition: a and not b", "b", "wrongly"),
        ("temporal\nrules: [a, b]\ncondition: a and not b", "a", "never"),
        ("temporal\nrules: [a, b, c]\ncondition: a and not b and not c", "bc", "wrongly"),
    ],
)
def test_what_a_parked_rule_does_to_a_correlation(body: str, gone: str, effect: str) -> None:
    report = parked(*gone, report=loaded({"it": f"type: {body}\ntimespan: 1m"}))
    (one,) = starved(report)
    assert (one.title, one.effect) == ("it", effect)
    assert one.missing == tuple(f"Rule {name}" for name in gone)


def test_hunger_goes_up_a_chain() -> None:
    def effects(*names: str) -> dict[str, tuple[str, tuple[str, ...]]]:
        return {one.title: (one.effect, one.missing) for one in starved(parked(*names))}

    assert effects() == effects("then") == effects("loud") == {}
    assert effects("many") == {"then": ("never", ("many",))}
    assert effects("a") == {"many": ("never", ("Rule a",)), "then": ("never", ("Rule a",))}
    report = loaded(
        {
            "few": "type: event_count\nrules: [a, b]\ntimespan: 9s\ncondition: {lt: 3}",
            "then": "type: temporal\nrules: [few, c]\ntimespan: 9s",
            "top": "type: event_count\nrules: [then, few]\ntimespan: 9s\ncondition: {gte: 3}",
        }
    )
    found = starved(parked("a", report=report))
    assert [(one.title, one.effect) for one in found] == [
        ("few", "wrongly"),
        ("then", "wrongly"),
        ("top", "wrongly"),
    ]
    assert {one.missing for one in found} == {("Rule a",)}


def test_how_many_are_in_force() -> None:
    assert REPORT.in_force == 5 + 4
    assert parked("a", "many").in_force == 4 + 3
    assert parked("a", "many").without(()).in_force == 4 + 4
