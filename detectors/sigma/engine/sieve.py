"""The sieve of a plan: which rules an event leaves, by the clauses that are looked for.

Each rule has a bit for each of its clauses; what is found in an event sets bits, and the rules of
which all bits are set are left. Values that repeat (an image, a user) are looked up in a column,
which knows the bits of the values it has seen; codes (hashes) are looked up; the others are joined
and scanned at once.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from detectors.sigma.engine.access import Values
from detectors.sigma.engine.codes import Codes
from detectors.sigma.engine.column import Column, Doubt
from detectors.sigma.engine.formula import KEYWORDS, Formula, Slot
from detectors.sigma.engine.literals import Lit
from detectors.sigma.engine.partial import telling
from detectors.sigma.engine.rarity import Chosen
from detectors.sigma.engine.scan import END, Scanner

_Masks = dict[Lit, int]


class Sieve:
    """Finds the rules that may match. `chosen`: the clauses of each rule, none when it has none.

    `columns` are the slots whose values repeat.
    """

    def __init__(
        self,
        slots: Sequence[Slot],
        formulas: Sequence[Formula],
        chosen: Sequence[Chosen],
        columns: Iterable[Slot],
    ) -> None:
        self._width = len(chosen)
        self._most = max(1, *map(len, chosen)) if chosen else 1
        masks, self.base = self._bits(chosen)
        by_slot: dict[Slot, _Masks] = {}
        for lit, mask in masks.items():
            by_slot.setdefault(lit.slot, {})[lit] = mask
        words = by_slot.pop(KEYWORDS, None)
        self.keywords = Scanner((), words) if words else None
        columned = set(columns)
        self.columns = self._columns([s for s in slots if s in columned], by_slot, formulas, chosen)
        self.codes: dict[Slot, Codes] = {}
        for slot in by_slot.keys() - columned:
            if codes := Codes.of(slot, by_slot[slot]):
                self.codes[slot] = codes
        apart = columned | self.codes.keys()
        scanned = [slot for slot in slots if slot in by_slot and slot not in apart]
        self.scanner = Scanner(scanned, {lit: m for s in scanned for lit, m in by_slot[s].items()})
        self.sift: Callable[[Sequence[Values], Sequence[int]], list[int]] = self._written(slots)
        """Return for each event the rules that may match by the values of all slots, one bit each.

        The second argument is `base` for each, with the bits of keywords. Raises TypeError when a
        value is no text, and UnicodeEncodeError for a lone surrogate.
        """

    def _bits(self, chosen: Sequence[Chosen]) -> tuple[_Masks, int]:
        """Return the bits of each literal, and those that are set from the start."""
        masks: _Masks = {}
        base = 0
        for number, clauses in enumerate(chosen):
            for place in range(self._most):
                bit = self._bit(place, number)
                if place >= len(clauses):
                    base |= bit
                    continue
                for lit in clauses[place]:
                    masks[lit] = masks.get(lit, 0) | bit
        return masks, base

    def _bit(self, place: int, number: int) -> int:
        return 1 << (place * self._width + number)

    def _columns(
        self,
        slots: Sequence[Slot],
        by_slot: dict[Slot, _Masks],
        formulas: Sequence[Formula],
        chosen: Sequence[Chosen],
    ) -> dict[Slot, Column]:
        found = {}
        for slot in slots:
            doubts = []
            for number, formula in enumerate(formulas):
                told = telling(formula, slot)
                if told is not None:
                    mine = [all(lit.slot == slot for lit in lits) for lits in chosen[number]]
                    need = sum(self._bit(place, number) for place, one in enumerate(mine) if one)
                    doubts.append(Doubt(told, need, self._bit(self._most, number)))
            if doubts or slot in by_slot:
                found[slot] = Column(slot, by_slot.get(slot, {}), doubts)
        return found

    def found_in(self, texts: Sequence[tuple[Slot, list[str]]], bits: int) -> int:
        """Return the same for slots that may have several values."""
        scanner = self.scanner
        marks = dict(
            zip(scanner.slots, zip(scanner.marks, scanner.marks[1:], strict=False), strict=False)
        )
        pieces: list[str] = []
        for slot, values in texts:
            column = self.columns.get(slot)
            if column is not None:
                for value in values:
                    bits |= column.literals(value)
            elif slot in self.codes:
                for value in values:
                    bits |= self.codes[slot].found(value)
            elif slot in marks:
                head, tail = marks[slot]
                for value in values:
                    pieces += (head, value, tail)
        bits |= scanner.found("".join(pieces).casefold().encode())
        left = bits & ((1 << self._width) - 1)
        for place in range(1, self._most):
            left &= bits >> (place * self._width)
        return left

    def _written(self, slots: Sequence[Slot]) -> Callable[[Sequence[Values], Sequence[int]], Any]:
        """Return the function `sift`, written for these slots."""
        space: dict[str, Any] = {"every": (1 << self._width) - 1, "scan": self.scanner.sift}
        index = {slot: number for number, slot in enumerate(slots)}
        names = "".join(f"v{number}, " for number in range(len(slots)))
        lines = ["def sift(rows, bits):", " parts = []", " found = []"]
        lines.append(f" for ({names}), b in zip(rows, bits):" if slots else " for b in bits:")
        for slot, column in self.columns.items():
            number = index[slot]
            space[f"c{number}"] = column
            lines += [f"  x = c{number}[v{number}]", "  if x: b |= x"]
        lines.append("  found.append(b)")
        if self.scanner.masks:
            marks = [repr(text) for text in self.scanner.marks]
            parts = [marks[0]]
            for slot, text in zip(self.scanner.slots, marks[1:], strict=True):
                parts += (f"v{index[slot]}", text)
            lines.append(f"  parts += ({', '.join(parts)}, {END!r})")
            lines.append(" if rows: scan(parts, found)")
        for slot, codes in self.codes.items():
            number = index[slot]
            space[f"k{number}"] = codes.sift
            lines.append(f" if rows: k{number}([row[{number}] for row in rows], found)")
        lines += [" left = []", " for b in found:", "  x = b & every"]
        for place in range(1, self._most):
            lines.append(f"  x &= b >> {place * self._width}")
        lines.append(f"  left.append(x & ~(b >> {self._most * self._width}) if x else 0)")
        lines.append(" return left")
        exec(compile("\n".join(lines), "<sieve>", "exec"), space)  # noqa: S102 - our own text
        found: Callable[[Sequence[Values], Sequence[int]], list[int]] = space["sift"]
        return found
