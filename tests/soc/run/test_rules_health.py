"""What rules cost: counted, sampled within bounds, told loudly, added up over workers."""

import logging
import random
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any

import orjson
import pytest

from detectors.sigma.engine import Engine
from soc.run import rules_watch
from soc.run.rules_health import ENOUGH, MAX_NOTICES, WINDOW, Health
from soc.run.rules_parking import Parked, park, parked, unpark
from soc.run.rules_watch import Watch, health
from soc.store.base import Store
from soc.store.open import open_store
from tests.detectors.sigma.sigma_rules import load_text, pipelines, rule

START = datetime(2026, 11, 27, 6, tzinfo=UTC)
ONE, TWO = (f"00000000-0000-4000-8000-{number:012d}" for number in (1, 2))
SLOW_RE = "s:\n  f|re: 'a[ab]{300}zq'\ncondition: s"


def slow(length: int, seed: int) -> str:
    """Return text over which RE2 has to carry hundreds of states, new ones for each seed."""
    return "zq" + "".join(random.Random(seed).choices("ab", k=length))


class Clock:
    """A wall clock that goes when it is told to."""

    at = START

    def __call__(self) -> datetime:
        return self.at


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with closing(open_store(tmp_path / "store")) as made:
        yield made


def engine(folder: Path, *texts: str) -> Engine:
    report = load_text(folder, *(rule(text, number=n) for n, text in enumerate(texts, 1)))
    assert len(report.rules) == len(texts), report.rejected
    return Engine(report.rules, pipelines(folder))


def events(count: int, text: str = "a needle") -> list[dict[str, Any]]:
    return [
        {"event.dataset": "test", "event.id": str(number), "f": text} for number in range(count)
    ]


def counted(at: float, judged: int = 1, **tallies: tuple[int, float]) -> Health:
    made = Health()
    for period in made.now(at):
        period.judged, period.sampled, period.seconds = judged, judged, judged * 1e-4
        for name, (matches, seconds) in tallies.items():
            period.of(name).matches, period.of(name).seconds = matches, seconds
    return made


def test_two_workers_add_up_whatever_the_order() -> None:
    at = 1_000_000_000
    parts = [counted(at, 3, a=(1, 0.5)), counted(at + 1, 4, a=(2, 0.25), b=(1, 0.0))]
    sums = []
    for order in (parts, parts[::-1]):
        whole = Health()
        for part in order:
            whole.merge(Health.load(orjson.loads(orjson.dumps(part.dump()))))
        sums.append(whole.dump())
        assert (whole.total.judged, whole.total.rules["a"].matches) == (7, 3)
        assert whole.recent.rules["a"].seconds == 0.75
    assert sums[0] == sums[1]


def test_windows_that_are_over_go_and_the_total_stays() -> None:
    whole = Health()
    for number in range(9):
        whole.merge(counted(1_000_000_200 + number * WINDOW, 10, a=(1, 0.1)))
    assert len(whole.periods) == 3
    assert (whole.total.judged, whole.recent.judged) == (90, 20)


def test_notices_are_bounded_and_not_doubled() -> None:
    whole = Health()
    notes = [{"at": str(n), "rule": "r"} for n in range(MAX_NOTICES + 5)]
    for _ in range(2):
        whole.merge(Health(notices=notes[-MAX_NOTICES:]))
    assert whole.notices == notes[-MAX_NOTICES:]


def test_costly_needs_a_share_a_time_and_enough_events() -> None:
    at = 1_000_000_000
    few = counted(at, ENOUGH - 1, a=(0, 1.0)).recent
    many = counted(at, ENOUGH, a=(0, 1.0), b=(0, 0.1), c=(0, 0.3)).recent
    assert few.costly() == []
    assert many.costly() == ["a", "c"], "b has its 20 % not"
    cheap = counted(at, ENOUGH, a=(0, ENOUGH * 10e-6)).recent
    assert cheap.costly() == [], "all there is to do is cheap"


def test_matches_and_the_last_hit_are_counted_for_every_event(store: Store, tmp_path: Path) -> None:
    clock = Clock()
    watch = Watch(store, engine(tmp_path, "s: {f: a}\ncondition: s"), clock)
    watch.judged(events(5), {ONE: 3}, 0.001)
    watch.save()
    clock.at += timedelta(seconds=7)
    watch.judged(events(5), {ONE: 1}, 0.001)
    watch.judged(events(5), {}, 0.001)
    watch.save()
    found = health(store).total
    assert (found.judged, found.rules[ONE].matches) == (15, 4)
    assert found.rules[ONE].last == "2026-11-27T06:00:07.000000Z"


def test_measuring_keeps_to_its_part_of_the_time(store: Store, tmp_path: Path) -> None:
    made = engine(tmp_path, "s: {f|contains: needle}\ncondition: s")
    ticks = count()
    watch = Watch(store, made, Clock(), now=lambda: next(ticks) * 1e-5)
    for _ in range(300):
        watch.judged(events(100), {ONE: 100}, 0.01)
    assert 0 < watch._measuring < 300 * 0.01 * rules_watch.PART + 2e-4
    watch.save()
    found = health(store).recent
    assert found.rules[ONE].candidates == found.sampled > 10
    assert 0 < found.share(ONE) <= 1


@pytest.mark.slow
def test_a_costly_rule_is_told_once_and_stands_in_the_store(
    store: Store, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    made = engine(tmp_path, SLOW_RE, "s: {f|contains: needle}\ncondition: s")
    watch = Watch(store, made, Clock(), hard=1e9)
    for seed in range(30):
        watch.judged([*events(1, slow(20_000, seed)), *events(7)], {TWO: 7}, 1e6)
    for _ in range(3):
        watch.save()
    (line,) = [r.getMessage() for r in caplog.records if "costly" in r.getMessage()]
    assert ONE in line
    assert "soc rules park" in line
    assert [one["what"] for one in health(store).notices] == ["costly"]
    assert parked(store) == {}, "only a hard bound parks by itself"


def test_a_rule_that_holds_everything_up_is_parked_at_once(
    store: Store, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    made = engine(tmp_path, "s: {f|contains: needle}\ncondition: s", SLOW_RE)
    watch = Watch(store, made, Clock(), hard=0.05)
    batch = [*events(20), *events(1, slow(200_000, 0))]
    watch.judged(batch, {}, 2.0)
    assert list(parked(store)) == [TWO]
    assert any(r.levelno == logging.ERROR and TWO in r.getMessage() for r in caplog.records)
    assert [one["what"] for one in health(store).notices] == ["parked"]


def test_a_failing_store_costs_no_judging_and_no_count(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    watch = Watch(store, engine(tmp_path, "s: {f: a}\ncondition: s"), Clock())
    watch.judged(events(2), {ONE: 1}, 0.001)
    rival = store.checkpoint("rules.health")
    assert rival is None
    other = Watch(store, watch.engine, Clock())
    other.judged(events(3), {ONE: 1}, 0.001)
    reading = store.checkpoint

    def late(name: str) -> Any:
        found = reading(name)
        monkeypatch.setattr(store, "checkpoint", reading)
        other.save()  # comes between the other one's reading and writing
        return found

    monkeypatch.setattr(store, "checkpoint", late)
    watch.save()
    assert health(store).total.judged == 5


def test_parking_is_written_once_for_all(store: Store) -> None:
    first = Parked(ONE, "One", "too loud", "anna", "2026-11-27T06:00:00.000Z")
    assert park(store, first)
    assert not park(store, Parked(ONE, "One", "again", "bob", "2026-11-27T07:00:00.000Z"))
    assert parked(store) == {ONE: first}
    assert unpark(store, ONE)
    assert not unpark(store, ONE)
    assert parked(store) == {}
