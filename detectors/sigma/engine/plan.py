"""The plan for one kind of event: the rules that its log source leaves, and how to find them."""

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import orjson

from detectors.sigma.engine.access import Reader, Values, gather, plain, prefixes
from detectors.sigma.engine.formula import KEYWORDS, Formula, slots_of
from detectors.sigma.engine.literals import Lit
from detectors.sigma.engine.predicate import Predicate, compiled
from detectors.sigma.engine.rarity import Guess, Measured
from detectors.sigma.engine.reasons import Because, prepared
from detectors.sigma.engine.scan import Scanner, mark
from detectors.sigma.engine.witness import Cost, witness
from detectors.sigma.pipeline import Source
from detectors.sigma.reference import finding, told
from detectors.sigma.rule import Rule
from detectors.sigma.values import View
from soc.model.event import Event
from soc.model.finding import Finding

SAMPLE: Final = 256
"""Events of a plan, at most, after which its witnesses are chosen again by what was measured."""
_MAX_SAMPLED: Final = 1 << 16
"""Characters of an event that go into the sample."""
_PLAIN: Final = frozenset({str, int, bool, type(None)})

_IN_NUMBERS: Final = frozenset("0123456789.e+-xabcdfin")


def _unsure(raws: Sequence[object], texts: Sequence[str]) -> bool:
    return True


@dataclass(frozen=True, slots=True, eq=False)
class Unit:
    """A rule in a plan: what is left of its condition there."""

    rule: Rule
    sources: tuple[Source, ...]
    formula: Formula


class Plan:
    """Evaluates the events of one routing key. `errors` counts rules that failed (bugs).

    An event is scanned once for the witnesses of all rules; the rules that this leaves, and those
    without a witness, are decided by compiled conditions; what holds, the reference explains.
    """

    def __init__(self, units: Sequence[Unit], errors: Counter[str]) -> None:
        self.units = tuple(units)
        self.slots = tuple(dict.fromkeys(slot for u in units for slot in slots_of(u.formula)))
        self.prefixes = prefixes(self.slots)
        self.errors = errors
        self.generation = 0
        """Changes when the witnesses are chosen anew."""
        self._index = {slot: number for number, slot in enumerate(self.slots)}
        self._read: Reader = gather(self.slots)
        self._reasons: list[Because | None] = [None] * len(self.units)
        self._predicates: list[Predicate | None] = [None] * len(self.units)
        self._sample: list[bytes] | None = []
        self._choose(Guess(unit.formula for unit in self.units))

    def _choose(self, cost: Cost) -> None:
        """Choose the witnesses and build the scanners."""
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
        used = {lit.slot for lit in fields}
        self.scanner = Scanner([slot for slot in self.slots if slot in used], fields)
        self.keywords = Scanner((), words) if words else None
        self.words = Scanner((), _escaped(words)) if words else None
        # JSON may write a number in another way than the reference does.
        self._numeric = any(_IN_NUMBERS.issuperset(lit.text) for lit in words)
        self.parts: Reader = gather(self.scanner.slots, self.scanner.marks)
        self._choose_always(always)
        self.generation += 1

    def _choose_always(self, numbers: list[int]) -> None:
        """Prepare the rules without a witness: they see few fields, so only these are read."""
        formulas = [self.units[number].formula for number in numbers]
        self.always_slots = tuple(dict.fromkeys(s for f in formulas for s in slots_of(f)))
        index = {slot: number for number, slot in enumerate(self.always_slots)}
        found = [(number, compiled(self.units[number].formula, index)) for number in numbers]
        self.undecided = frozenset(number for number, predicate in found if predicate is None)
        self.decided = tuple((n, predicate) for n, predicate in found if predicate is not None)
        self.always: Reader = gather(self.always_slots)
        self.all_always = frozenset(numbers)

    def evaluate(self, event: Event) -> list[Finding]:
        """Return the findings of an event, in the order of the rules."""
        if self.prefixes and not event.keys().isdisjoint(self.prefixes):
            return self.irregular(event)
        get = event.get
        found = self.candidates(self.parts(get), self.always(get) if self.decided else ())
        if found is not None and self.words is not None:
            found = self._keyworded(found, event)
        if found is None:
            return self.irregular(event)
        if self._sample is not None:
            self.learn(self._read(get))
        if not found:
            return []
        holding = self.holding(found, self._read(get))
        if holding is None:
            return self._referred(sorted(found), View(event))
        return self.findings(holding, event) if holding else []

    def candidates(self, parts: Values, always: Values) -> set[int] | None:
        """Return the rules that may match; None when the reference must look at the event.

        `parts`: the values of the scanner's slots with its marks, `always`: those of the rules
        without a witness.
        """
        try:
            found = self.scanner.found("".join(parts).casefold())
        except TypeError:
            known = plain(parts)
            if known is None:
                return None
            found = self.scanner.found("".join(known[1]).casefold())
        except UnicodeEncodeError:  # a lone surrogate
            return None
        if self.decided:
            values = _texts(always)
            if values is None:
                return None
            raws, texts = values
            for number, predicate in self.decided:
                if _holds(predicate, raws, texts):
                    found.add(number)
        return found | self.undecided if self.undecided else found

    def _keyworded(self, found: set[int], event: Event) -> set[int] | None:
        """Add the rules whose keywords may be in the event; it is scanned as JSON, names too."""
        if self._numeric and not _PLAIN.issuperset(map(type, event.values())):
            return None
        try:
            line = orjson.dumps(event)
        except TypeError:  # integers beyond 64 bits, lone surrogates
            return None
        return found | self.in_line(line)

    def in_line(self, line: bytes) -> set[int]:
        """Return the rules whose keywords may be in JSON text without needless escapes."""
        assert self.words is not None  # noqa: S101 - for the types
        text = line.lower() if line.isascii() else line.decode().casefold().encode()
        return self.words.found_in(text)

    def holding(self, found: set[int], values: Values) -> list[int] | None:
        """Return which of the rules hold, by the values of all slots; unsure ones too.

        None when a value is not plain, so that the reference must decide.
        """
        known = _texts(values)
        if known is None:
            return None
        raws, texts = known
        holding: list[int] = []
        for number in sorted(found):
            predicate = self._predicates[number]
            if predicate is None:
                predicate = self._predicate(number)
            try:
                if predicate(raws, texts):
                    holding.append(number)
            except Exception:  # the reference decides, and counts the failure if it is its own
                return None
        return holding

    def _predicate(self, number: int) -> Predicate:
        """Compile the condition of a rule; one that the reference must decide holds always."""
        found = compiled(self.units[number].formula, self._index) or _unsure
        self._predicates[number] = found
        return found

    def findings(self, numbers: Iterable[int], event: Event) -> list[Finding]:
        """Return the findings of rules that hold, in their order."""
        findings: list[Finding] = []
        for number in numbers:
            unit = self.units[number]
            if len(unit.sources) > 1 or self._predicates[number] is _unsure:
                findings += self._referred((number,), View(event))
                continue
            because = self._reasons[number]
            if because is None:
                because = self._reasons[number] = prepared(unit.rule, unit.sources[0].names)
            try:
                reason = because(event)
            except Exception:  # the reference decides, and counts the failure if it is its own
                findings += self._referred((number,), View(event))
                continue
            if reason is not None:
                findings.append(told(unit.rule, event, reason))
        return findings

    def _referred(self, numbers: Iterable[int], view: View) -> list[Finding]:
        """Return what the reference finds with these rules."""
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

    def irregular(self, event: Event) -> list[Finding]:
        """Evaluate an event with lists, floats or lone surrogates: the reference decides."""
        view = View(event)
        try:
            found = self.scanner.found(self._text_of(view))
            if self.keywords is not None:
                found |= self.keywords.found(view.keywords.folded)
        except UnicodeEncodeError:
            found = set(range(len(self.units)))
        return self._referred(sorted(found | self.all_always), view)

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

    @property
    def learning(self) -> bool:
        """Tell whether `learn` still wants events."""
        return self._sample is not None

    def learn(self, values: Values) -> None:
        """Take an event's values into the sample; when that is full, choose by it."""
        known = _texts(values)
        if self._sample is None or known is None:
            return
        texts = (*known[1], "")
        text = "".join(mark(place) + text for place, text in enumerate(texts))
        text = text[:_MAX_SAMPLED].casefold()
        self._sample.append(text.encode(errors="replace"))
        if len(self._sample) >= min(SAMPLE, 16 + len(self.units)):
            formulas = [unit.formula for unit in self.units]
            measured = Measured(self.slots, self._sample, formulas)
            self._sample = None
            self._choose(measured)


def _texts(values: Values) -> tuple[Values, Sequence[str]] | None:
    """Return values and their texts, None when one is no plain value."""
    try:
        "".join(values)
    except TypeError:
        return plain(values)
    return values, values


def _holds(predicate: Predicate, raws: Values, texts: Sequence[str]) -> bool:
    try:
        return predicate(raws, texts)
    except Exception:  # the reference decides, and counts the failure if it is its own
        return True


def _escaped(words: Mapping[Lit, list[int]]) -> dict[Lit, list[int]]:
    """Return keywords as JSON writes them."""
    found: dict[Lit, list[int]] = {}
    for lit, rules in words.items():
        text = json.dumps(lit.text, ensure_ascii=False)[1:-1]
        found.setdefault(Lit(KEYWORDS, text), []).extend(rules)
    return found
