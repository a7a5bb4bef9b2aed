"""Where the time for one event goes: the engine's own steps again, each rule by itself.

It runs beside the fast path, on samples, so that the fast path need not measure anything.
"""

import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any

from detectors.sigma.engine.engine import Engine
from detectors.sigma.engine.plan import Plan, _unsure
from detectors.sigma.engine.predicate import Predicate
from detectors.sigma.reference import finding
from detectors.sigma.values import View
from soc.model.event import Event
from soc.model.finding import Finding

Clock = Callable[[], float]
_Work = Callable[[Iterable[int], Any], list[Finding]]


def profile(
    engine: Engine, event: Event, clock: Clock = time.perf_counter
) -> tuple[float, dict[str, float]]:
    """Return the seconds that an event takes, and those of each rule that had to be decided.

    A rule's seconds are those of its condition and, when it matches, of its explanation.
    """
    began = clock()
    engine.evaluate(event)
    whole = clock() - began
    if engine.router.key(event) is None:
        return whole, _by_reference(engine, event, clock)
    plan = engine.plan_of(event)
    if plan is None:
        return whole, {}
    probe = _Probe(plan, clock)
    with probe:
        engine.evaluate(event)
    return whole, probe.seconds


def _by_reference(engine: Engine, event: Event, clock: Clock) -> dict[str, float]:
    view = View(event)
    seconds: dict[str, float] = {}
    for rule, sources in engine.reference.candidates(view):
        began = clock()
        with suppress(Exception):  # counted where events are judged
            finding(rule, sources, view)
        seconds[rule.id] = clock() - began
    return seconds


class _Probe:
    """Stands in for the parts of a plan that decide and explain single rules, while it is open."""

    def __init__(self, plan: Plan, clock: Clock) -> None:
        self.plan = plan
        self.clock = clock
        self.seconds: dict[str, float] = {}
        self._busy = False

    def __enter__(self) -> None:
        plan, own = self.plan, vars(self.plan)
        self._kept = own["_predicates"]
        own["_predicates"] = _Timed(self, self._kept)
        own["findings"] = self._each(plan.findings)
        own["_referred"] = self._each(plan._referred)

    def __exit__(self, *_: object) -> None:
        own = vars(self.plan)
        own["_predicates"] = self._kept
        del own["findings"], own["_referred"]

    def timed(self, number: int, predicate: Predicate) -> Predicate:
        """Return a predicate that takes the time of each call."""
        if predicate is _unsure:
            return predicate

        def measured(raws: Any, texts: Any) -> bool:  # noqa: ANN401
            began = self.clock()
            try:
                return predicate(raws, texts)
            finally:
                self._took(number, self.clock() - began)

        return measured

    def _took(self, number: int, seconds: float) -> None:
        rule = self.plan.units[number].rule.id
        self.seconds[rule] = self.seconds.get(rule, 0.0) + seconds

    def _each(self, work: _Work) -> _Work:
        """Return the same work, done and timed rule by rule."""

        def measured(numbers: Iterable[int], subject: Any) -> list[Finding]:  # noqa: ANN401
            if self._busy:  # one calls the other
                return work(numbers, subject)
            found: list[Finding] = []
            self._busy = True
            try:
                for number in numbers:
                    began = self.clock()
                    found += work((number,), subject)
                    self._took(number, self.clock() - began)
            finally:
                self._busy = False
            return found

        return measured


class _Timed(list[Any]):
    """Predicates by number, timed."""

    def __init__(self, probe: _Probe, predicates: list[Any]) -> None:
        super().__init__(predicates)
        self._probe = probe

    def __getitem__(self, number: Any) -> Any:  # noqa: ANN401
        predicate = super().__getitem__(number) or self._probe.plan._predicate(number)
        return self._probe.timed(number, predicate)
