"""Correlations divided among partitions say what they say undivided."""

import random
from typing import Any

import pytest

from detectors.sigma.correlation.correlator import Correlator
from detectors.sigma.correlation.match import Scalar
from detectors.sigma.correlation.partition import Partitioning
from detectors.sigma.correlation.rule import Correlation
from detectors.sigma.load import LoadReport
from soc.model.event import Event
from soc.model.finding import Finding
from tests.detectors.sigma.correlation.material import (
    event,
    found,
    in_order,
    loaded,
    matches,
    said,
)
from tests.detectors.sigma.correlation.test_conformance import cases


def divided(report: LoadReport, events: list[Event], partitions: int) -> list[Finding]:
    """Return what correlators say of which each sees the matches of its partition only."""
    partitioning = Partitioning(report.correlations, partitions)
    every = in_order(matches(report, events))
    told: list[Finding] = []
    for number in range(partitions):

        def mine(one: Correlation, values: Any, number: int = number) -> bool:
            return partitioning.of(one, values) == number

        correlator = Correlator(report.correlations, mine=mine)
        own = [match for match in every if number in partitioning.targets(match)]
        told += [*correlator.feed(own), *correlator.close()]
        assert not correlator.counters["errors"]
    return told


def order(one: tuple[Any, ...]) -> str:
    return repr(one)


@pytest.mark.parametrize("case", list(cases()))
def test_the_cases(case: dict[str, Any]) -> None:
    report = loaded(case.get("correlations") or {"it": case["correlation"]})
    events = [
        event(number, seconds, kinds, (rest or [{}])[0])
        for number, (seconds, kinds, *rest) in enumerate(case["events"], 1)
    ]
    for partitions in (1, 2, 8, 97):
        got = said(divided(report, events, partitions))
        assert sorted(got, key=order) == sorted(said(found(report, events)), key=order)


CHAINS = {
    "many": "type: event_count\nrules: a\ngroup-by: [User, Host]\ntimespan: 20s\n"
    "condition: {gte: 2}",
    "then": "type: temporal_ordered\nrules: [many, b]\ngroup-by: User\ntimespan: 30s",
    "top": "type: event_count\nrules: then\ngroup-by: User\ntimespan: 60s\ncondition: {gte: 2}",
    "apart": "type: value_count\nrules: a\ngroup-by: Host\ntimespan: 30s\n"
    "condition: {field: User, gte: 3}",
    "other": "type: event_count\nrules: apart\ntimespan: 90s\ncondition: {gte: 2}",
    "alias": "type: temporal\nrules: [b, c]\naliases:\n  who: {b: User, c: Host}\n"
    "group-by: who\ntimespan: 10s",
    "few": "type: event_count\nrules: c\ngroup-by: Host\ntimespan: 10s\ncondition: {lt: 2}",
}


@pytest.mark.parametrize("seed", range(20))
def test_random_events_with_lists_and_missing_fields(seed: int) -> None:
    rng = random.Random(seed)
    report = loaded(CHAINS)
    assert report.rejected == ()

    def some() -> Scalar | list[str]:
        return rng.choice(["x", "y", "Z", "z", ["x", "y"], ["y", "w"]])

    events = []
    for number in range(150):
        fields = {name: some() for name in ("User", "Host") if rng.random() < 0.9}
        events.append(event(number, number * rng.uniform(0.5, 1.5), rng.choice("aaabbc"), fields))
    whole = said(found(report, events))
    assert len({one[0] for one in whole}) >= 3
    assert sorted(said(divided(report, events, 8)), key=order) == sorted(whole, key=order)


def place(report: LoadReport, name: str, values: list[Scalar]) -> int:
    one = next(one for one in report.correlations if one.name == name)
    return Partitioning(report.correlations, 1 << 30).of(one, values)


def test_a_chain_lies_where_its_common_names_say() -> None:
    report = loaded(CHAINS)
    assert place(report, "many", ["u", "h"]) == place(report, "many", ["U", "other"])
    assert place(report, "many", ["u", "h"]) == place(report, "then", ["u"])
    assert place(report, "many", ["u", "h"]) != place(report, "many", ["v", "h"])


def test_a_chain_without_a_common_name_is_one_partition() -> None:
    report = loaded(CHAINS)
    assert place(report, "apart", ["h"]) == place(report, "apart", ["g"])
    assert place(report, "apart", ["h"]) == place(report, "other", [])


def test_groups_of_different_chains_are_spread() -> None:
    report = loaded(CHAINS)
    partitioning = Partitioning(report.correlations, 8)
    few = next(one for one in report.correlations if one.name == "few")
    assert {partitioning.of(few, [f"host{n}"]) for n in range(200)} == set(range(8))
