"""One scan of an event's text for the witnesses of all rules."""

from collections.abc import Mapping, Sequence
from typing import Final

from ahocorasick_rs import BytesAhoCorasick, Implementation, MatchKind

from detectors.sigma.engine.formula import Slot
from detectors.sigma.engine.literals import Lit

_SMALL: Final = 500
"""Patterns up to which the automaton is a table; larger ones are as fast compact."""
_FEW: Final = 60
"""Patterns up to which the library has a vector search for whether any is there."""


def mark(index: int) -> str:
    """Return what stands before the value of a slot, and after the value of the one before.

    A value that holds such text only makes more candidates.
    """
    return f"\x02{index}\x02"


class Scanner:
    """Finds the rules whose witness is in a text: the folded values of slots between marks."""

    def __init__(self, slots: Sequence[Slot], wanted: Mapping[Lit, Sequence[int]]) -> None:
        self.slots = tuple(slots)
        self.marks = tuple(mark(index) for index in range(len(self.slots) + 1))
        index = {slot: number for number, slot in enumerate(self.slots)}
        owners: dict[bytes, set[int]] = {}
        for lit, rules in wanted.items():
            owners.setdefault(_bytes(lit, index), set()).update(rules)
        self._owners = [tuple(sorted(rules)) for rules in owners.values()]
        kind = Implementation.DFA if len(owners) <= _SMALL else Implementation.ContiguousNFA
        patterns = list(owners)
        self._automaton = BytesAhoCorasick(patterns, implementation=kind) if owners else None
        self._any = None
        if owners and len(owners) <= _FEW:
            self._any = BytesAhoCorasick(patterns, matchkind=MatchKind.LeftmostFirst)

    def found(self, text: str) -> set[int]:
        """Return the rules of which a literal is in the text (folded)."""
        return self.found_in(text.encode())

    def found_in(self, text: bytes) -> set[int]:
        """Return the same for encoded text."""
        if self._automaton is None:
            return set()
        if self._any is not None and not self._any.find_matches_as_indexes(text):
            return set()
        hits = self._automaton.find_matches_as_indexes(text, overlapping=True)
        if not hits:
            return set()
        owners = self._owners
        return {rule for hit in hits for rule in owners[hit[0]]}


def _bytes(lit: Lit, index: Mapping[Slot, int]) -> bytes:
    number = index.get(lit.slot, 0)
    head = mark(number) if lit.start else ""
    tail = mark(number + 1) if lit.end else ""
    return f"{head}{lit.text}{tail}".encode()
