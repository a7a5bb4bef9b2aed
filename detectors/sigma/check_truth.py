"""Conditions that can never be true, or are true of everything: only what can be proved.

The condition is taken apart into what must hold together (and) and what may hold instead of it
(or). Where two lines of one branch exclude each other, the branch is dead. Each `or` is looked at
for itself, so a condition without a warning may still be impossible; one with a warning is.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import chain
from typing import Literal

from detectors.sigma.patterns import Boolean, Exists, Null, Number, Pattern, Text
from detectors.sigma.rule import Condition, Group, Item, Rule
from detectors.sigma.values import Value

Single = Callable[[str], bool]
"""Tells of a Sigma field whether it can hold one value at most."""


@dataclass(frozen=True, slots=True)
class Claim:
    """The field fits one of the patterns (`wanted`), or none of them."""

    item: Item
    patterns: tuple[Pattern, ...]
    wanted: bool


@dataclass(frozen=True, slots=True)
class Branch:
    """Claims or branches of which all or any must hold; `name` is how the rule calls it."""

    kind: Literal["and", "or"]
    children: "tuple[Branch | Claim, ...]"
    name: str = ""


Node = Branch | Claim
_OPPOSITE: dict[str, Literal["and", "or"]] = {"and": "or", "or": "and"}


def tree(rule: Rule, *, wanted: bool = True) -> Node:
    """Return the rule's condition, or its opposite, as claims without any `not`."""
    return _condition(rule.condition, rule, wanted)


def _condition(node: Condition, rule: Rule, wanted: bool) -> Node:
    if node.kind == "selection":
        found = _selection(rule.selections[node.label], wanted)
        return Branch("and", (found,), node.label)
    if node.kind == "not":
        return Branch("and", tuple(_condition(c, rule, not wanted) for c in node.children))
    kind = node.kind if wanted else _OPPOSITE[node.kind]
    return Branch(kind, tuple(_condition(c, rule, wanted) for c in node.children))


def _selection(node: Group | Item, wanted: bool) -> Node:
    if isinstance(node, Group):
        kind = node.kind if wanted else _OPPOSITE[node.kind]
        return Branch(kind, tuple(_selection(child, wanted) for child in node.children))
    wanted = wanted != node.negated
    if not node.every:
        return Claim(node, node.patterns, wanted)
    each = tuple(Claim(node, (pattern,), wanted) for pattern in node.patterns)
    return Branch("and" if wanted else "or", each)


Proof = tuple[Claim, Claim]


def refuted(node: Node, single: Single, known: tuple[Claim, ...] = ()) -> Proof | None:
    """Return two claims that exclude each other in every way to make the node true, else None."""
    if isinstance(node, Claim):
        return _clash((*known, node), single)
    if node.kind == "or":
        proofs = [refuted(child, single, known) for child in node.children]
        return proofs[0] if all(proofs) else None
    claims, branches = _flat(node)
    together = (*known, *claims)
    proof = _clash(together, single)
    for branch in branches:
        proof = proof or refuted(branch, single, together)
    return proof


def _flat(node: Branch) -> tuple[list[Claim], list[Branch]]:
    """Return the claims that must all hold, and the `or` branches beside them."""
    claims: list[Claim] = []
    branches: list[Branch] = []
    stack: list[Node] = [*node.children]
    while stack:
        one = stack.pop()
        if isinstance(one, Claim):
            claims.append(one)
        elif one.kind == "and" or len(one.children) == 1:
            stack.extend(one.children)
        else:
            branches.append(one)
    return claims, branches


def claims(node: Node) -> list[Claim]:
    """Return claims that hold whenever the node does: those that no `or` stands above."""
    return _flat(Branch("and", (node,)))[0]


def dead(node: Node, single: Single) -> Iterator[tuple[str, Proof]]:
    """Yield the named parts of a possible condition that can never be true themselves."""
    if isinstance(node, Claim):
        return
    if node.name and (proof := refuted(node, single)):
        yield node.name, proof
        return
    yield from chain.from_iterable(dead(child, single) for child in node.children)


def _clash(claims: tuple[Claim, ...], single: Single) -> Proof | None:
    fields: dict[str, list[Claim]] = {}
    for claim in claims:
        if claim.item.field is not None:
            fields.setdefault(claim.item.field, []).append(claim)
    for field, mine in fields.items():
        if len(mine) > 1:
            alone = single(field)
            for place, one in enumerate(mine):
                for other in mine[:place]:
                    if _exclude(one, other, alone):
                        return other, one
    return None


def _exclude(one: Claim, other: Claim, alone: bool) -> bool:
    if one.wanted and other.wanted:
        return all(_apart(a, b, alone) for a in one.patterns for b in other.patterns)
    if one.wanted == other.wanted:
        return False
    yes, no = (one, other) if one.wanted else (other, one)
    return all(any(_within(a, b) for b in no.patterns) for a in yes.patterns)


def _within(inner: Pattern, outer: Pattern) -> bool:
    """Tell whether every value that fits the inner pattern fits the outer one, for sure."""
    if inner == outer:
        return True
    if not (isinstance(inner, Text) and isinstance(outer, Text)):
        return False
    if inner.cased and not outer.cased and (plain := inner.only) is not None:
        return outer.matches(Value(plain))
    plain = inner.only
    return plain is not None and inner.cased == outer.cased and outer.matches(Value(plain))


def _apart(a: Pattern, b: Pattern, alone: bool) -> bool:
    """Tell whether no event can fit both patterns in one field, for sure."""
    for one, other in ((a, b), (b, a)):
        if isinstance(one, Null):
            return not isinstance(other, Null | Exists)
        if isinstance(one, Exists):
            if isinstance(other, Exists):
                return one.expected != other.expected
            return not one.expected and not isinstance(other, Null)
    if not alone:
        return False  # of a list, each may fit another element
    if isinstance(a, Text) and isinstance(b, Text) and not (a.cased or b.cased):
        return _texts_apart(a, b)
    if isinstance(a, Boolean) and isinstance(b, Boolean):
        return a.value != b.value
    if isinstance(a, Number) and isinstance(b, Number):
        return a.value != b.value and a.source != b.source
    return False


def _texts_apart(a: Text, b: Text) -> bool:
    for one, other in ((a, b), (b, a)):
        plain = one.only
        if plain is not None:
            return not other.matches(Value(plain))
    heads = _end(a, 0), _end(b, 0)
    tails = _end(a, -1), _end(b, -1)
    return not _fit(heads, str.startswith) or not _fit(tails, str.endswith)


def _fit(pair: tuple[str, str], fits: Callable[[str, str], bool]) -> bool:
    return fits(pair[0], pair[1]) or fits(pair[1], pair[0])


def _end(text: Text, place: int) -> str:
    """Return the fixed text at the beginning (0) or end (-1) of what fits."""
    token = text.folded[place] if text.folded else ""
    return token if isinstance(token, str) else ""
