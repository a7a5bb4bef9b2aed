"""A loaded correlation: which matches it counts, by what they are grouped, and when it is true."""

import math
import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from typing import Final, Literal

from detectors.sigma.rule import Condition
from soc.model.finding import RuleInfo

Kind = Literal[
    "event_count",
    "value_count",
    "value_sum",
    "value_avg",
    "value_percentile",
    "value_median",
    "temporal",
    "temporal_ordered",
]
Operator = Literal["lt", "lte", "gt", "gte", "eq", "neq"]
OPERATORS: Final[Mapping[Operator, Callable[[Fraction | float, Fraction | float], bool]]] = {
    "lt": operator.lt,
    "lte": operator.le,
    "gt": operator.gt,
    "gte": operator.ge,
    "eq": operator.eq,
    "neq": operator.ne,
}
TEMPORAL: Final = ("temporal", "temporal_ordered")
COUNTS: Final = ("event_count", "value_count")


@dataclass(frozen=True, slots=True)
class Bounds:
    """What a number must be: every comparison holds (`{gt: 100, lte: 200}` is a range)."""

    tests: tuple[tuple[Operator, int | float], ...]

    @property
    def label(self) -> str:
        """Return the bounds as the rule wrote them: `gt 100 and lte 200`."""
        return " and ".join(f"{name} {limit}" for name, limit in self.tests)

    @property
    def rising(self) -> bool:
        """Tell whether more can only make it true: nothing but gt and gte."""
        return all(name in ("gt", "gte") for name, _ in self.tests)

    def holds(self, number: Fraction | float) -> bool:
        """Tell whether a number lies within the bounds."""
        return all(OPERATORS[name](number, Fraction(limit)) for name, limit in self.tests)

    @property
    def enough(self) -> int:
        """Return how many things have to be counted: more of them change no decision."""
        if self.rising:
            needed = (math.floor(n) + 1 if name == "gt" else math.ceil(n) for name, n in self.tests)
            return max(1, *needed)
        return max(1, *(math.floor(limit) + 1 for _, limit in self.tests))


@dataclass(frozen=True)
class Correlation:
    """A correlation, ready to be evaluated; rules are ids. `where` is `file:line`.

    `timespan` is in seconds. `condition` is a tree over the positions in `rules` (as text) when
    the rule wrote a boolean expression. `parked`: it counts nothing, whom it keeps quiet stays so.
    `aliases`: alias -> rule id -> field of its events.
    """

    info: RuleInfo
    kind: Kind
    rules: tuple[str, ...]
    titles: tuple[str, ...]
    timespan: int
    condition: Bounds | Condition
    group_by: tuple[str, ...] = ()
    aliases: Mapping[str, Mapping[str, str]] | None = None
    fields: tuple[str, ...] = ()
    percentile: int | float = 50
    generate: bool = False
    name: str = ""
    status: str = ""
    where: str = ""
    parked: bool = False

    @property
    def id(self) -> str:
        """Return the correlation's id."""
        return self.info.id

    @property
    def temporal(self) -> bool:
        """Tell whether it asks which rules occurred, not how often."""
        return self.kind in TEMPORAL

    @property
    def label(self) -> str:
        """Return what has to be true, in one line: `event_count gte 10 within 600 s`."""
        what = self.condition.label
        if self.fields:
            what = f"{'+'.join(self.fields)} {what}"
        return f"{self.kind} {what} within {self.timespan} s"

    @cached_property
    def negated(self) -> frozenset[int]:
        """Return the positions of the rules that the condition only names under a `not`."""
        if isinstance(self.condition, Bounds):
            return frozenset()
        positive, under_not = set[int](), set[int]()
        stack = [(self.condition, False)]
        while stack:
            node, odd = stack.pop()
            if node.kind == "selection":
                (under_not if odd else positive).add(int(node.label))
            stack.extend((child, odd != (node.kind == "not")) for child in node.children)
        return frozenset(under_not - positive)

    @cached_property
    def rising(self) -> bool:
        """Tell whether further events cannot undo the condition: then it fires at once."""
        if isinstance(self.condition, Bounds):
            return self.condition.rising
        stack = [self.condition]
        while stack:
            node = stack.pop()
            if node.kind == "not":
                return False
            stack.extend(node.children)
        return True

    @cached_property
    def useful(self) -> frozenset[int]:
        """Return the sets of rules (bit = position) that can lead to a fulfilled order.

        Of a rising condition only the smallest sets that fulfil it, and their beginnings.
        """
        positive = [1 << i for i in range(len(self.rules)) if i not in self.negated]
        masks = [0]
        for bit in positive:
            masks += [mask | bit for mask in masks]
        if self.rising:
            masks = [
                mask
                for mask in masks
                if mask
                and self.holds_for(mask)
                and not any(mask & bit and self.holds_for(mask & ~bit) for bit in positive)
            ]
        starts = {mask & (2 * bit - 1) for mask in masks for bit in positive}
        return frozenset(starts - {0})

    def holds_for(self, present: int) -> bool:
        """Tell whether a temporal condition holds when these rules occurred (bit = position)."""
        if isinstance(self.condition, Bounds):
            return self.condition.holds(present.bit_count())
        return _true(self.condition, present)

    def field_of(self, name: str, rule: str, base: str) -> str:
        """Return the event field that a name of `group-by` or `field` means for a rule's match."""
        mapping = self.aliases.get(name) if self.aliases else None
        if mapping is None:
            return name
        return mapping.get(rule) or mapping.get(base) or name


def _true(node: Condition, present: int) -> bool:
    if node.kind == "selection":
        return bool(present >> int(node.label) & 1)
    if node.kind == "not":
        return not _true(node.children[0], present)
    quantifier = all if node.kind == "and" else any
    return quantifier(_true(child, present) for child in node.children)
