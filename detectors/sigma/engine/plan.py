"""The plan for one kind of event: the rules that its log source leaves, and how to find them."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from detectors.sigma.engine.access import Reader, Values, gather, plain, prefixes
from detectors.sigma.engine.formula import KEYWORDS, Formula, Slot, slots_of
from detectors.sigma.engine.literals import Lit
from detectors.sigma.engine.predicate import Predicate, compiled
from detectors.sigma.engine.rarity import Guess, Measured
from detectors.sigma.engine.scan import Scanner
from detectors.sigma.engine.witness import Cost, witness
from detectors.sigma.pipeline import Source
from detectors.sigma.reference import finding
from detectors.sigma.rule import Rule
from detectors.sigma.values import View
from soc.model.event import Event
from soc.model.finding import Finding

SAMPLE: Final = 256
"""Events of a plan after which its witnesses are chosen again, by what was measured."""
_MAX_SAMPLED: Final = 1 << 16
"""Characters of an event that go into the sample."""


class Unit:
    """A rule in a plan: what is left of its condition there."""

    __slots__ = ("_predicate", "formula", "rule", "sources")

    def __init__(self, rule: Rule, sources: tuple[Source, ...], formula: Formula) -> None:
        self.rule = rule
        self.sources = sources
        self.formula = formula
        self._predicate: Predicate | bool | None = False

    def predicate(self, slots: Mapping[Slot, int]) -> Predicate | None:
        """Return the compiled condition, None when the reference must decide."""
        if self._predicate is False:
            self._predicate = compiled(self.formula, slots)
        return self._predicate  # type: ignore[return-value]


class Plan:
    """Evaluates the events of one routing key. `errors` counts rules that failed (bugs)."""

    def __init__(self, units: Sequence[Unit], errors: Counter[str]) -> None:
        self.units = tuple(units)
        self.slots = tuple(dict.fromkeys(slot for u in units for slot in slots_of(u.formula)))
        self.prefixes = prefixes(self.slots)
        self.errors = errors
        self._index = {slot: number for number, slot in enumerate(self.slots)}
        self._read: Reader = gather(self.slots)
        self._sample: list[str] | None = []
        self._sampler = Scanner(self.slots, {})
        self._choose(Guess(unit.formula for unit in self.units), self.slots)

    def _choose(self, cost: Cost, slots: Sequence[Slot] | None = None) -> None:
        """Choose the witnesses and build the scanners; `slots` None: those that are needed."""
        fields: dict[Lit, list[int]] = {}
        words: dict[Lit, list[int]] = {}
        always: list[int] = []
        for number, unit in enumerate(self.units):
            found = witness(unit.formula, cost)
            if found is None:
                always.append(number)
                continue
            for lit in found.literals:
                (words if lit.slot == KEYWORDS else fields).setdefault(lit, []).append(number)
        self.always = frozenset(always)
        used = {lit.slot for lit in fields}
        self.scanner = Scanner([s for s in self.slots if s in used], fields)
        self.keywords = Scanner((), words) if words else None
        self._parts: Reader = gather(self.scanner.slots, self.scanner.marks)

    def evaluate(self, event: Event) -> list[Finding]:
        """Return the findings of an event, in the order of the rules."""
        if self.prefixes and not event.keys().isdisjoint(self.prefixes):
            return self._irregular(event)
        parts = self._parts(event.get)
        try:
            text = "".join(parts)
        except TypeError:
            known = plain(parts)
            if known is None:
                return self._irregular(event)
            text = "".join(known[1])
        try:
            found = self.scanner.found(text.casefold())
            if self.keywords is not None:
                found |= self.keywords.found(View(event).keywords.folded)
        except UnicodeEncodeError:  # a lone surrogate
            return self._irregular(event)
        if self._sample is not None:
            self._learn(event)
        if self.always:
            found |= self.always
        return self._confirmed(found, event) if found else []

    def _confirmed(self, found: Iterable[int], event: Event) -> list[Finding]:
        known = plain(self._read(event.get))
        if known is None:
            return self._findings(sorted(found), View(event))
        raws, texts = known
        holding: list[int] = []
        for number in sorted(found):
            predicate = self.units[number].predicate(self._index)
            if predicate is None or self._holds(predicate, raws, texts):
                holding.append(number)
        return self._findings(holding, View(event)) if holding else []

    @staticmethod
    def _holds(predicate: Predicate, raws: Values, texts: Sequence[str]) -> bool:
        try:
            return predicate(raws, texts)
        except Exception:  # the reference decides, and counts the failure if it is its own
            return True

    def _findings(self, numbers: Iterable[int], view: View) -> list[Finding]:
        findings: list[Finding] = []
        for number in numbers:
            unit = self.units[number]
            try:
                one = finding(unit.rule, unit.sources, view)
            except Exception:  # one rule on one event is lost, not the process
                self.errors[unit.rule.id] += 1
                continue
            if one is not None:
                findings.append(one)
        return findings

    def _irregular(self, event: Event) -> list[Finding]:
        """Evaluate an event with lists, floats or lone surrogates: the reference decides."""
        view = View(event)
        try:
            found = self.scanner.found(self._text_of(view))
            if self.keywords is not None:
                found |= self.keywords.found(view.keywords.folded)
        except UnicodeEncodeError:
            found = set(range(len(self.units)))
        return self._findings(sorted(found | self.always), view)

    def _text_of(self, view: View) -> str:
        """Return the scanned text of any event: each element of a list is a value."""
        pieces: list[str] = []
        for number, slot in enumerate(self.scanner.slots):
            head, tail = self.scanner.marks[number], self.scanner.marks[number + 1]
            for value in view.field(slot)[1].items:
                pieces += (head, value.folded, tail)
                if isinstance(value.raw, float) and value.raw.is_integer():
                    pieces += (head, str(int(value.raw)), tail)
        return "".join(pieces)

    def _learn(self, event: Event) -> None:
        """Keep what an event says for the sample; when that is full, choose by it."""
        assert self._sample is not None  # noqa: S101 - for the types
        known = plain(self._read(event.get))
        if known is None:
            return
        texts = known[1]
        marks = self._sampler.marks
        joined = "".join(mark + text for mark, text in zip(marks, (*texts, ""), strict=True))
        self._sample.append(joined[:_MAX_SAMPLED].casefold())
        if len(self._sample) >= SAMPLE:
            formulas = [unit.formula for unit in self.units]
            self._choose(Measured(self.slots, self._sample, formulas))
            self._sample = None
