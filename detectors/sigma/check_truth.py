"""Conditions that can never be true, or are true of everything: only what can be proved.

The condition is taken apart into what must hold together (and) and what may hold instead of it
(or). Where two lines of one branch exclude each other, the branch is dead. Each `or` is looked at
for itself, and of long lists not everything, so a condition without a warning may still be
impossible; one with a warning is.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import chain
from typing import Final, Literal

from detectors.sigma.patterns import Boolean, Exists, Null, Number, Pattern, Text
from detectors.sigma.rule import Condition, Group, Item, Rule
from detectors.sigma.values import Value

Kind = Literal["and", "or"]
Single = Callable[[str], bool]
"""Tells of a Sigma field whether it can hold one value at most."""
MAX_COMPARED: Final = 200_000
"""Pairs of patterns that are compared for one question."""
MAX_LINES: Final = 300
"""Lines about a field that are compared with another one."""


@dataclass(frozen=True, slots=True)
class Claim:
    """The field fits one of the patterns (`wanted`), or none of them."""

    item: Item
    patterns: tuple[Pattern, ...]
    wanted: bool


@dataclass(frozen=True, slots=True)
class Branch:
    """Claims or branches of which all or any must hold; `name` is how the rule calls it."""

    kind: Kind
    children: "tuple[Branch | Claim, ...]"
    name: str = ""


Node = Branch | Claim
_OPPOSITE: Final[Mapping[str, Kind]] = {"and": "or", "or": "and"}


def tree(rule: Rule, *, wanted: bool = True) -> Node:
    """Return the rule's condition, or its opposite, as claims without any `not`."""
    return _condition(rule.condition, rule, wanted)


def _condition(node: Condition, rule: Rule, wanted: bool) -> Node:
    if node.kind == "selection":
        found = _selection(rule.selections[node.label], wanted)
        return Branch("and", (found,), node.label if wanted else f"not {node.label}")
    if node.kind == "not":  # of several: none of them
        kind: Kind = "and" if wanted else "or"
        return Branch(kind, tuple(_condition(c, rule, not wanted) for c in node.children))
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
Facts = Mapping[str, tuple[Claim, ...]]
"""What must hold anyway, by Sigma field."""


def refuted(node: Node, single: Single) -> Proof | None:
    """Return two claims that exclude each other in every way to make the node true, else None."""
    return _Search(single).refuted(node, {})


def dead(node: Node, single: Single) -> Iterator[tuple[str, Proof]]:
    """Yield the named parts of a possible condition that can never be true themselves."""
    if isinstance(node, Claim):
        return
    if node.name and (proof := refuted(node, single)):
        yield node.name, proof
        return
    yield from chain.from_iterable(dead(child, single) for child in node.children)


def _flat(nodes: Iterable[Node]) -> tuple[list[Claim], list[Branch]]:
    """Return the claims in nodes that must all hold, and the `or` branches beside them."""
    claims: list[Claim] = []
    branches: list[Branch] = []
    stack = [*nodes][::-1]
    while stack:
        one = stack.pop()
        if isinstance(one, Claim):
            claims.append(one)
        elif one.kind == "and" or len(one.children) == 1:
            stack.extend(reversed(one.children))
        else:
            branches.append(one)
    return claims, branches


class _Search:
    """A search for claims that exclude each other; when it has gone on too long, there are none."""

    def __init__(self, single: Single) -> None:
        self._single = single
        self._left = MAX_COMPARED

    def refuted(self, node: Node, known: Facts) -> Proof | None:
        if isinstance(node, Claim):
            return self._clash(node, known)
        if node.kind == "or":
            return self._all_refuted(node, known)
        claims, branches = _flat((node,))
        together = dict(known)
        for claim in claims:
            if proof := self._clash(claim, together):
                return proof
            if claim.item.field is not None:
                mine = together.get(claim.item.field, ())
                together[claim.item.field] = (*mine, claim)[:MAX_LINES]
        found = (self.refuted(branch, together) for branch in branches)
        return next(filter(None, found), None)

    def _all_refuted(self, node: Branch, known: Facts) -> Proof | None:
        first: Proof | None = None
        for child in node.children:
            proof = self.refuted(child, known)
            if proof is None:
                return None
            first = first or proof
        return first

    def _clash(self, claim: Claim, known: Facts) -> Proof | None:
        field = claim.item.field
        if field is None or field not in known:
            return None
        alone = self._single(field)
        found = (other for other in known[field] if self._exclude(claim, other, alone))
        other = next(found, None)
        return None if other is None else (other, claim)

    def _exclude(self, one: Claim, other: Claim, alone: bool) -> bool:
        self._left -= len(one.patterns) * len(other.patterns)
        if self._left < 0 or not (one.wanted or other.wanted):
            return False
        if one.wanted and other.wanted:
            return all(_apart(a, b, alone) for a in one.patterns for b in other.patterns)
        yes, no = (one, other) if one.wanted else (other, one)
        return all(any(_within(a, b) for b in no.patterns) for a in yes.patterns)


def _within(inner: Pattern, outer: Pattern) -> bool:
    """Tell whether every value that fits the inner pattern fits the outer one, for sure."""
    if inner == outer:
        return True
    if not (isinstance(inner, Text) and isinstance(outer, Text)):
        return False
    if inner.only is None or (outer.cased and not inner.cased):
        return False
    return outer.matches(Value(inner.only))


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
        return a.value != b.value and a.source.casefold() != b.source.casefold()
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
