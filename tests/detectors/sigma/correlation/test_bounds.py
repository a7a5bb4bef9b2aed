"""What hostile streams may cost: groups, entries, long values, arrays, chains; all bounded."""

import gc
import tracemalloc
from collections.abc import Iterator
from typing import Any

import orjson
import pytest

from detectors.sigma.correlation import order as ordering
from detectors.sigma.correlation.correlator import Correlator
from detectors.sigma.correlation.match import Match
from detectors.sigma.correlation.order import Order
from detectors.sigma.correlation.rule import Correlation
from detectors.sigma.correlation.state import Limits
from detectors.sigma.correlation.tally import MAX_NUMBERS
from tests.detectors.sigma.correlation.material import (
    correlation,
    event,
    found,
    loaded,
    matches,
    said,
)

A = "00000000-0000-4000-8000-00000000000a"
B = A[:-1] + "b"


def match(number: int, seconds: float, fields: dict[str, Any], rule: str = A) -> Match:
    one = {"@timestamp": "", "event.id": f"e{number:09}"}
    return Match(rule, rule, int(seconds * 1e6), one["event.id"], one, fields)


def kept(correlator: Correlator) -> tuple[int, int]:
    """Return how many groups and how many entries there are."""
    [state] = correlator._states
    assert state._entries == sum(len(group.tally) for group in state._groups.values())
    return len(state._groups), state._entries


BODIES = {
    "event_count": "type: event_count\nrules: a\ngroup-by: G\ntimespan: 1d\ncondition: {gte: 3}",
    "value_count": (
        "type: value_count\nrules: a\ngroup-by: G\ntimespan: 1d\ncondition: {field: n, gte: 3}"
    ),
    "value_sum": (
        "type: value_sum\nrules: a\ngroup-by: G\ntimespan: 1d\ncondition: {field: n, gt: 1e200}"
    ),
    "temporal": "type: temporal\nrules: [a, b]\ngroup-by: G\ntimespan: 1d",
    "ordered": "type: temporal_ordered\nrules: [a, b]\ngroup-by: G\ntimespan: 1d",
    "few": "type: event_count\nrules: a\ngroup-by: G\ntimespan: 1d\ncondition: {lt: 3}",
    "not": "type: temporal\ngroup-by: G\ntimespan: 1d\ncondition: b and not a",
}


def flood(count: int) -> Iterator[Match]:
    for number in range(count):
        yield match(number, number / 1000, {"G": [number], "n": [number]})


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
def test_groups_are_bounded_and_the_evicted_counted(body: str) -> None:
    correlator = Correlator([correlation(body)], Limits(groups=100))
    assert list(correlator.feed(flood(5_000))) == []
    [state] = correlator._states
    assert len(state._groups) + len(state._hidden) <= 101
    assert correlator.counters["evicted_groups"] == 4_900
    assert list(correlator.feed([match(9_999, 6, {"G": [4_999], "n": [1]})])) == []


def test_what_was_idle_longest_is_evicted_first() -> None:
    correlator = Correlator([correlation(BODIES["event_count"])], Limits(groups=10))
    busy = [match(n, n, {"G": ["busy"] if n % 5 == 0 else [n]}) for n in range(11)]
    told = list(correlator.feed(busy))
    assert [finding.group for finding in told] == ['["busy"]']


def test_entries_are_bounded_over_all_groups() -> None:
    body = BODIES["event_count"].replace("gte: 3", "gte: 1000")
    correlator = Correlator([correlation(body)], Limits(entries=500))
    list(correlator.feed(match(n, n / 1000, {"G": [n % 7]}) for n in range(3_000)))
    assert kept(correlator)[1] <= 500
    assert correlator.counters["evicted_groups"] > 0


def test_what_has_gone_by_is_forgotten_without_being_evicted() -> None:
    correlator = Correlator([correlation(BODIES["event_count"].replace("1d", "1s"))])
    list(correlator.feed(flood(20_000)))
    assert kept(correlator)[0] <= 1_002
    assert correlator.counters["evicted_groups"] == 0


def test_a_count_keeps_no_more_than_decides() -> None:
    correlator = Correlator([correlation(BODIES["event_count"])])
    list(correlator.feed(match(n, n / 1000, {"G": ["g"]}) for n in range(10_000)))
    assert kept(correlator) == (1, 3)


def test_numbers_are_bounded_and_the_dropped_counted() -> None:
    body = BODIES["value_sum"].replace("1e200", str(MAX_NUMBERS + 1))
    correlator = Correlator([correlation(body.replace("1d", "1m"))])
    told = list(
        correlator.feed(match(n, n / 1000, {"G": ["g"], "n": [1]}) for n in range(MAX_NUMBERS + 50))
    )
    assert told == []
    list(correlator.feed([match(1, 1e6, {"G": ["other"], "n": [1]})]))
    assert correlator.counters["dropped_numbers"] == 50


@pytest.mark.slow
def test_memory_stays_flat_under_a_million_groups() -> None:
    limits = Limits(groups=500, entries=1_000)
    correlator = Correlator([correlation(body) for body in BODIES.values()], limits)

    def used(start: int, count: int) -> int:
        list(
            correlator.feed(
                match(n, n / 10, {"G": [n], "n": [n % 9]}, B if n % 3 else A)
                for n in range(start, start + count)
            )
        )
        gc.collect()
        return tracemalloc.get_traced_memory()[0]

    tracemalloc.start()
    try:
        first = used(0, 2_000)
        later = used(2_000, 5_000)
    finally:
        tracemalloc.stop()
    assert later < first * 1.2 + 100_000


def test_arrays_make_a_bounded_number_of_groups() -> None:
    report = loaded({"it": BODIES["event_count"].replace("group-by: G", "group-by: [G, H]")})
    [one] = matches(report, [event(1, 0, "a", {"G": list(range(5_000)), "H": list(range(5_000))})])
    assert {len(values) for values in one.fields.values()} == {100}
    correlator = Correlator(report.correlations)
    list(correlator.feed([one]))
    assert kept(correlator)[0] == 100


def test_long_values_are_told_apart_and_kept_short() -> None:
    body = "type: event_count\nrules: a\ngroup-by: G\ntimespan: 1m\ncondition: {gte: 2}"
    report = loaded({"it": body})
    long = "x" * 1_000_000
    told = found(report, [event(n, n, "a", {"G": long + tail}) for n, tail in enumerate("ABb")])
    assert len(told) == 1
    assert len(told[0].group) < 2_000
    assert told[0].events[-1]["event.id"] == "e00000002"


@pytest.mark.parametrize(
    "value", [10**400, -(2**63) - 1, float("inf"), float("nan"), "9" * 5_000, "1e99", {"a": 1}]
)
def test_odd_numbers_break_nothing_and_survive_a_restart(value: Any) -> None:
    report = loaded(
        {
            "it": "type: value_sum\nrules: a\ntimespan: 1m\ncondition: {field: n, gt: 1}",
            "few": "type: event_count\nrules: b\ngroup-by: n\ntimespan: 1m\ncondition: {lt: 9}",
        }
    )
    happened = matches(report, [event(n, n, ["a", "b"], {"n": value}) for n in range(3)])
    correlator = Correlator(report.correlations)
    list(correlator.feed(happened))
    again = Correlator(report.correlations)
    again.load(orjson.loads(orjson.dumps(correlator.dump())))
    assert said(again.close()) == said(correlator.close())
    assert not correlator.counters["errors"]


def test_a_chain_that_multiplies_is_cut() -> None:
    inner = "type: event_count\nrules: %s\ngroup-by: %s\ntimespan: 1m\ncondition: {gte: 1}"
    report = loaded({f"c{n}": inner % (f"c{n - 1}" if n else "a", f"g{n}") for n in range(6)})
    fields = {f"g{n}": list(range(100)) for n in range(6)}
    correlator = Correlator(report.correlations)
    list(correlator.feed(matches(report, [event(1, 0, "a", fields)])))
    assert correlator.counters["cut_chains"] == 1


def test_too_many_held_back_go_on_early_and_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ordering, "MAX_HELD", 10)
    correlator = Correlator([correlation(BODIES["event_count"])])
    order = Order(correlator.counters)
    released = []
    for n in range(15):
        order.saw(n * 1_000_000, n * 1_000_000)
        order.hold(match(n, n, {"G": ["g"]}))
        released += order.ready()
    assert [m.time for m in released] == [n * 1_000_000 for n in range(5)]
    assert correlator.counters["hurried"] == 5
    order.hold(match(99, 1, {}))
    assert correlator.counters["late"] == 1


def test_a_rule_that_changed_begins_anew_and_the_others_go_on() -> None:
    def three(span: str, other: str) -> list[Correlation]:
        body = "type: event_count\nrules: a\ntimespan: %s\ncondition: {gte: 3}"
        return list(loaded({"one": body % span, "two": body % other}).correlations)

    happened = [match(n, n, {}) for n in range(3)]
    first = Correlator(three("1m", "1m"))
    list(first.feed(happened[:2]))
    second = Correlator(three("2m", "1m"))
    second.load(first.dump())
    assert [finding.rule.title for finding in second.feed(happened[2:])] == ["two"]


def test_an_unexpected_failure_costs_one_match(monkeypatch: pytest.MonkeyPatch) -> None:
    correlator = Correlator([correlation(BODIES["event_count"])])
    works = correlator._states[0].feed

    def fails(one: Match) -> Iterator[Any]:
        if one.time == 1_000_000:
            raise RuntimeError
        return works(one)

    monkeypatch.setattr(correlator._states[0], "feed", fails)
    told = list(correlator.feed(match(n, n, {"G": ["g"]}) for n in range(4)))
    assert [[e["event.id"][-1] for e in f.events] for f in told] == [["0", "2", "3"]]
    assert correlator.counters["errors"] == 1
