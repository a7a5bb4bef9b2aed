"""The reference evaluator of Sigma: slow, complete and plainly right. The engine is held to it."""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Final, TypeVar

from detectors.sigma.evaluate import decided, explain, matches
from detectors.sigma.pipeline import Pipelines, Source
from detectors.sigma.rule import Rule
from detectors.sigma.values import View
from soc.model.event import Event
from soc.model.finding import Finding
from soc.model.reason import Reason

_MAX_ROUTES: Final = 4_096
_MAX_KEY: Final = 256

_Key = TypeVar("_Key")
Candidate = tuple[Rule, tuple[Source, ...]]


class Reference:
    """Evaluates every rule on every event that its log source covers."""

    def __init__(self, rules: Sequence[Rule], pipelines: Pipelines) -> None:
        self.rules = tuple(rules)
        self.pipelines = pipelines
        self.errors: Counter[str] = Counter()
        """Rule id -> events on which the rule failed unexpectedly (a bug of ours)."""
        self._routes: list[Candidate] = []
        routes = {one: pipelines.route(one) for one in {rule.logsource for rule in self.rules}}
        for rule in self.rules:
            route = routes[rule.logsource]
            if route is not None:
                self._routes.append((rule, route.sources))
        self._tested = pipelines.tested
        self._memo: dict[tuple[tuple[str, ...], ...], list[Candidate]] = {}
        self._served: dict[tuple[Source, ...], list[Candidate]] = {}

    def evaluate_batch(self, events: Iterable[Event]) -> list[list[Finding]]:
        """Return the findings of each event."""
        return [self.evaluate(event) for event in events]

    def evaluate(self, event: Event) -> list[Finding]:
        """Return a finding for each rule that matches, in the order of the rules."""
        view = View(event)
        findings: list[Finding] = []
        for rule, sources in self.candidates(view):
            try:
                found = finding(rule, sources, view)
            except Exception:  # one rule on one event is lost, not the process
                self.errors[rule.id] += 1
                continue
            if found is not None:
                findings.append(found)
        return findings

    def explain(self, rule: Rule, event: Event) -> Reason:
        """Return the whole tree of a rule on an event, whether it matches or not.

        An event that does not belong to the rule's log source gives a `logsource` that is not
        matched.
        """
        view = View(event)
        route = self.pipelines.route(rule.logsource)
        sources = [s for s in route.sources if s.delivers(view)] if route else []
        if not sources:
            return Reason("and", f"logsource {rule.logsource}", False)
        trees = [explain(rule, view, source.names) for source in sources]
        return next((tree for tree in trees if tree.matched), trees[0])

    def candidates(self, view: View) -> list[Candidate]:
        """Return the rules whose log source the event belongs to.

        It depends on the values of a few fields only, so the answer is kept for a while.
        """
        key = tuple(
            tuple(value.folded for value in view.field((name,))[1].items) for name in self._tested
        )
        found = self._memo.get(key)
        if found is not None:
            return found
        delivering = tuple(s for s in self.pipelines.sources if s.delivers(view))
        found = self.served_by(delivering)
        if sum(len(text) for texts in key for text in texts) <= _MAX_KEY * len(self._tested):
            _bounded(self._memo, key, found)
        return found

    def served_by(self, delivering: tuple[Source, ...]) -> list[Candidate]:
        """Return the rules that these sources serve, with one source for each way of naming."""
        found = self._served.get(delivering)
        if found is None:
            found = _bounded(self._served, delivering, self._serving(delivering))
        return found

    def _serving(self, delivering: tuple[Source, ...]) -> list[Candidate]:
        serving: dict[tuple[Source, ...], tuple[Source, ...]] = {}
        found = []
        for rule, sources in self._routes:
            here = serving.get(sources)
            if here is None:
                here = _different(tuple(source for source in sources if source in delivering))
                serving[sources] = here
            if here:
                found.append((rule, here))
        return found


def _bounded(
    memo: dict[_Key, list[Candidate]], key: _Key, found: list[Candidate]
) -> list[Candidate]:
    if len(memo) >= _MAX_ROUTES:
        memo.clear()
    memo[key] = found
    return found


def _different(sources: tuple[Source, ...]) -> tuple[Source, ...]:
    """Return one source for each way of naming fields."""
    kept: list[Source] = []
    for source in sources:
        if not any(s.fields == source.fields and s.prefix == source.prefix for s in kept):
            kept.append(source)
    return tuple(kept)


def finding(rule: Rule, sources: tuple[Source, ...], view: View) -> Finding | None:
    """Return what a rule says about an event, None when it does not match."""
    for source in sources:
        if matches(rule, view, source.names):
            reason = decided(explain(rule, view, source.names))
            return Finding(rule.info, (view.event,), reason)
    return None
