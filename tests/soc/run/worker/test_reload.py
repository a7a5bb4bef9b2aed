"""Workers whose rules change while they work, or differ from one to the other."""

import random
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from detectors.sigma.correlation.correlator import Correlator
from detectors.sigma.engine import Engine
from detectors.sigma.load import LoadReport
from soc.errors import StoreError
from soc.model.event import Event
from soc.run.detection import Detection
from soc.run.rules_parking import Parked, hungry, park
from soc.run.worker.status import status
from soc.run.worker.worker import Worker
from soc.store.base import Store
from soc.store.open import open_store
from tests.detectors.sigma.correlation.material import event, in_order, loaded, matches, pipelines
from tests.detectors.sigma.correlation.test_partition import CHAINS
from tests.soc.run.worker.team import FAR, Hooked, Time, settle, worker
from tests.soc.run.worker.test_team import LATENESS, REPORT, happened, of_correlations, wanted

MORE = loaded(
    {
        **CHAINS,
        "more": "type: event_count\nrules: a\ngroup-by: User\ntimespan: 9s\ncondition: {gte: 2}",
    }
)
Swap = Callable[[], Detection | None]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with closing(open_store(tmp_path / "store")) as made:
        yield made


def detection(report: LoadReport) -> Detection:
    return Detection(report, Engine(report.rules, pipelines()), pipelines())


def now_and_then(rng: random.Random, *reports: LoadReport) -> Swap:
    """Return what gives one of these rule sets, newly loaded, at every fourth look."""
    return lambda: detection(rng.choice(reports)) if rng.random() < 0.25 else None


def worked(store: Store, time: Time, rng: random.Random, team: list[Worker]) -> list[Event]:
    """Have them work while events come, slots passing from one to the other; return the events."""
    events: list[Event] = []
    time.seconds = 100.0
    for _ in range(25):
        some = happened(len(events), 8, rng, time.seconds)
        store.append(some, now=time.clock())
        events += some
        for one in rng.sample(team, rng.randint(1, len(team))):
            time.seconds += rng.uniform(0, 2)
            one.step()
        if rng.random() < 0.1:
            rng.choice(team)._end()
    settle(team, time, steps=20)
    time.seconds += FAR
    settle(team, time)
    return events


@pytest.mark.parametrize("seed", range(3))
def test_correlations_go_on_over_a_swap(store: Store, seed: int) -> None:
    rng, time = random.Random(seed), Time()
    team = [worker(store, REPORT, time, name, LATENESS) for name in ("one", "two")]
    for one in team:
        one.reload = now_and_then(rng, REPORT)
    events = worked(store, time, rng, team)
    assert of_correlations(store) == wanted(REPORT, events)
    assert of_correlations(store)


@pytest.mark.parametrize("seed", range(3))
def test_what_is_the_same_in_different_sets_is_counted_the_same(store: Store, seed: int) -> None:
    rng, time = random.Random(seed), Time()
    team = [worker(store, REPORT, time, name, LATENESS) for name in ("one", "two")]
    team[0].reload = now_and_then(rng, REPORT, MORE)
    events = worked(store, time, rng, team)
    same = {one.id for one in REPORT.correlations}
    assert [one for one in of_correlations(store) if one[0] in same] == wanted(REPORT, events)


def test_what_is_new_counts_from_the_swap_on(store: Store) -> None:
    time = Time()
    one = worker(store, REPORT, time, "one", LATENESS)
    settle([one], time)
    sets = [detection(MORE)]
    one.reload = lambda: sets.pop() if sets else None
    time.seconds += 100
    events = happened(0, 40, random.Random(7), time.seconds)
    store.append(events, now=time.clock())
    settle([one], time)
    time.seconds += FAR
    settle([one], time)
    assert of_correlations(store) == wanted(MORE, events)
    (new,) = (one.id for one in MORE.correlations if one.name == "more")
    assert new in {told[0] for told in of_correlations(store)}


def test_a_swap_while_the_store_refuses_is_not_lost(store: Store) -> None:
    time, down = Time(), False

    def hook() -> None:
        if down:
            raise StoreError("away")

    one = worker(Hooked(store, hook), REPORT, time, "one", LATENESS)
    store.append(happened(0, 40, random.Random(7), time.seconds), now=time.clock())
    one.step()
    one.partitions.step(0)  # something is read that is not saved
    sets = [detection(MORE)]
    one.reload = lambda: sets.pop() if sets else None
    down = True
    with pytest.raises(StoreError):
        one.step()
    down = False
    one._forget()
    one.step()
    assert one.partitions.correlations == MORE.correlations
    states = [slot.correlator.correlations for slot in one.partitions.slots.values()]
    assert states
    assert all(state == MORE.correlations for state in states)


def test_a_group_that_is_counted_elsewhere_now_is_left_out() -> None:
    events = [event(n, n, "a", {"User": "u", "Host": "h"}) for n in range(3)]
    here = Correlator(REPORT.correlations)
    list(here.feed(in_order(matches(REPORT, events))))
    there = Correlator(REPORT.correlations, mine=lambda one, values: False)
    there.load(here.dump())
    assert any(one["groups"] for one in here.dump().values())
    assert not any(one["groups"] for one in there.dump().values())


def counted(one: Worker) -> set[str]:
    """Return the correlations of which a partition has saved groups."""
    saved = [slot.saved.payload.get("state", {}) for slot in one.partitions.slots.values()]
    return {name for state in saved for name, of in state.get("groups", {}).items() if of["groups"]}


@pytest.mark.parametrize("restarted", [False, True])
def test_what_is_parked_is_forgotten_and_the_rest_goes_on(store: Store, restarted: bool) -> None:
    time = Time()
    first = worker(store, MORE, time, "one", 0)
    first.step()
    store.append(happened(0, 40, random.Random(7), time.seconds), now=time.clock())
    settle([first], time)
    ids = {one.name: one.id for one in MORE.correlations}
    assert counted(first) >= {ids["more"], ids["many"]}
    left = MORE.without({ids["more"]})
    if restarted:
        first._end()
        first = worker(store, left, time, "two", 0)
    else:
        sets = [detection(left)]
        first.reload = lambda: sets.pop() if sets else None
    settle([first], time)
    assert ids["many"] in counted(first)
    assert ids["more"] not in counted(first)


def test_the_roster_says_what_is_in_force_and_what_starves(store: Store) -> None:
    time = Time()
    rules = {one.name: one.id for one in MORE.rules}
    park(store, Parked(rules["a"], "Rule a", "test", "t", "2026-11-27"))
    report = MORE.without({rules["a"]})
    worker(store, report, time, "one", LATENESS).step()
    known = status(store, time.clock())
    assert [one["rules"] for one in known.workers] == [report.in_force]
    assert [one.title for one in known.parked] == ["Rule a"]
    assert {one.title for one in known.starved} >= {"many", "more"}
    assert "can no longer fire" in hungry(known.starved[0])
