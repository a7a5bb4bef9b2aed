"""Codes: long literals that begin with one of a few characters, such as `IMPHASH=...`.

A search for them alone skips from one such character to the next; among other literals they would
be read letter by letter.
"""

from collections.abc import Mapping, Sequence
from typing import Final, Self

from ahocorasick_rs import BytesAhoCorasick, Implementation, MatchKind

from detectors.sigma.engine.formula import Slot
from detectors.sigma.engine.literals import Lit
from detectors.sigma.engine.scan import END, Scanner, apart

STARTS: Final = 3
"""Different first characters, at most: the library skips to so many."""
LENGTH: Final = 16
"""Characters of a code, at least."""


class Codes:
    """Finds the codes in the values of a slot."""

    def __init__(self, slot: Slot, masks: Mapping[Lit, int]) -> None:
        self._scanner = Scanner([slot], masks)
        self._any = BytesAhoCorasick(
            self._scanner.patterns,
            matchkind=MatchKind.LeftmostFirst,
            implementation=Implementation.ContiguousNFA,
        )

    @classmethod
    def of(cls, slot: Slot, masks: Mapping[Lit, int]) -> Self | None:
        """Return the codes of a slot with these literals, None when they are not all codes."""
        plain = all(
            not lit.start and not lit.end and len(lit.text) >= LENGTH and END not in lit.text
            for lit in masks
        )
        few = len({lit.text.encode()[0] for lit in masks}) <= STARTS if plain else False
        return cls(slot, masks) if few else None

    def found(self, text: str) -> int:
        """Return the bits of the codes in a value."""
        return self._scanner.found(text.casefold().encode())

    def sift(self, values: Sequence[str], bits: list[int]) -> None:
        """Add the bits of the codes in each value.

        Raises TypeError when one is no text, and UnicodeEncodeError for a lone surrogate.
        """
        text = END.join([*values, ""])
        if apart(text, len(values)):
            for place, value in enumerate(values):
                bits[place] |= self.found(value)
            return
        encoded, end = text.casefold().encode(), END.encode()
        place = last = 0
        told = -1
        for _, start, _ in self._any.find_matches_as_indexes(encoded):
            place += encoded.count(end, last, start)
            last = start
            if place != told:
                bits[place] |= self.found(values[place])
                told = place
