"""Correlations in `soc run`: what a crash at any moment, silence and disorder do to them."""

import random
from collections.abc import Iterator, Sequence
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from detectors.sigma.reference import Reference
from soc.alerts.raising import raise_alerts
from soc.errors import StoreError
from soc.model.event import Event
from soc.model.finding import Finding
from soc.model.time import iso
from soc.run import judging
from soc.run.correlating import Correlating
from soc.run.judging import Judge
from soc.run.sorting import Sorting
from soc.store.base import Store
from soc.store.open import open_store
from soc.store.query import parse
from tests.detectors.sigma.correlation.material import (
    event,
    in_order,
    loaded,
    matches,
    pipelines,
    said,
)

NOW = datetime(2026, 11, 22, tzinfo=UTC)
BODIES = {
    "many": "type: event_count\nrules: a\ngroup-by: User\ntimespan: 20s\ncondition: {gte: 3}",
    "then": "type: temporal_ordered\nrules: [many, b]\ngroup-by: User\ntimespan: 30s",
    "alone": "type: temporal\ngroup-by: User\ntimespan: 10s\ncondition: b and not c",
    "sum": "type: value_sum\nrules: [c]\ntimespan: 15s\ncondition: {field: n, gt: 12}",
}
LATENESS = 5_000_000


class Crash(Exception):
    """The process is gone."""


class Clock:
    """Seconds that go on when they are told to."""

    at = 0.0

    def __call__(self) -> float:
        return self.at


def happened(count: int, seed: int) -> list[Event]:
    """Return events as they were received: a few seconds out of order."""
    rng = random.Random(seed)
    events = []
    for number in range(count):
        at = number * 0.7
        received = at + rng.uniform(0, 4)
        fields = {"User": rng.choice("uvw"), "n": rng.randrange(9)}
        one = event(number, at, rng.choice("aaabbbc"), fields)
        one |= {"event.created": iso(NOW + timedelta(seconds=received)), "ecs.version": "9.5.0"}
        one |= {"event.kind": "event", "event.original": "x", "observer.name": "t"}
        events.append(one)
    return sorted(events, key=lambda e: str(e["event.created"]))


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with closing(open_store(tmp_path / "store")) as made:
        yield made


REPORT = loaded(BODIES)


def judge(store: Store, clock: Clock, seen: list[str] | None = None) -> Judge:
    def tell(findings: Sequence[Finding]) -> None:
        for finding, verdict in zip(findings, raise_alerts(findings, store, NOW), strict=True):
            if seen is not None and verdict.outcome == "created":
                seen.append(finding.rule.title)

    correlating = Correlating(REPORT, pipelines(), LATENESS)
    return Judge(store, Reference(REPORT.rules, pipelines()), correlating, clock, tell)


def alerts(store: Store) -> list[tuple[Any, ...]]:
    found = store.search(parse("*"), collection="alerts", limit=1000).events
    return sorted((a["soc.alert.id"], a["rule.name"], *a["soc.event_ids"]) for a in found)


def wanted(events: Sequence[Event], tmp_path: Path) -> list[tuple[Any, ...]]:
    with closing(open_store(tmp_path / "whole")) as store:
        store.append(events, now=NOW)
        one = judge(store, Clock())
        while one.step():
            pass
        one.finish()
        assert one.correlating is not None
        assert one.correlating.counters["late"] == 0
        return alerts(store)


@pytest.mark.parametrize("seed", range(6))
def test_a_crash_at_any_write_loses_no_alert_and_raises_none_twice(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    monkeypatch.setattr(judging, "BATCH", 7)
    monkeypatch.setattr(judging, "SAVE_EVERY", 0.0)
    events, rng, clock = happened(120, seed), random.Random(seed), Clock()
    store.append(events, now=NOW)
    expected = wanted(events, tmp_path)
    assert {name for _, name, *_ in expected} == {"then", "alone", "sum"}

    def fragile(work: Any) -> Any:
        def called(*arguments: Any, **more: Any) -> Any:
            chance = rng.random()
            if chance < 0.25:
                raise Crash
            result = work(*arguments, **more)
            if chance < 0.5:
                raise Crash
            return result

        return called

    for name in ("create_alerts", "save_checkpoint"):
        monkeypatch.setattr(store, name, fragile(getattr(store, name)))
    crashes = 0
    for _ in range(500):
        try:
            one = judge(store, clock)
            while one.step():
                pass
            one.finish()
            break
        except (Crash, StoreError):
            crashes += 1
    assert crashes > 5
    assert alerts(store) == expected


def test_in_silence_what_is_held_back_goes_on_after_the_lateness(store: Store) -> None:
    clock, seen = Clock(), list[str]()
    store.append(failures(), now=NOW)
    one = judge(store, clock, seen)
    while one.step():
        pass
    clock.at = 4
    one.step()
    assert seen == []
    clock.at = 7
    one.step()
    assert seen == ["then"]
    again = judge(store, clock, seen)
    again.step()
    assert seen == ["then"]


def failures() -> list[Event]:
    found = [event(n, n, "a", {"User": "u"}) for n in range(3)]
    found.append(event(3, 5, "b", {"User": "u"}))
    found.append(event(4, 6, "c", {"User": "u"}))
    for one in found:
        one |= {"event.created": one["@timestamp"], "ecs.version": "9.5.0", "event.kind": "event"}
        one |= {"event.original": "x", "observer.name": "t"}
    return found


def test_a_window_ends_in_silence_too(store: Store) -> None:
    clock, seen = Clock(), list[str]()
    store.append(failures()[3:4], now=NOW)
    one = judge(store, clock, seen)
    while one.step():
        pass
    clock.at = 14
    one.step()
    assert seen == []
    clock.at = 18
    one.step()
    assert seen == ["alone"]


def test_logs_read_one_after_the_other_fall_into_place(store: Store) -> None:
    """The first start: a whole file of failures, then a whole file of successes, hours long."""
    clock, seen = Clock(), list[str]()
    failed = [event(n, n * 10, "a", {"User": f"u{n // 3}"}) for n in range(900)]
    passed = [event(1000 + n, n * 30 + 25, "b", {"User": f"u{n}"}) for n in range(300)]
    for one in (*failed, *passed):
        one |= {"event.created": iso(NOW + timedelta(days=1)), "ecs.version": "9.5.0"}
        one |= {"event.original": "x", "observer.name": "t", "event.kind": "event"}
    store.append([*failed, *passed], now=NOW)
    one = judge(store, clock, seen)
    while one.step():
        pass
    clock.at = 10
    one.step()
    assert seen.count("then") == 300


def test_a_time_that_the_receipt_proves_wrong_moves_nothing(store: Store) -> None:
    found = failures()
    wild = event(9, 1e8, "a", {"User": "u", "soc.clock_skew": True})
    correlating = Correlating(REPORT, pipelines(), LATENESS)
    reference, told = Reference(REPORT.rules, pipelines()), list[Finding]()
    for one in (found[0], wild, *found[1:]):
        told += correlating.take(one, reference.evaluate(one))
    told += correlating.finish()
    assert [finding.rule.title for finding in told] == ["then"]
    assert correlating.counters["ahead"] == 1
    assert correlating.counters["late"] == 0


def test_an_event_without_a_time_is_counted_and_left_out() -> None:
    correlating = Correlating(REPORT, pipelines(), LATENESS)
    reference = Reference(REPORT.rules, pipelines())
    for broken in (None, 5, "yesterday", "", "2026-13-01T00:00:00Z"):
        one = failures()[0] | {"@timestamp": broken}
        assert list(correlating.take(one, reference.evaluate(one))) == []
    assert correlating.counters["untimed"] == 5


def test_what_came_too_late_is_told_at_the_end(store: Store) -> None:
    found = failures()
    for late, one in enumerate(found):
        one["event.created"] = iso(NOW + timedelta(seconds=100 + 10 * late))
    store.append(found, now=NOW)
    one = judge(store, Clock())
    while one.step():
        pass
    assert one.left_out() == {}
    again = found[0] | {"event.id": "e00000099", "event.created": iso(NOW + timedelta(hours=1))}
    store.append([found[4] | {"event.id": "e9", "event.created": again["event.created"]}], now=NOW)
    store.append([again], now=NOW)
    while one.step():
        pass
    assert one.left_out() == {"late": 1}


def test_sorting_on_disk_gives_what_sorting_in_memory_gives() -> None:
    found = matches(REPORT, happened(200, 3))
    sorting = Sorting(run=17)
    for match in found:
        sorting.add(match)
    drained = list(sorting.drain())
    assert [m.as_list() for m in drained] == [m.as_list() for m in in_order(found)]
    assert list(sorting.drain()) == []


def test_findings_over_files_do_not_depend_on_the_order_of_files() -> None:
    from soc.run.detection import Detection
    from soc.run.summary import Summary

    detection = Detection(REPORT, Reference(REPORT.rules, pipelines()), pipelines())
    events = happened(150, 4)
    one = list(detection.findings(events, Summary()))
    other = list(detection.findings(events[::-1], Summary()))
    assert said(one) == said(other)
    assert {finding.rule.title for finding in one} == {"then", "alone", "sum"}
