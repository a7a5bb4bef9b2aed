"""Every kind against an evaluator that knows nothing of tallies: it looks at whole windows."""

import json
import statistics
from collections.abc import Iterator, Sequence
from datetime import timedelta
from fractions import Fraction
from itertools import combinations
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detectors.sigma.correlation.correlator import Correlator
from detectors.sigma.correlation.match import Match, groups, key_of, numbers
from detectors.sigma.correlation.order import Order
from detectors.sigma.correlation.rule import Bounds, Correlation
from detectors.sigma.load import LoadReport
from detectors.sigma.reference import Reference
from soc.model.event import Event
from soc.model.time import iso
from soc.run.correlating import Correlating
from tests.detectors.sigma.correlation.material import (
    START,
    event,
    in_order,
    loaded,
    matches,
    pipelines,
    said,
)

OPERATORS = ("gt", "gte", "lt", "lte", "eq", "neq")
SPAN = 20


def holds(one: Correlation, window: Sequence[Match]) -> bool:
    """Say whether the condition is true for the matches of a window, by looking at all of them."""
    if one.temporal:
        return temporal(one, window)
    assert isinstance(one.condition, Bounds)
    events: dict[str, Match] = {match.id: match for match in window}
    if one.kind == "event_count":
        return one.condition.holds(len(events))
    listed = [match.fields.get(one.fields[0], ()) for match in events.values()]
    if one.kind == "value_count":
        return one.condition.holds(len({key_of([v]) for values in listed for v in values}))
    found = sorted(Fraction(n) for values in listed for n in numbers(values))
    if not found:
        return False
    value = {
        "value_sum": lambda: sum(found),
        "value_avg": lambda: sum(found) / len(found),
        "value_median": lambda: statistics.median(found),
        "value_percentile": lambda: percentile(found, one.percentile),
    }[one.kind]()
    return one.condition.holds(value)


def percentile(found: list[Fraction], wanted: float) -> Fraction:
    if len(found) == 1:
        return found[0]
    cuts = [Fraction(100 * i, len(found) - 1) for i in range(len(found))]
    for (low, a), (high, b) in zip(
        zip(cuts, found, strict=True), list(zip(cuts, found, strict=True))[1:], strict=False
    ):
        if low <= wanted <= high:
            return a + (b - a) * (Fraction(wanted) - low) / (high - low)
    raise AssertionError


def temporal(one: Correlation, window: Sequence[Match]) -> bool:
    there = {one.rules.index(match.rule) for match in window}
    if one.kind == "temporal":
        return one.holds_for(sum(1 << rule for rule in there))
    hidden = sum(1 << rule for rule in there & one.negated)
    possible = [
        chosen
        for size in range(1, len(one.rules) + 1)
        for chosen in combinations(sorted(there - one.negated), size)
        if chain(one, window, chosen)
    ]
    if isinstance(one.condition, Bounds):
        return one.condition.holds(max(map(len, possible), default=0))
    return any(one.holds_for(sum(1 << rule for rule in p) | hidden) for p in possible)


def chain(one: Correlation, window: Sequence[Match], chosen: Sequence[int]) -> bool:
    """Whether these rules occur in this order; equal times count as in order."""
    time = 0
    for rule in chosen:
        later = [m.time for m in window if one.rules.index(m.rule) == rule and m.time >= time]
        if not later:
            return False
        time = min(later)
    return True


def naive(one: Correlation, found: Sequence[Match]) -> Iterator[tuple[str, str]]:
    """Yield the group and the completing event of each finding, group by group."""
    by_group: dict[str, list[Match]] = {}
    for match in in_order(found):
        for values in groups(one, match):
            by_group.setdefault(key_of(values), []).append(match)
    for key, mine in by_group.items():
        for match in (rising if one.rising else settled)(one, mine):
            yield key, match.id


def useful(one: Correlation, match: Match) -> bool:
    values = match.fields.get(one.fields[0], ()) if one.fields else ()
    if one.kind == "value_count":
        return bool(values)
    return bool(numbers(values)) if one.fields else True


def rising(one: Correlation, mine: Sequence[Match]) -> Iterator[Match]:
    span, fired = one.timespan * 1_000_000, None
    mine = [match for match in mine if useful(one, match)]
    for position, match in enumerate(mine):
        if fired is not None and match.time - fired <= span:
            continue
        window = [m for m in mine[: position + 1] if m.time >= match.time - span]
        if holds(one, window):
            fired = match.time
            yield match


def settled(one: Correlation, mine: Sequence[Match]) -> Iterator[Match]:
    span, end = one.timespan * 1_000_000, -1
    for position, match in enumerate(mine):
        if match.time <= end or excluded(one, match) or not useful(one, match):
            continue
        end = match.time + span
        window = [m for m in mine[position:] if m.time <= end]
        before = [m for m in mine[:position] if m.time >= match.time - span and excluded(one, m)]
        if holds(one, before + window if one.kind == "temporal" else window):
            yield [m for m in window if not excluded(one, m) and useful(one, m)][-1]


def excluded(one: Correlation, match: Match) -> bool:
    return one.rules.index(match.rule) in one.negated


bounds = st.dictionaries(st.sampled_from(OPERATORS), st.integers(0, 6), min_size=1, max_size=2)
EXPRESSIONS = (
    "a and b",
    "a or b and c",
    "(a or b) and c",
    "c and b and a",
    "a and not b",
    "(a or c) and not b",
    "a and not (b and c)",
    "b or a and not c",
)


@st.composite
def bodies(draw: st.DrawFn, kinds: Sequence[str]) -> str:
    kind = draw(st.sampled_from(list(kinds)))
    body: dict[str, Any] = {"type": kind, "timespan": f"{SPAN}s"}
    if grouped := draw(st.sampled_from([[], ["User"]])):
        body["group-by"] = grouped
    body["rules"] = draw(st.permutations("abc").map(lambda p: p[:3]))
    if kind.startswith("temporal"):
        form = draw(st.sampled_from(["default", "bounds", "text"]))
        if form == "text":
            body["condition"] = draw(st.sampled_from(EXPRESSIONS))
            del body["rules"]
        elif form == "bounds":
            body["condition"] = draw(bounds)
        return json.dumps(body)
    condition: dict[str, Any] = dict(draw(bounds))
    if kind != "event_count":
        condition["field"] = "n"
    if kind == "value_percentile":
        condition["percentile"] = draw(st.sampled_from([0, 10, 50, 90, 100]))
    return json.dumps(body | {"condition": condition})


numbered = st.one_of(st.integers(-3, 6), st.sampled_from(["2", "x", 1.5, None, [1, 4], True]))
happenings = st.lists(
    st.tuples(
        st.one_of(st.integers(0, 12).map(lambda n: 5 * n), st.integers(0, 60)),
        st.lists(st.sampled_from("abc"), min_size=1, max_size=2),
        st.fixed_dictionaries({"User": st.sampled_from(["u", "v", ["u", "v"], None])}),
        numbered,
    ),
    max_size=14,
)


def events_of(drawn: Sequence[tuple[int, list[str], Event, Any]]) -> list[Event]:
    return [
        event(number, seconds, kinds, {**fields, "n": n})
        for number, (seconds, kinds, fields, n) in enumerate(drawn, 1)
    ]


KINDS = {
    "counts": ("event_count", "value_count"),
    "numbers": ("value_sum", "value_avg", "value_percentile", "value_median"),
    "temporal": ("temporal",),
    "temporal_ordered": ("temporal_ordered",),
}


@pytest.mark.parametrize("kinds", KINDS.values(), ids=KINDS)
@settings(max_examples=250, deadline=None)
@given(data=st.data())
def test_each_kind_finds_what_whole_windows_show(kinds: Sequence[str], data: st.DataObject) -> None:
    report = loaded({"it": data.draw(bodies(kinds))})
    assert report.rejected == ()
    happened = matches(report, events_of(data.draw(happenings)))
    correlator = Correlator(report.correlations)
    told = [*correlator.feed(in_order(happened)), *correlator.close()]
    got = sorted((f.group, f.event["event.id"]) for f in told)
    assert got == sorted(naive(report.correlations[0], happened))
    assert not correlator.counters["errors"]


CHAIN = {
    "many": "type: event_count\nrules: a\ngroup-by: User\ntimespan: 20s\ncondition: {gte: 2}",
    "few": "type: event_count\nrules: b\ngroup-by: User\ntimespan: 20s\ncondition: {lt: 3}",
    "then": "type: temporal_ordered\nrules: [many, c]\ngroup-by: User\ntimespan: 30s",
    "last": "type: temporal\nrules: [then, few]\ngroup-by: User\ntimespan: 1m\ngenerate: true",
    "sum": "type: value_sum\nrules: [a, b]\ntimespan: 15s\ncondition: {field: n, gt: 4}",
    "gone": "type: temporal\ngroup-by: User\ntimespan: 10s\ncondition: c and not a",
}


@pytest.fixture(scope="module")
def chained() -> LoadReport:
    report = loaded(CHAIN)
    assert report.rejected == ()
    return report


@settings(max_examples=100, deadline=None)
@given(drawn=happenings, cut=st.integers(0, 40))
def test_a_restart_at_any_point_changes_nothing(
    chained: LoadReport, drawn: list[Any], cut: int
) -> None:
    happened = in_order(matches(chained, events_of(drawn)))
    whole = Correlator(chained.correlations)
    wanted = [*whole.feed(happened), *whole.close()]
    first = Correlator(chained.correlations)
    told = list(first.feed(happened[:cut]))
    second = Correlator(chained.correlations)
    second.load(orjson.loads(orjson.dumps(first.dump())))
    told += [*second.feed(happened[cut:]), *second.close()]
    assert said(told) == said(wanted)


@settings(max_examples=100, deadline=None)
@given(drawn=happenings, order=st.randoms(use_true_random=False), cut=st.integers(0, 20))
def test_out_of_order_within_the_lateness_gives_what_sorted_input_gives(
    chained: LoadReport, drawn: list[Any], order: Any, cut: int
) -> None:
    events = events_of(drawn)
    lateness = 7_000_000
    delays = {e["event.id"]: order.uniform(0, 6.9) for e in events}
    arrived = sorted(events, key=lambda e: seconds(e) + delays[e["event.id"]])
    for one in arrived if order.random() < 0.5 else ():
        moment = START + timedelta(seconds=seconds(one) + delays[one["event.id"]])
        one["event.created"] = iso(moment)
    wanted = run(chained, sorted(events, key=lambda e: (e["@timestamp"], e["event.id"])), 0)
    assert said(run(chained, arrived, lateness, cut)) == said(wanted)


def seconds(one: Event) -> float:
    minutes, rest = one["@timestamp"][14:-1].split(":")
    return int(minutes) * 60 + float(rest)


def run(
    report: LoadReport, events: Sequence[Event], lateness: int, cut: int | None = None
) -> list[Any]:
    """Feed events as a stream; at the cut with a new correlator that takes over the state."""
    reference = Reference(report.rules, pipelines())
    correlating, told = Correlating(report, pipelines(), lateness), []
    for number, one in enumerate(events):
        if number == cut:
            state = orjson.loads(orjson.dumps(correlating.dump()))
            correlating = Correlating(report, pipelines(), lateness)
            correlating.load(state)
        told += correlating.take(one, reference.evaluate(one))
    told += correlating.finish()
    assert correlating.counters["late"] == 0
    return [finding for finding in told if finding.rule.id.startswith("1")]


def test_a_match_from_before_the_watermark_is_counted_and_left_out() -> None:
    report = loaded({"it": "type: event_count\nrules: a\ntimespan: 1h\ncondition: {gte: 2}"})
    correlating = Correlating(report, pipelines(), 60_000_000)
    reference = Reference(report.rules, pipelines())
    told = []
    for number, at in enumerate((100, 41, 202, 99, 142)):
        one = event(number, at, "a", {})
        told += correlating.take(one, reference.evaluate(one))
    told += correlating.finish()
    assert correlating.counters["late"] == 1
    assert [[e["event.id"] for e in f.events] for f in told] == [["e00000001", "e00000000"]]


def test_the_order_releases_by_time_then_id() -> None:
    report = loaded({"it": "type: event_count\nrules: a\ntimespan: 1h\ncondition: {gte: 9}"})
    found = matches(report, [event(n, at, "a", {}) for n, at in enumerate((5, 3, 5, 1, 3))])
    order = Order(correlator_counters := Correlator(report.correlations).counters)
    for match in found:
        order.saw(match.time, match.time)
        order.hold(match)
    assert list(order.ready()) == []
    order.end()
    assert [m.id[-1] for m in order.ready()] == ["3", "1", "4", "0", "2"]
    assert not correlator_counters
