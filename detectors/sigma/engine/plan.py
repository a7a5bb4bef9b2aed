"""The plan for one kind of event: the rules that its log source leaves, and how to find them."""

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

import orjson

from detectors.sigma.engine.access import ABSENT, Reader, Values, gather, plain, prefixes
from detectors.sigma.engine.formula import KEYWORDS, Formula, Slot, slots_of
from detectors.sigma.engine.literals import Lit
from detectors.sigma.engine.predicate import Predicate, compiled
from detectors.sigma.engine.rarity import Guess, Measured
from detectors.sigma.engine.reasons import Report, prepared
from detectors.sigma.engine.scan import Scanner
from detectors.sigma.engine.sieve import Sieve
from detectors.sigma.engine.words import Words, folded, words_of
from detectors.sigma.pipeline import Source
from detectors.sigma.reference import finding
from detectors.sigma.rule import Rule
from detectors.sigma.values import View
from soc.model.event import Event
from soc.model.finding import Finding

SAMPLE: Final = 256
"""Events of a plan, at most, after which its clauses are chosen again by what was measured."""
_MAX_SAMPLED: Final = 1 << 12
"""Characters of a value that go into the sample."""
_PLAIN: Final = frozenset({str, int, bool, type(None)})

Holding = Sequence[int] | None
"""The rules that hold by their numbers in a plan, None when the reference must decide."""
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

    An event goes through a sieve; the rules that this leaves, and those without a clause, are
    decided by compiled conditions.
    """

    def __init__(self, units: Sequence[Unit], errors: Counter[str]) -> None:
        self.units = tuple(units)
        self.slots = tuple(dict.fromkeys(slot for u in units for slot in slots_of(u.formula)))
        self.prefixes = prefixes(self.slots)
        self.errors = errors
        self._index = {slot: number for number, slot in enumerate(self.slots)}
        self._read: Reader = gather(self.slots)
        self._reports: list[Report | None] = [None] * len(self.units)
        self._predicates: list[Predicate | None] = [None] * len(self.units)
        self._sample: list[Sequence[str]] | None = []
        self._blank = (ABSENT,) * len(self.slots)
        formulas = [unit.formula for unit in self.units]
        guess = Guess(formulas)
        chosen = [guess.chosen(formula) for formula in formulas]
        self._build(Sieve(self.slots, formulas, chosen, ()))

    def _build(self, sieve: Sieve) -> None:
        """Take a new sieve."""
        self.sieve = sieve
        self.base = sieve.base
        self._spelled: Scanner | None = None
        self.words: Words | None = None
        self.numeric = False
        """Whether numbers are searched that JSON may write in another way than the reference."""
        if sieve.keywords is not None:
            spelled = _spelled(sieve.keywords)
            self._spelled = Scanner((), spelled)
            self.words = words_of(frozenset(lit.text.encode() for lit in spelled))
            self.numeric = any(_IN_NUMBERS.issuperset(lit.text) for lit in spelled)

    def evaluate(self, events: Sequence[Event], *, worded: bool) -> list[list[Finding]]:
        """Return the findings of each event, in the order of the rules.

        `worded`: whether a keyword may be in one of them.
        """
        results: list[list[Finding]] = [[] for _ in events]
        places: list[int] = []
        rows: list[Values] = []
        bits: list[int] = []
        for place, event in enumerate(events):
            own: int | None = self.base
            if self.prefixes and not event.keys().isdisjoint(self.prefixes):
                own = None
            elif worded and self.words is not None:
                own = self._keyworded(event)
            if own is None:
                results[place] = self.irregular(event)
                continue
            places.append(place)
            rows.append(self._read(event.get))
            bits.append(own)
        for number, holding in self.holding(rows, bits):
            event = events[place := places[number]]
            if holding is None:
                results[place] = self.irregular(event)
            else:
                results[place] = self.findings(holding, event)
        return results

    def holding(self, rows: Sequence[Values], bits: Sequence[int]) -> list[tuple[int, Holding]]:
        """Return the events on which rules hold, by their number, and which; unsure rules too.

        None for the rules when a value is not plain, so that the reference must decide. `rows`: the
        values of all slots; `bits`: `base` for each event, with those of keywords.
        """
        found: list[tuple[int, Holding]] = []
        texts = rows
        try:
            lefts = self._sifted(rows, bits)
        except TypeError:  # not all values are text
            known = [plain(row) for row in rows]
            texts = [self._blank if one is None else one[1] for one in known]
            sifted = self._sifted(texts, bits)
            pairs = zip(known, sifted, strict=True)
            lefts = [None if one is None else left for one, left in pairs]
        for number, left in enumerate(lefts):
            if left != 0:
                holding = None if left is None else self._decided(left, rows[number])
                if holding is None or holding:
                    found.append((number, holding))
        if self._sample is not None:  # at the end: it changes what bits mean
            self._learn(self._sample, texts)
        return found

    def _sifted(self, texts: Sequence[Values], bits: Sequence[int]) -> Sequence[int | None]:
        """Return the rules that each event leaves; None when a value is no valid Unicode."""
        try:
            return self.sieve.sift(texts, bits)
        except UnicodeEncodeError:  # a lone surrogate
            if len(texts) == 1:
                return [None]
            pairs = zip(texts, bits, strict=True)
            return [left for text, own in pairs for left in self._sifted([text], [own])]

    def _decided(self, left: int, row: Values) -> Holding:
        try:
            "".join(row)  # the quickest way to ask whether all are text
        except TypeError:
            known = plain(row)
            return None if known is None else self._deciding(left, *known)
        return self._deciding(left, row, row)

    def _deciding(self, left: int, raws: Values, texts: Sequence[str]) -> Holding:
        holding: list[int] = []
        predicates = self._predicates
        while left:  # the highest bit first: what is left becomes shorter
            number = left.bit_length() - 1
            left ^= 1 << number
            predicate = predicates[number]
            if predicate is None:
                predicate = self._predicate(number)
            try:
                if predicate(raws, texts):
                    holding.append(number)
            except Exception:  # the reference decides, and counts the failure if it is its own
                return None
        holding.reverse()
        return holding

    def _keyworded(self, event: Event) -> int | None:
        """Return the bits of keywords that may be in the event; it is scanned as JSON."""
        if self.numeric and not _PLAIN.issuperset(map(type, event.values())):
            return None
        try:
            line = orjson.dumps(event)
        except TypeError:  # integers beyond 64 bits, lone surrogates
            return None
        return self.in_line(line)

    def in_line(self, line: bytes) -> int:
        """Return `base` and the bits of the keywords in JSON text without needless escapes."""
        return self.base | (self._spelled.found(folded(line)) if self._spelled else 0)

    def _predicate(self, number: int) -> Predicate:
        """Compile the condition of a rule; one that the reference must decide holds always."""
        found = compiled(self.units[number].formula, self._index) or _unsure
        self._predicates[number] = found
        return found

    def findings(self, numbers: Iterable[int], event: Event) -> list[Finding]:
        """Return the findings of rules that hold, in their order."""
        findings: list[Finding] = []
        reports = self._reports
        for number in numbers:
            report = reports[number] or self._report(number)
            try:
                found = report(event)
            except Exception:  # the reference decides, and counts the failure if it is its own
                found = self._by_reference(number, event)
            if found is not None:
                findings.append(found)
        return findings

    def _report(self, number: int) -> Report:
        """Prepare what makes the findings of a rule that holds."""
        unit = self.units[number]
        if len(unit.sources) > 1 or self._predicates[number] is _unsure:
            made: Report = partial(self._by_reference, number)
        else:
            made = prepared(unit.rule, unit.sources[0].names)
        self._reports[number] = made
        return made

    def _by_reference(self, number: int, event: Event) -> Finding | None:
        return next(iter(self._referred((number,), View(event))), None)

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
            bits = self.base
            if self.sieve.keywords is not None:
                bits |= self.sieve.keywords.found(view.keywords.folded.encode())
            left = self.sieve.found_in([(s, _all_texts(view, s)) for s in self.slots], bits)
        except UnicodeEncodeError:
            return self._referred(range(len(self.units)), view)
        return self._referred([n for n in range(len(self.units)) if left >> n & 1], view)

    def _learn(self, sample: list[Sequence[str]], rows: Sequence[Values]) -> None:
        """Take events' values into the sample; when that is full, choose by it."""
        wanted = min(SAMPLE, 16 + len(self.units))
        for row in rows[: wanted - len(sample)]:
            if all(isinstance(value, str) for value in row):
                sample.append([text[:_MAX_SAMPLED].casefold() for text in row])
        if len(sample) < wanted:
            return
        self._sample = None
        half = len(sample) // 2
        columns = frozenset(
            slot
            for slot, values in zip(self.slots, zip(*sample, strict=True), strict=True)
            if len(set(values)) <= half
        )
        formulas = [unit.formula for unit in self.units]
        measured = Measured(self.slots, sample, formulas, columns)
        chosen = [measured.chosen(formula) for formula in formulas]
        self._build(Sieve(self.slots, formulas, chosen, columns))


def _all_texts(view: View, slot: Slot) -> list[str]:
    """Return every text that a slot of any event has: each element of a list is a value."""
    found: list[str] = []
    for value in view.field(slot)[1].items:
        found.append(value.text)
        if isinstance(value.raw, float) and value.raw.is_integer():
            found.append(str(int(value.raw)))
    return found


def _spelled(keywords: Scanner) -> dict[Lit, int]:
    """Return keywords as JSON writes them."""
    found: dict[Lit, int] = {}
    for text, mask in keywords.texts():
        spelled = Lit(KEYWORDS, json.dumps(text, ensure_ascii=False)[1:-1])
        found[spelled] = found.get(spelled, 0) | mask
    return found
