"""How often literals occur: guessed from the rules at first, then measured on events."""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Final

from detectors.sigma.engine.clauses import Clause, clauses
from detectors.sigma.engine.formula import Formula, Leaf, Node, Not, Slot
from detectors.sigma.engine.literals import Lit, options
from detectors.sigma.engine.scan import Scanner

_CHARGE: Final = 0.0005
"""What a literal costs that never occurs, as a share of events: room in the automaton."""
_HIT: Final = 0.3
"""What it costs to find a literal in an event, as a part of what deciding a rule costs."""
CLAUSES: Final = 2
"""Clauses of a rule that are looked for, at most."""
Chosen = tuple[tuple[Lit, ...], ...]


class Guess:
    """Short literals, and those that many rules name, are taken to be frequent."""

    def __init__(self, formulas: Iterable[Formula]) -> None:
        self._mentions: Counter[Lit] = Counter()
        for formula in formulas:
            self._mentions.update(literals(formula))

    def chosen(self, formula: Formula) -> Chosen:
        """Return the clause of a rule that is looked for, nothing when it has none."""
        return tuple(clause.literals for clause in clauses(formula, self._cost)[:1])

    def _cost(self, lit: Lit) -> float:
        return _CHARGE + self._mentions[lit] * 0.002 + 0.6 ** max(len(lit.text), 1)


class Measured:
    """In which of some sampled events a literal stands: one bit for each event.

    `columns` are the slots whose values repeat so much that it costs nothing to look into them.
    """

    def __init__(
        self,
        slots: Sequence[Slot],
        sample: Sequence[Sequence[str]],
        formulas: Iterable[Formula],
        columns: frozenset[Slot],
    ) -> None:
        self._number = len(sample)
        self._columns = columns
        known: dict[Slot, dict[Lit, None]] = {}
        for formula in formulas:
            for lit in literals(formula):
                known.setdefault(lit.slot, {})[lit] = None
        self._events: dict[Lit, int] = {}
        together = [slot for slot in slots if slot in known and slot not in columns]
        for some in ([together] if together else []) + [[s] for s in columns if s in known]:
            places = [slots.index(slot) for slot in some]
            texts = [[values[place] for place in places] for values in sample]
            self._look(some, [lit for slot in some for lit in known[slot]], texts)

    def _look(self, slots: list[Slot], lits: list[Lit], sample: list[list[str]]) -> None:
        """Scan the slots as the sieve will."""
        scanner = Scanner(slots, dict.fromkeys(lits, 0))
        named: dict[bytes, list[Lit]] = {}
        for lit in lits:
            named.setdefault(scanner.pattern(lit), []).append(lit)
        events: dict[str, int] = {}
        for number, texts in enumerate(sample):
            text = scanner.joined(texts)
            events[text] = events.get(text, 0) | 1 << number
        for text, where in events.items():
            for number in scanner.hits(text.encode(errors="replace")):
                for lit in named[scanner.patterns[number]]:
                    self._events[lit] = self._events.get(lit, 0) | where

    def chosen(self, formula: Formula) -> Chosen:
        """Return the clauses of a rule that are looked for: as many as pay."""
        found = clauses(formula, self._cost)
        kept: list[tuple[Lit, ...]] = []
        passing = (1 << self._number) - 1
        for _ in range(CLAUSES):
            gains = [(self._gain(clause, passing), place) for place, clause in enumerate(found)]
            gain, place = max(gains, default=(0.0, 0))
            if gain <= 0 and (kept or not found):
                break
            clause = found.pop(place)
            kept.append(clause.literals)
            passing &= self._where(clause)
        return tuple(kept)

    def _gain(self, clause: Clause, passing: int) -> float:
        """Return what looking for a clause spares, in decisions on all sampled events."""
        where = self._where(clause)
        # What was never seen may come yet: half an event.
        spared = (passing & ~where).bit_count() + 0.5
        return spared - clause.cost * self._number

    def _where(self, clause: Clause) -> int:
        where = 0
        for lit in clause.literals:
            where |= self._events.get(lit, 0)
        return where

    def _cost(self, lit: Lit) -> float:
        room = _CHARGE * (1 + 8 / (len(lit.text) + 1)) / 10
        if lit.slot in self._columns:
            return room
        share = self._events.get(lit, 0).bit_count() / self._number
        return room + share * _HIT


def literals(formula: Formula) -> set[Lit]:
    """Return every literal that a clause of the formula could be made of."""
    found: set[Lit] = set()
    stack = [formula]
    while stack:
        node = stack.pop()
        if isinstance(node, Leaf):
            for of_one in options(node):
                found.update(*of_one)
        elif isinstance(node, Node):
            stack.extend(node.children)
        elif isinstance(node, Not):
            stack.append(node.child)
    return found
