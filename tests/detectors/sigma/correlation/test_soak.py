"""10,000,000 events, one in ten matched, ever new groups: memory stays where it was."""

import random
from collections.abc import Iterator

import psutil
import pytest

from detectors.sigma.correlation.correlator import Correlator
from detectors.sigma.correlation.match import Match
from detectors.sigma.correlation.order import Order
from detectors.sigma.correlation.state import Limits
from tests.detectors.sigma.correlation.material import loaded

EVENTS = 10_000_000
A = "00000000-0000-4000-8000-00000000000a"
BODIES = {
    "many": "type: event_count\nrules: a\ngroup-by: G\ntimespan: 10m\ncondition: {gte: 10}",
    "it": "type: temporal_ordered\nrules: [many, b]\ngroup-by: G\ntimespan: 10m",
    "spray": "type: value_count\nrules: a\ngroup-by: H\ntimespan: 1h\ncondition: {field: G, gt: 9}",
    "bytes": "type: value_sum\nrules: b\ngroup-by: H\ntimespan: 1h\ncondition: {field: n, gt: 1e9}",
    "few": "type: event_count\nrules: b\ngroup-by: G\ntimespan: 5m\ncondition: {lt: 2}",
}


def matches(order: Order, events: int) -> Iterator[Match]:
    """Yield matches as they are released; events come up to three minutes late."""
    rng = random.Random(20261122)
    for number in range(events):
        received = number * 10_000
        time = received - int(rng.expovariate(1 / 5_000_000)) % 180_000_000 + 180_000_000
        order.saw(time, received)
        if number % 10:
            continue
        group = rng.randrange(number // 10 + 1) if rng.random() < 0.5 else rng.randrange(500)
        name = f"e{number:09}"
        rule = A if rng.random() < 0.9 else A[:-1] + "b"
        fields = {"G": [group], "H": [rng.randrange(3_000)], "n": [rng.randrange(10_000)]}
        order.hold(Match(rule, rule, time, name, {"@timestamp": "", "event.id": name}, fields))
        yield from order.ready()


@pytest.mark.soak
@pytest.mark.timeout(7_200)
def test_memory_is_flat_over_ten_million_events() -> None:
    report = loaded(BODIES)
    assert report.rejected == ()
    correlator = Correlator(report.correlations, Limits(groups=20_000, entries=100_000))
    order, process, seen, told = Order(correlator.counters), psutil.Process(), list[int](), 0
    for number, match in enumerate(matches(order, EVENTS)):
        told += sum(1 for _ in correlator.feed([match]))
        if number % (EVENTS // 200) == 0:
            seen.append(process.memory_info().rss)
    assert told > 1_000
    assert correlator.counters["late"] == correlator.counters["errors"] == 0
    assert max(seen[len(seen) // 2 :]) < max(seen[: len(seen) // 2]) + (20 << 20)
