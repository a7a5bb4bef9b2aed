"""The witness of a rule: literals of which one must be in every event that it matches.

AND: the cheapest part's. OR: all parts' together. NOT: none, so what a rule excludes is never
looked for, and a rule with `or not` has no witness and is looked at for every event.
"""

from collections.abc import Callable
from typing import NamedTuple

from detectors.sigma.engine.formula import Formula, Leaf, Not
from detectors.sigma.engine.literals import Lit, necessary

Cost = Callable[[Lit], float]
"""What it costs to look for a literal: mostly how many events hold it."""


class Witness(NamedTuple):
    """A necessary set of literals and its cost."""

    cost: float
    literals: tuple[Lit, ...]


def witness(node: Formula, cost: Cost) -> Witness | None:
    """Return the cheapest witness of a formula, None when it can hold without any text."""
    return _positive(node, cost)


def _positive(node: Formula, cost: Cost) -> Witness | None:
    if isinstance(node, bool):
        return None if node else Witness(0.0, ())
    if isinstance(node, Leaf):
        return _leaf(node, cost)
    if isinstance(node, Not):
        return _negative(node.child, cost)
    found = [_positive(child, cost) for child in node.children]
    return _cheapest(found) if node.kind == "and" else _union(found)


def _negative(node: Formula, cost: Cost) -> Witness | None:
    if isinstance(node, bool):
        return _positive(not node, cost)
    if isinstance(node, Leaf):
        return None
    if isinstance(node, Not):
        return _positive(node.child, cost)
    found = [_negative(child, cost) for child in node.children]
    return _union(found) if node.kind == "and" else _cheapest(found)


def _leaf(leaf: Leaf, cost: Cost) -> Witness | None:
    found: list[Witness | None] = []
    for pattern in leaf.item.patterns:
        options = necessary(pattern, leaf.slot)
        found.append(_cheapest([Witness(sum(map(cost, lits)), lits) for lits in options]))
    return _cheapest(found) if leaf.item.every else _union(found)


def _cheapest(found: "list[Witness | None] | list[Witness]") -> Witness | None:
    return min((w for w in found if w is not None), key=lambda w: w.cost, default=None)


def _union(found: list[Witness | None]) -> Witness | None:
    literals: list[Lit] = []
    cost = 0.0
    for one in found:
        if one is None:
            return None
        literals.extend(one.literals)
        cost += one.cost
    return Witness(cost, tuple(dict.fromkeys(literals)))
