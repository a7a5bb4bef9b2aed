"""How often literals occur: guessed from the rules at first, then measured on events."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from detectors.sigma.engine.formula import Formula, Leaf, Node, Not, Slot
from detectors.sigma.engine.literals import Lit, necessary
from detectors.sigma.engine.scan import Scanner

_CHARGE: Final = 0.0005
"""What a literal costs that never occurs, as a share of events: room in the automaton."""


class Guess:
    """Short literals, and those that many rules name, are taken to be frequent."""

    def __init__(self, formulas: Iterable[Formula]) -> None:
        self._mentions: Counter[Lit] = Counter()
        for formula in formulas:
            self._mentions.update(literals(formula))

    def __call__(self, lit: Lit) -> float:
        """Return the cost of a literal."""
        return _CHARGE + self._mentions[lit] * 0.002 + 0.6 ** max(len(lit.text), 1)


class Measured:
    """The share of sampled events that hold a literal."""

    def __init__(
        self, slots: Sequence[Slot], sample: Sequence[bytes], formulas: Iterable[Formula]
    ) -> None:
        known = list({lit for formula in formulas for lit in literals(formula)})
        scanner = Scanner(slots, {lit: (number,) for number, lit in enumerate(known)})
        counts: Counter[int] = Counter()
        for text in sample:
            counts.update(scanner.found_in(text))
        self._share: Mapping[Lit, float] = {
            known[number]: count / len(sample) for number, count in counts.items()
        }

    def __call__(self, lit: Lit) -> float:
        """Return the cost of a literal."""
        return self._share.get(lit, 0.0) + _CHARGE * (1 + 8 / (len(lit.text) + 1))


def literals(formula: Formula) -> set[Lit]:
    """Return every literal that a witness of the formula could be made of."""
    found: set[Lit] = set()
    stack = [formula]
    while stack:
        node = stack.pop()
        if isinstance(node, Leaf):
            for pattern in node.item.patterns:
                for option in necessary(pattern, node.slot):
                    found.update(option)
        elif isinstance(node, Node):
            stack.extend(node.children)
        elif isinstance(node, Not):
            stack.append(node.child)
    return found
