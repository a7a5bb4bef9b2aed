"""A clock that was ahead for a while: correlations go on when it is right again."""

from collections.abc import Iterable, Iterator
from datetime import timedelta

import pytest

from detectors.sigma.correlation.order import LATENESS
from detectors.sigma.load import LoadReport
from detectors.sigma.reference import Reference
from soc.model.event import Event
from soc.model.finding import Finding
from soc.model.time import iso
from soc.run.correlating import Correlating
from tests.detectors.sigma.correlation.material import START, event, loaded, pipelines

SPAN = LATENESS // 1_000_000
DAY = 86_400
WRONG = 1_000_000
"""Numbers of the events that the wrong clock stamped begin here."""
KINDS = (
    "type: event_count\nrules: a\ntimespan: 1m\ngroup-by: User\ncondition: {gte: 3}",
    "type: event_count\nrules: a\ntimespan: 1m\ngroup-by: User\ncondition: {eq: 3}",
    "type: temporal\nrules: [a, b]\ntimespan: 1m\ngroup-by: User\ncondition: a and not b",
)


def one(
    number: int, seconds: int, user: str, *, kind: str = "a", clock: int | None = None
) -> Event:
    """Return an event, received a second after it happened or when a clock says so."""
    created = iso(START + timedelta(seconds=seconds + 1 if clock is None else clock))
    return event(number, seconds, kind, {"User": user, "event.created": created})


def told(report: LoadReport, events: Iterable[Event], *, again: bool = False) -> Iterator[Finding]:
    """Yield what is told while events come; `again`: by a process that starts anew each time."""
    reference = Reference(report.rules, pipelines())
    correlating = Correlating(report, pipelines())
    for each in events:
        if again:
            state = correlating.dump()
            correlating = Correlating(report, pipelines())
            correlating.load(state)
        yield from correlating.take(each, reference.evaluate(each))


def attacks(start: int) -> Iterator[Event]:
    """Yield three events that count in half a minute, and others for half an hour."""
    for seconds in range(start, start + 1800, 10):
        attacking = 0 <= seconds - start - 3 * SPAN < 30
        yield one(seconds, seconds, "lan", kind="a" if attacking else "x")


@pytest.mark.parametrize("ahead", [SPAN + 60, DAY, 10 * 365 * DAY])
@pytest.mark.parametrize("minutes", [0, 20])
@pytest.mark.parametrize("body", KINDS)
def test_a_clock_that_was_ahead_stops_no_correlation(body: str, minutes: int, ahead: int) -> None:
    report = loaded({"it": body})
    wrong = [one(WRONG + n, ahead + n, "lan") for n in range(0, 60 * minutes + 10, 10)]
    start = 60 * minutes + 20
    found = list(told(report, [*wrong, *attacks(start)]))
    right = [f.group for f in found if f.events[-1]["event.id"] < f"e{WRONG:08}"]
    assert right == ['["lan"]']


def test_a_short_step_back_forgets_nothing() -> None:
    report = loaded({"it": KINDS[0].replace("1m", "1h")})
    before = [one(n, n, "lan") for n in (0, 10)]
    back = [one(100 + n, 20 + n, "minh", kind="x", clock=n - 2 * SPAN) for n in range(0, SPAN, 10)]
    after = [one(1000, 400, "lan"), *(one(n, n, "minh", kind="x") for n in range(1100, 2000, 10))]
    for again in (False, True):
        found = list(told(report, [*before, *back, *after], again=again))
        assert [finding.group for finding in found] == ['["lan"]']
