"""Necessary literals: text that stands in every event on which a pattern holds.

A literal is case-folded, as the scanned text is. `start` and `end` tie it to the ends of a value.
"""

from typing import Final, NamedTuple
from weakref import WeakKeyDictionary

from detectors.sigma.engine.expressions import needs
from detectors.sigma.engine.formula import Leaf, Slot
from detectors.sigma.patterns import Boolean, Number, Pattern, Regex, Text, Word
from detectors.sigma.text import Segment
from detectors.sigma.values import text_of


class Lit(NamedTuple):
    """Text in a slot; `start`: the value begins with it, `end`: the value ends with it."""

    slot: Slot
    text: str
    start: bool = False
    end: bool = False


Options = list[tuple[Lit, ...]]
"""Each is a set of which one must be there; any of the sets may be chosen."""
_KNOWN: Final[WeakKeyDictionary[Leaf, list[Options]]] = WeakKeyDictionary()


def options(leaf: Leaf) -> list[Options]:
    """Return what each pattern of a leaf cannot hold without.

    It is asked for again and again: plans have leaves in common, and each chooses twice.
    """
    found = _KNOWN.get(leaf)
    if found is None:
        found = [necessary(pattern, leaf.slot) for pattern in leaf.item.patterns]
        _KNOWN[leaf] = found
    return found


def necessary(pattern: Pattern, slot: Slot) -> Options:
    """Return what a pattern cannot hold without; nothing when no text is necessary."""
    if isinstance(pattern, Text):
        found = _text(pattern, slot)
    elif isinstance(pattern, Number):
        found = [tuple(_whole(slot, text) for text in _numbers(pattern))]
    elif isinstance(pattern, Boolean):
        found = [(_whole(slot, "true" if pattern.value else "false"),)]
    elif isinstance(pattern, Word):
        found = [(Lit(slot, pattern.source.casefold()),)]
    elif isinstance(pattern, Regex):
        found = [tuple(Lit(slot, text) for text in need) for need in needs(pattern.source)]
    else:
        found = []
    return [option for option in found if all(_usable(lit) for lit in option)]


def _usable(lit: Lit) -> bool:
    if not lit.text and not (lit.start and lit.end):
        return False
    return lit.text.isascii() or not any("\ud800" <= char <= "\udfff" for char in lit.text)


def _whole(slot: Slot, text: str) -> Lit:
    return Lit(slot, text.casefold(), bool(slot), bool(slot))


def _numbers(pattern: Number) -> list[str]:
    value = pattern.value
    forms = [pattern.source, text_of(value)]
    if isinstance(value, float) and value.is_integer():
        forms.append(text_of(int(value)))
    return list(dict.fromkeys(forms))


def _text(pattern: Text, slot: Slot) -> Options:
    # Keywords are found in any value; where it starts and ends is not in the scanned text.
    anchored = bool(slot)
    glob = pattern.glob
    if glob.whole:
        head = glob.head
        return _segment(head, slot, anchored, anchored) if head else []
    found: Options = []
    if glob.head is not None:
        found += _segment(glob.head, slot, anchored, False)
    if glob.tail is not None:
        found += _segment(glob.tail, slot, False, anchored)
    for segment in glob.middle:
        found += _segment(segment, slot, False, False)
    return found


def _segment(segment: Segment, slot: Slot, start: bool, end: bool) -> Options:
    text = segment.literal.casefold()
    if segment.regex is None:
        return [(Lit(slot, text, start, end),)]
    return [(Lit(slot, text),)] if text else []
