"""The engine: the same findings as the reference, found without looking at every rule."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence

import orjson

from detectors.sigma.engine import routing
from detectors.sigma.engine.formula import Formula, fold, formula, joined
from detectors.sigma.engine.lines import Lines
from detectors.sigma.engine.plan import Plan, Unit
from detectors.sigma.engine.routing import Key, Router
from detectors.sigma.engine.words import Words
from detectors.sigma.patterns import Pattern
from detectors.sigma.pipeline import Pipelines, Source
from detectors.sigma.reference import Reference
from detectors.sigma.rule import Rule
from detectors.sigma.values import View
from soc.model.event import Event
from soc.model.finding import Finding
from soc.model.reason import Reason


class Engine:
    """Evaluates rules on events; equal to `Reference` in findings, reasons and order."""

    def __init__(self, rules: Sequence[Rule], pipelines: Pipelines) -> None:
        self.reference = Reference(rules, pipelines)
        self.rules = self.reference.rules
        self.pipelines = pipelines
        self.router = Router(self.rules, pipelines)
        self._memo: dict[Key, Plan | None] = {}
        self._plans: dict[object, Plan | None] = {}
        self._formulas: dict[tuple[int, int], Formula] = {}
        self.lines = Lines(self)

    @property
    def errors(self) -> Counter[str]:
        """Return rule id -> events on which the rule failed unexpectedly (a bug of ours)."""
        return self.reference.errors

    def explain(self, rule: Rule, event: Event) -> Reason:
        """Return the whole tree of a rule on an event, whether it matches or not."""
        return self.reference.explain(rule, event)

    def evaluate(self, event: Event) -> list[Finding]:
        """Return a finding for each rule that matches, in the order of the rules."""
        return self.evaluate_batch((event,))[0]

    def evaluate_batch(self, events: Iterable[Event]) -> list[list[Finding]]:
        """Return the findings of each event; many at once cost less each."""
        key_of, memo = self.router.key, self._memo
        given = list(events)
        results: list[list[Finding]] = [[] for _ in given]
        routed: dict[Plan, list[int]] = defaultdict(list)
        for place, event in enumerate(given):
            key = key_of(event)
            if key is None:
                results[place] = self.reference.evaluate(event)
                continue
            try:
                plan = memo[key]
            except KeyError:
                plan = self._routed(key, event)
            if plan is not None:
                routed[plan].append(place)
        worded: dict[Words, list[Event]] = defaultdict(list)
        for plan, places in routed.items():
            if plan.words is not None:
                worded[plan.words] += [given[place] for place in places]
        suspect = {words for words, some in worded.items() if _may_hold(words, some)}
        for plan, places in routed.items():
            found = plan.evaluate(
                [given[place] for place in places], worded=plan.numeric or plan.words in suspect
            )
            for place, findings in zip(places, found, strict=True):
                results[place] = findings
        return results

    def evaluate_lines(self, lines: Sequence[bytes]) -> list[list[Finding]]:
        """Return the findings of each line of JSON; a line that is no object has none.

        The same as `evaluate(flatten(json))`, but an event is decoded only as far as needed.
        `lines.unread` counts what is no JSON object.
        """
        return self.lines.evaluate(lines)

    def plan_of(self, event: Event) -> Plan | None:
        """Return the plan of an event whose routing fields are plain, None when no rule is left."""
        key = self.router.key(event)
        assert key is not None  # noqa: S101 - the caller has looked
        return self._memo[key] if key in self._memo else self._routed(key, event)

    def _routed(self, key: Key, event: Event) -> Plan | None:
        view = View(event)
        delivering = tuple(s for s in self.pipelines.sources if s.delivers(view))
        kind = (delivering, self.router.classes(key)) if delivering else None
        if kind is None:
            plan = None
        elif kind in self._plans:
            plan = self._plans[kind]
        else:
            plan = self._plan(delivering, key)
            if len(self._plans) >= routing.MAX_PLANS:
                self._plans.clear()
                self._memo.clear()
            self._plans[kind] = plan
        if routing.is_short(key):
            if len(self._memo) >= routing.MAX_KEYS:
                self._memo.clear()
            self._memo[key] = plan
        return plan

    def _plan(self, delivering: tuple[Source, ...], key: Key) -> Plan | None:
        """Return the plan of what the key leaves of the rules, None when that is nothing."""
        values = self.router.known(key)

        def known(slot: tuple[str, ...], pattern: Pattern) -> bool | None:
            found = values.get(slot)
            return None if found is None else found.get(pattern)

        units = []
        for rule, sources in self.reference.served_by(delivering):
            whole = joined("or", (fold(self._formula(rule, s), known) for s in sources))
            if whole is not False:
                units.append(Unit(rule, sources, whole))
        return Plan(units, self.errors) if units else None

    def _formula(self, rule: Rule, source: Source) -> Formula:
        place = (id(rule), id(source))
        found = self._formulas.get(place)
        if found is None:
            found = self._formulas[place] = formula(rule, source.names)
        return found


def _may_hold(words: Words, events: Sequence[Event]) -> bool:
    """Tell whether one of the events may hold one of the words."""
    try:
        return words.may_be_in(orjson.dumps(events))
    except TypeError:  # integers beyond 64 bits, lone surrogates
        return True
