"""A column: what is known of each value of a slot whose values repeat."""

from dataclasses import dataclass
from typing import Final

from detectors.sigma.engine.access import ABSENT
from detectors.sigma.engine.formula import Formula, Slot
from detectors.sigma.engine.literals import Lit
from detectors.sigma.engine.predicate import Predicate, compiled
from detectors.sigma.engine.scan import Scanner

MAX_VALUES: Final = 2_048
"""Values that a column remembers."""
MAX_VALUE: Final = 1_024
"""Characters of a value that is remembered."""


@dataclass(slots=True, eq=False)
class Doubt:
    """A rule that a value may rule out: `formula` is what it asks of the value.

    It is looked at only when the bits `need` are found, without which the rule is out anyway.
    `bit` says that the rule is out.
    """

    formula: Formula
    need: int
    bit: int
    _predicate: Predicate | None = None

    def settled(self, slot: Slot, text: str) -> bool:
        """Tell whether the rule cannot match an event with this value."""
        if self._predicate is None:
            self._predicate = compiled(self.formula, {slot: 0}) or _unsure
        try:
            return not self._predicate((text,), (text,))
        except Exception:  # whatever it is, the whole condition meets it again
            return False


def _unsure(raws: object, texts: object) -> bool:
    return True


class Column(dict[str, int]):
    """The bits of each value of a slot: the literals in it, and the rules that it rules out."""

    def __init__(self, slot: Slot, masks: dict[Lit, int], doubts: list[Doubt]) -> None:
        super().__init__()
        self._slot = slot
        self._scanner = Scanner([slot], masks)
        self._doubts = doubts

    def literals(self, text: str) -> int:
        """Return the bits of the literals in a text."""
        head, tail = self._scanner.marks
        return self._scanner.found(f"{head}{text.casefold()}{tail}".encode())

    def __missing__(self, value: object) -> int:
        """Return the bits of a value; raise TypeError when it is no text."""
        if value.__class__ is not str:
            raise TypeError
        text: str = value
        found = self.literals(text)
        bits = found
        for doubt in self._doubts:
            if doubt.need & ~found == 0 and doubt.settled(self._slot, text):
                bits |= doubt.bit
        if text == ABSENT:  # absence, or text that looks like it: the same key
            bits = self._either(found)
        if len(text) <= MAX_VALUE:
            if len(self) >= MAX_VALUES:
                self.clear()
            self[text] = bits
        return bits

    def _either(self, found: int) -> int:
        alike = "".join(list(ABSENT))
        bits = found
        for doubt in self._doubts:
            if doubt.settled(self._slot, ABSENT) and doubt.settled(self._slot, alike):
                bits |= doubt.bit
        return bits
