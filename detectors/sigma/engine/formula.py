"""A rule as a formula over slots: what the engine folds, searches and compiles.

A slot is a place where an event may have a value: an ordered list of event fields of which the
first with a value counts. `KEYWORDS` stands for the whole record.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final, Literal

from detectors.sigma.evaluate import Names
from detectors.sigma.patterns import FieldRef, Pattern
from detectors.sigma.rule import Condition, Group, Item, Rule

Slot = tuple[str, ...]
KEYWORDS: Final[Slot] = ()


@dataclass(frozen=True, slots=True, eq=False, weakref_slot=True)
class Leaf:
    """A line of a selection on a slot, without its negation."""

    slot: Slot
    item: Item
    others: tuple[Slot, ...] = ()
    """Slots of the fields that its patterns refer to, in the order of the patterns."""


@dataclass(frozen=True, slots=True, eq=False)
class Node:
    """All or any of some formulas."""

    kind: Literal["and", "or"]
    children: tuple["Formula", ...]


@dataclass(frozen=True, slots=True, eq=False)
class Not:
    """The opposite of a formula."""

    child: "Formula"


Formula = Leaf | Node | Not | bool
Known = Callable[[Slot, Pattern], bool | None]
"""Whether a pattern holds for a slot, None when that depends on more than the routing key."""


def formula(rule: Rule, names: Names) -> Formula:
    """Return the rule's condition over the slots that these names give."""
    return _condition(rule.condition, rule, names)


def _condition(node: Condition, rule: Rule, names: Names) -> Formula:
    if node.kind == "selection":
        return _selection(rule.selections[node.label], names)
    children = tuple(_condition(child, rule, names) for child in node.children)
    if node.kind == "not":
        return Not(Node("or", children))
    return Node(node.kind, children)


def _selection(node: Group | Item, names: Names) -> Formula:
    if isinstance(node, Group):
        return Node(node.kind, tuple(_selection(child, names) for child in node.children))
    slot = KEYWORDS if node.field is None else names(node.field)
    others = tuple(names(p.field) for p in node.patterns if isinstance(p, FieldRef))
    leaf = Leaf(slot, node, others)
    return Not(leaf) if node.negated else leaf


def fold(node: Formula, known: Known) -> Formula:
    """Return the formula with what is known put in and constants folded away."""
    if isinstance(node, bool):
        return node
    if isinstance(node, Leaf):
        return _fold_leaf(node, known)
    if isinstance(node, Not):
        child = fold(node.child, known)
        if isinstance(child, Not):
            return child.child
        return not child if isinstance(child, bool) else Not(child)
    return joined(node.kind, (fold(child, known) for child in node.children))


def joined(kind: Literal["and", "or"], children: Iterator[Formula]) -> Formula:
    """Return all or any of the children, flat, without constants."""
    decisive = kind == "or"
    kept: list[Formula] = []
    for child in children:
        if isinstance(child, bool):
            if child is decisive:
                return decisive
        elif isinstance(child, Node) and child.kind == kind:
            kept.extend(child.children)
        else:
            kept.append(child)
    if not kept:
        return not decisive
    return kept[0] if len(kept) == 1 else Node(kind, tuple(kept))


def _fold_leaf(leaf: Leaf, known: Known) -> Formula:
    every = leaf.item.every
    unknown = False
    for pattern in leaf.item.patterns:
        verdict = known(leaf.slot, pattern)
        if verdict is None:
            unknown = True
        elif verdict is not every:
            return verdict
    return leaf if unknown else every


def leaves(node: Formula) -> Iterator[Leaf]:
    """Yield the leaves of a formula from left to right."""
    if isinstance(node, Leaf):
        yield node
    elif isinstance(node, Not):
        yield from leaves(node.child)
    elif isinstance(node, Node):
        for child in node.children:
            yield from leaves(child)


def unknown(slot: Slot, pattern: Pattern) -> None:
    """Know nothing: a fold with it only flattens."""


def slots_of(node: Formula) -> Iterator[Slot]:
    """Yield the slots that a formula looks at, the keywords left out."""
    for leaf in leaves(node):
        if leaf.slot:
            yield leaf.slot
        yield from leaf.others
