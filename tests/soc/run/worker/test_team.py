"""Several workers: what they raise together is what one process raises, whatever befalls them."""

import random
from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from soc.model.alert import alert_id
from soc.model.event import Event
from soc.model.time import iso
from soc.run.worker import roster
from soc.run.worker.shards import microseconds
from soc.run.worker.slots import EVENTS, MATCHES
from soc.run.worker.status import status
from soc.run.worker.worker import Worker
from soc.store.base import Store
from soc.store.open import open_store
from tests.detectors.sigma.correlation.material import event, found, loaded
from tests.detectors.sigma.correlation.test_conformance import cases
from tests.detectors.sigma.correlation.test_partition import CHAINS
from tests.soc.run.worker.team import FAR, START, Hooked, Time, alerts, received, settle, worker
from tests.soc.store.conftest import IMPLEMENTATIONS

LATENESS = 5_000_000
REPORT = loaded(CHAINS)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with closing(open_store(tmp_path / "store")) as made:
        yield made


def of_correlations(store: Store) -> list[tuple[Any, ...]]:
    return [one for one in alerts(store) if one[0].startswith("1")]


def wanted(report: Any, events: list[Event]) -> list[tuple[Any, ...]]:
    """Return what the correlator raises that sees everything, in the right order."""
    return sorted(
        (
            one.rule.id,
            alert_id(one.rule.id, one.event["event.id"], one.group),
            tuple(e["event.id"] for e in one.events),
        )
        for one in found(report, events)
    )


def happened(first: int, count: int, rng: random.Random, now: float) -> list[Event]:
    """Return events that were received just now, a few seconds out of order."""
    events = []
    for number in range(first, first + count):
        created = now - rng.uniform(0, 1)
        fields: Event = {"User": rng.choice("uvw"), "Host": rng.choice("xyz")}
        one = event(number, created - rng.uniform(0, 3), rng.choice("aaabbc"), fields)
        one["event.created"] = iso(START + timedelta(seconds=created))
        events.append(one)
    return received(events)


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("kind", ["sqlite", pytest.param("elastic", marks=pytest.mark.elastic)])
def test_the_cases_through_a_store_and_two_workers(kind: str, tmp_path: Path) -> None:
    """On Elasticsearch every fifth case: a store of its own for each takes seconds."""
    for number, given in enumerate(cases()):
        if kind == "elastic" and number % 5:
            continue
        case = given.values[0]
        report = loaded(case.get("correlations") or {"it": case["correlation"]})
        events = [
            event(number, seconds, kinds, (rest or [{}])[0])
            for number, (seconds, kinds, *rest) in enumerate(case["events"], 1)
        ]
        with IMPLEMENTATIONS[kind](tmp_path / f"{number}") as store:
            time = Time()
            two = [worker(store, report, time, name, LATENESS) for name in ("one", "two")]
            for one in two:
                one.step()
            time.seconds = FAR
            store.append(received(events), now=time.clock())
            settle(two, time)
            time.seconds += FAR
            settle(two, time)
            assert of_correlations(store) == wanted(report, events), case["name"]
            store.close()


def test_slots_are_shared_fairly_as_workers_come_and_go(store: Store) -> None:
    time = Time()
    team = [worker(store, REPORT, time, f"w{n}", LATENESS) for n in range(3)]
    team[0].step()
    assert len(team[0].shards.slots) == len(EVENTS)
    settle(team, time)
    for side, slots in (("shards", EVENTS), ("partitions", MATCHES)):
        held = [set(getattr(one, side).slots) for one in team]
        assert set.union(*held) == set(slots)
        assert sum(map(len, held)) == len(slots)
        assert max(map(len, held)) - min(map(len, held)) <= 1
    known = status(store, time.clock())
    assert [one["events"] for one in known.workers] == [11, 11, 10]
    team[2]._end()
    settle(team[:2], time)
    assert [len(one.shards.slots) for one in team[:2]] == [16, 16]


def test_the_slots_of_a_dead_worker_pass_on_within_half_a_minute(store: Store) -> None:
    time = Time()
    team = [worker(store, REPORT, time, f"w{n}", LATENESS) for n in range(2)]
    settle(team, time)
    died = time.seconds
    while len(team[0].shards.slots) < len(EVENTS):
        time.seconds += roster.BEAT
        team[0].step()
    assert time.seconds - died < 30


def test_nobody_is_dead_because_the_store_was_away(store: Store) -> None:
    time = Time()
    team = [worker(store, REPORT, time, f"w{n}", LATENESS) for n in range(2)]
    settle(team, time)
    held = set(team[1].shards.slots)
    time.seconds += 300
    team[0].step()
    team[0].step()
    assert set(team[1].shards.slots) == held
    team[1].step()
    assert set(team[1].shards.slots) == held
    assert set(team[0].shards.slots).isdisjoint(held)


def test_a_node_whose_clock_is_a_year_ahead_takes_nobodys_time_along(store: Store) -> None:
    rng, time = random.Random(1), Time()
    one = worker(store, REPORT, time, "w", LATENESS)
    settle([one], time)
    ahead = event(900, time.seconds + 365 * 86_400, "a", {"User": "u", "Host": "x"})
    events: list[Event] = []
    for _ in range(10):
        store.append(received([ahead]), now=time.clock())
        some = happened(len(events), 20, rng, time.seconds)
        store.append(some, now=time.clock())
        events += some
        settle([one], time, steps=1)
    settle([one], time, steps=40)
    assert of_correlations(store) == wanted(REPORT, events) != []
    left_out = one.partitions.left_out() + one.shards.counters
    assert left_out["ahead"] > 0
    assert not left_out["late"] + left_out["hurried"] + left_out["errors"]
    assert max(one.shards.reached().values()) <= microseconds(time.clock())


class Crash(BaseException):
    """The process is gone."""


class Fate:
    """Kills a worker in mid-step, or has it stand still while the others go on."""

    def __init__(self, rng: random.Random, time: Time, store: Store) -> None:
        self.rng = rng
        self.time = time
        self.store = store
        self.team: list[Worker] = []
        self.made = self.crashes = self.pauses = 0
        self.calm = self.inside = False

    def hire(self) -> None:
        self.made += 1
        hooked = Hooked(self.store, self.strike)
        self.team.append(worker(hooked, REPORT, self.time, f"w{self.made}", LATENESS))

    def strike(self) -> None:
        if self.calm or self.inside:
            return
        chance = self.rng.random()
        if chance < 0.02:
            self.crashes += 1
            raise Crash
        if chance < 0.04:
            self.pauses += 1
            self.inside = True
            others = [one for one in self.team if one is not self.acting]
            for _ in range(12):
                self.time.seconds += 3
                for one in others:
                    one.step()
            self.inside = False

    def act(self) -> None:
        self.acting = self.rng.choice(self.team)
        self.time.seconds += self.rng.uniform(0, 3)
        try:
            self.acting.step()
        except Crash:
            self.team.remove(self.acting)
            self.hire()


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(4))
def test_workers_that_die_or_stand_still_lose_no_alert_and_raise_none_twice(
    store: Store, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    from soc.run.worker import partitions, shards

    monkeypatch.setattr(shards, "BATCH", 17)
    monkeypatch.setattr(partitions, "PAGE", 5)
    monkeypatch.setattr(partitions, "PAGES", 2)
    rng, time = random.Random(seed), Time()
    events: list[Event] = []
    fate = Fate(rng, time, store)
    for _ in range(3):
        fate.hire()
    time.seconds = 100.0
    for _ in range(30):
        some = happened(len(events), 8, rng, time.seconds)
        store.append(some, now=time.clock())
        events += some
        for _ in range(rng.randrange(6)):
            fate.act()
    fate.calm = True
    settle(fate.team, time, steps=20)
    time.seconds += FAR
    settle(fate.team, time, steps=4)
    assert fate.crashes > 3
    assert fate.pauses > 3
    left_out = sum(
        (one.partitions.left_out() for one in fate.team), start=fate.team[0].shards.counters
    )
    assert not left_out["late"] + left_out["hurried"] + left_out["errors"]
    assert of_correlations(store) == wanted(REPORT, events)
