"""The clauses of a rule: sets of literals, of each of which one must be in every event it matches.

AND: each part's clauses. OR: one clause of all parts together. NOT: none, so what a rule excludes
is never looked for, and a rule with `or not` has no clause and is looked at for every event.
"""

from collections.abc import Callable, Iterable
from typing import Final, NamedTuple

from detectors.sigma.engine.formula import Formula, Leaf, Not
from detectors.sigma.engine.literals import Lit, options

Cost = Callable[[Lit], float]
"""What it costs to look for a literal: mostly how many events hold it."""
MOST: Final = 4
"""Clauses of a rule that are thought of, the cheapest first."""


class Clause(NamedTuple):
    """A necessary set of literals and its cost."""

    cost: float
    literals: tuple[Lit, ...]


def clauses(node: Formula, cost: Cost) -> list[Clause]:
    """Return the cheapest clauses of a formula, none when it can hold without any text."""
    return _found(node, cost, positive=True)


def _found(node: Formula, cost: Cost, *, positive: bool) -> list[Clause]:
    if isinstance(node, bool):
        return [] if node is positive else [Clause(0.0, ())]
    if isinstance(node, Leaf):
        return _leaf(node, cost) if positive else []
    if isinstance(node, Not):
        return _found(node.child, cost, positive=not positive)
    found = [_found(child, cost, positive=positive) for child in node.children]
    return _all(found) if (node.kind == "and") is positive else _any(found)


def _leaf(leaf: Leaf, cost: Cost) -> list[Clause]:
    found = [
        _all([[Clause(sum(map(cost, lits)), lits)] for lits in of_one]) for of_one in options(leaf)
    ]
    return _all(found) if leaf.item.every else _any(found)


def _all(found: list[list[Clause]]) -> list[Clause]:
    merged = [clause for some in found for clause in some]
    merged.sort(key=lambda clause: clause.cost)
    return merged[:MOST]


def _any(found: list[list[Clause]]) -> list[Clause]:
    """Return clauses that hold when any part does: of each part the best, the next best, ..."""
    if not all(found):
        return []
    if len(found) == 1:
        return found[0]
    longest = max(map(len, found))
    return [_union(some[min(place, len(some) - 1)] for some in found) for place in range(longest)]


def _union(found: Iterable[Clause]) -> Clause:
    kept = list(found)
    literals = dict.fromkeys(lit for clause in kept for lit in clause.literals)
    return Clause(sum(clause.cost for clause in kept), tuple(literals))
