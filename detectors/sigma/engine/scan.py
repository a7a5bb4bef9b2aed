"""One scan of an event's text for the literals of all rules."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final

from ahocorasick_rs import BytesAhoCorasick, Implementation, MatchKind

from detectors.sigma.endings import shallow
from detectors.sigma.engine.formula import Slot
from detectors.sigma.engine.literals import Lit

_FEW: Final = 60
"""Patterns up to which the library has a vector search for whether any is there."""


END: Final = "\x03"
"""Stands behind each event in a text of several."""
MOST: Final = 1 << 18
"""Characters of several events that are scanned at once; more would take memory by the batch."""
CHUNK: Final = 1 << 16
"""Bytes of one text that are searched at once: all that is found in them is held in memory."""


def apart(text: str, events: int) -> bool:
    """Tell whether events cannot be scanned together: long ones, or one of them holds an `END`."""
    return len(text) > MOST or text.count(END) != events


def chunks(text: bytes, longest: int) -> Iterator[bytes]:
    """Yield a text in pieces that overlap, so that what is no longer than `longest` is in one."""
    for start in range(0, max(len(text), 1), CHUNK):
        yield text[max(start - longest + 1, 0) : start + CHUNK]


def mark(index: int) -> str:
    """Return what stands before the value of a slot, and after the value of the one before.

    A value that holds such text only makes more candidates.
    """
    return f"\x02{index}\x02"


class Scanner:
    """Finds literals in a text: the folded values of slots between marks. `masks`: their bits."""

    def __init__(self, slots: Sequence[Slot], masks: Mapping[Lit, int]) -> None:
        self.slots = tuple(slots)
        self.marks = tuple(mark(index) for index in range(len(self.slots) + 1))
        self._index = {slot: number for number, slot in enumerate(self.slots)}
        ends = shallow({self.pattern(lit) for lit in masks})
        owners: dict[bytes, int] = {}
        for lit, mask in masks.items():
            pattern = ends[self.pattern(lit)]
            owners[pattern] = owners.get(pattern, 0) | mask
        self.masks = list(owners.values())
        self.patterns = patterns = list(owners)
        self._longest = max(map(len, owners), default=1)
        self._automaton = None
        if owners:
            self._automaton = BytesAhoCorasick(
                [*patterns, END.encode()],
                implementation=Implementation.ContiguousNFA,  # as fast as a table, and small
            )
        self._any = None
        if owners and len(owners) <= _FEW:
            self._any = BytesAhoCorasick(patterns, matchkind=MatchKind.LeftmostFirst)

    def texts(self) -> Iterable[tuple[str, int]]:
        """Return the literals, as they are searched, and their bits."""
        return zip((pattern.decode() for pattern in self.patterns), self.masks, strict=True)

    def found(self, text: bytes) -> int:
        """Return the bits of the literals that are in an encoded text (folded)."""
        mask = 0
        masks = self.masks
        for number in self.hits(text):
            mask |= masks[number]
        return mask

    def sift(self, parts: Sequence[str], bits: list[int]) -> None:
        """Add the bits of the literals in each event; `parts`: their texts, an `END` behind each.

        All events have the same number of parts. Raises TypeError when a part is no text, and
        UnicodeEncodeError for a lone surrogate.
        """
        if bits:
            self._sift(parts, bits, 0, len(bits))

    def _sift(self, parts: Sequence[str], bits: list[int], start: int, stop: int) -> None:
        size = len(parts) // len(bits)
        text = "".join(parts[start * size : stop * size])
        if apart(text, stop - start):
            if stop - start == 1:
                bits[start] |= self.found(text.casefold().encode())
                return
            middle = (start + stop) // 2
            self._sift(parts, bits, start, middle)
            self._sift(parts, bits, middle, stop)
            return
        masks, end = self.masks, len(self.masks)
        place, mask = start, 0
        for number, _, _ in self._matches(_folded(text).encode()):
            if number != end:
                mask |= masks[number]
            else:
                if mask:
                    bits[place] |= mask
                    mask = 0
                place += 1

    def hits(self, text: bytes) -> set[int]:
        """Return the numbers of the different literals in a text."""
        found = {hit[0] for part in chunks(text, self._longest) for hit in self._matches(part)}
        found.discard(len(self.masks))
        return found

    def _matches(self, text: bytes) -> Sequence[tuple[int, int, int]]:
        """Return each place where a literal is: its number, start and end."""
        if self._automaton is None:
            return ()
        if self._any is not None and not self._any.find_matches_as_indexes(text):
            return ()
        return self._automaton.find_matches_as_indexes(text, overlapping=True)

    def joined(self, values: Sequence[str]) -> str:
        """Return the text of the slots' values, to be folded and encoded."""
        pairs = zip(values, self.marks[1:], strict=True)
        return "".join((self.marks[0], *(text for pair in pairs for text in pair)))

    def pattern(self, lit: Lit) -> bytes:
        """Return a literal as it stands in the text."""
        number = self._index.get(lit.slot, 0)
        head = mark(number) if lit.start else ""
        tail = mark(number + 1) if lit.end else ""
        return f"{head}{lit.text}{tail}".encode()


def _folded(text: str) -> str:
    """Return texts case-folded; those in ASCII, which is quick to fold, apart from others."""
    if text.isascii():
        return text.casefold()
    return END.join(one.casefold() for one in text.split(END))
