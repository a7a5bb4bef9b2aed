"""What a rule asks of one slot alone, whatever the others hold."""

from collections.abc import Iterator

from detectors.sigma.engine.formula import Formula, Leaf, Node, Not, Slot, joined
from detectors.sigma.patterns import Null, Regex, Text


def telling(formula: Formula, slot: Slot) -> Formula | None:
    """Return what must hold of a slot's value, None when its clauses say as much or nothing.

    Only of what is the same for a number and for its text.
    """
    found = _possible(formula, slot, positive=True)
    return found if not isinstance(found, bool) and _tells(found) else None


def _possible(node: Formula, slot: Slot, *, positive: bool) -> Formula:
    """Return the formula with what is not known replaced by what lets the rule match."""
    if isinstance(node, bool):
        return node
    if isinstance(node, Leaf):
        known = node.slot == slot and not node.others
        if known and all(isinstance(p, Text | Null | Regex) for p in node.item.patterns):
            return node
        return positive
    if isinstance(node, Not):
        child = _possible(node.child, slot, positive=not positive)
        return not child if isinstance(child, bool) else Not(child)
    children: Iterator[Formula] = (
        _possible(child, slot, positive=positive) for child in node.children
    )
    return joined(node.kind, children)


def _tells(node: Formula) -> bool:
    """Tell whether there is more in a formula than any of some patterns."""
    if isinstance(node, Leaf):
        return node.item.every and len(node.item.patterns) > 1
    if isinstance(node, Node):
        return node.kind == "and" or any(map(_tells, node.children))
    return isinstance(node, Not)
