"""Events without end through engine and correlations: memory stays where it was, state is bounded.

Ever new texts, groups and values; events come up to three minutes late; everything that remembers
(plans, columns, tallies, what is held back) has to forget.
"""

import random
import time
from collections.abc import Iterator
from datetime import timedelta
from itertools import islice
from tempfile import TemporaryDirectory
from typing import Any

import psutil
import pytest

from detectors.sigma.correlation.state import MAX_GROUPS
from detectors.sigma.engine import Engine
from detectors.sigma.load import LoadReport, load
from soc.model.event import Event
from soc.model.time import iso
from soc.run.detection import Detection
from tests.detectors.sigma.correlation.material import (
    START,
    base_rules,
    document,
    in_folder,
    pipelines,
)

SERIES = {
    "many": "type: event_count\nrules: a\ngroup-by: G\ntimespan: 10m\ncondition: {gte: 10}",
    "it": "type: temporal_ordered\nrules: [many, b]\ngroup-by: G\ntimespan: 10m",
    "spray": "type: value_count\nrules: a\ngroup-by: H\ntimespan: 1h\ncondition: {field: G, gt: 9}",
    "bytes": "type: value_sum\nrules: b\ngroup-by: H\ntimespan: 1h\ncondition: {field: n, gt: 1e9}",
    "few": "type: event_count\nrules: b\ngroup-by: G\ntimespan: 5m\ncondition: {lt: 2}",
}
LOUD = """\
---
title: Loud {n}
id: 00000000-0000-4000-9000-{n:012d}
logsource: {{category: test}}
detection:
  tool: {{Image|endswith: ['\\tool{n}.exe', '\\other{n}.exe']}}
  how: {{CommandLine|contains: ['--flag{n} ', 'x{n}y']}}
  odd: {{CommandLine|re: 'run{n}[a-f]+z'}}
  word: ['never seen {n}']
  own: {{User: 'SYSTEM{n}'}}
  condition: ((tool and how) or odd or word) and not own
"""
BATCH = 256
SIZES = [
    pytest.param(400_000, 10_000, marks=pytest.mark.slow),
    pytest.param(10_000_000, 1_000, marks=[pytest.mark.soak, pytest.mark.timeout(14_400)]),
]
"""How many events, and the microseconds from one to the next: an hour must pass, or be evicted."""


def rules() -> LoadReport:
    text = base_rules() + "".join(LOUD.format(n=n) for n in range(200))
    text += "".join(document(name, body, n) for n, (name, body) in enumerate(SERIES.items(), 1))
    with TemporaryDirectory() as folder:
        report = load([in_folder(folder, text)])
    assert report.rejected == ()
    return report


def happening(events: int, step: int) -> Iterator[Event]:
    """Yield events as they are received: one in ten is `a` or `b`, one in fifty is loud."""
    rng = random.Random(20261122)
    for number in range(events):
        received = START + timedelta(microseconds=number * step)
        late = timedelta(microseconds=int(rng.expovariate(1 / 5_000_000)) % 180_000_000)
        some = rng.randrange(200)
        flag = f"--flag{some} " if number % 50 == 7 else "--quiet"
        group = rng.randrange(number // 10 + 1) if rng.random() < 0.5 else rng.randrange(500)
        yield {
            "@timestamp": iso(received - late),
            "event.created": iso(received),
            "event.id": f"e{number:09}",
            "event.dataset": "test",
            "is": "-" if number % 10 else "a" if rng.random() < 0.9 else "b",
            "Image": f"C:\\Windows\\{number % 5_000}\\tool{some}.exe",
            "CommandLine": f"tool{some}.exe {flag}{number} /path {rng.getrandbits(64):x}",
            "User": f"user{number % 30_000}",
            "G": group,
            "H": rng.randrange(3_000),
            "n": rng.randrange(10_000),
        }


def remembered(state: dict[str, Any]) -> tuple[int, int]:
    """Return the most groups, and the matches held back, in a saved state."""
    return max(len(one["groups"]) for one in state["groups"].values()), len(state["order"]["held"])


@pytest.mark.parametrize(("events", "step"), SIZES)
def test_memory_is_flat_and_state_is_bounded(events: int, step: int) -> None:
    report = rules()
    detection = Detection(report, Engine(report.rules, pipelines()), pipelines())
    correlating = detection.correlating()
    process, seen, told, series = psutil.Process(), list[int](), 0, 0
    every, done, began = max(1, events // BATCH // 200), 0, time.process_time()
    stream = happening(events, step)
    while batch := list(islice(stream, BATCH)):
        for event, findings in zip(batch, detection.evaluate_batch(batch), strict=True):
            for finding in correlating.take(event, findings):
                told += 1
                series += finding.rule.title in SERIES
        done += 1
        if done % every == 0:
            seen.append(process.memory_info().rss)
    took = time.process_time() - began
    groups, held = remembered(correlating.dump())
    half = len(seen) // 2
    figures = {
        "events": events,
        "per_second": round(events / took),
        "findings": told,
        "of_series": series,
        "groups": groups,
        "held": held,
        "evicted": correlating.counters["evicted_groups"],
        "rss_mb": [round(max(part) / 1e6) for part in (seen[:10], seen[:half], seen[half:])],
    }
    print(figures)
    assert told - series >= events // 50 * 0.9
    assert series > 100
    assert groups <= MAX_GROUPS
    assert correlating.counters["late"] == correlating.counters["errors"] == 0
    assert not detection.engine.errors
    assert max(seen[half:]) < max(seen[:half]) + (20 << 20)
