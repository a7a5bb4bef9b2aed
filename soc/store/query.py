"""The query grammar's tree: what people ask, typed, before any store compiles it.

`parse` reads Lucene's query-string syntax (`docs/query.md`); `soc.store.predicate` says in plain
Python what every node means; a store compiles the tree to its own language. Literals are already
read by the type of their field: text is case-folded, addresses are 128-bit numbers, dates are
half-open intervals.
"""

from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import TypeAlias

from soc.store.values import Number


class Wild(Enum):
    """A wildcard: any run of characters, or exactly one."""

    ANY = "*"
    ONE = "?"


Pattern: TypeAlias = tuple[str | Wild, ...]


@dataclass(frozen=True, slots=True)
class All:
    """Every document."""


@dataclass(frozen=True, slots=True)
class And:
    """All of these match."""

    nodes: tuple["Node", ...]


@dataclass(frozen=True, slots=True)
class Or:
    """At least one of these matches."""

    nodes: tuple["Node", ...]


@dataclass(frozen=True, slots=True)
class Not:
    """This does not match."""

    node: "Node"


@dataclass(frozen=True, slots=True)
class Exists:
    """The field, or one below it, has a value."""

    field: str


@dataclass(frozen=True, slots=True)
class Equals:
    """A value equals this one; text is case-folded and compared whole."""

    field: str
    value: str | Number | bool


@dataclass(frozen=True, slots=True)
class Words:
    """These words stand side by side in a value; without a field: in any text of the event."""

    field: str | None
    words: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Wildcard:
    """A whole value fits the pattern; in a text field and without a field: a whole word does."""

    field: str | None
    pattern: Pattern


@dataclass(frozen=True, slots=True)
class Regex:
    """A whole value (in a text field: a whole word) matches this RE2 pattern."""

    field: str
    pattern: str


@dataclass(frozen=True, slots=True)
class Range:
    """A value lies between two numbers or two texts (by code point); None is no bound."""

    field: str
    low: Number | str | None
    high: Number | str | None
    with_low: bool = True
    with_high: bool = True


@dataclass(frozen=True, slots=True)
class Addresses:
    """An address lies between two, both included (an address, a CIDR block or a range)."""

    field: str
    low: int
    high: int


@dataclass(frozen=True, slots=True)
class Times:
    """A date lies in `low` <= date < `high`; None is no bound."""

    field: str
    low: datetime | None
    high: datetime | None


Node: TypeAlias = (
    All | And | Or | Not | Exists | Equals | Words | Wildcard | Regex | Range | Addresses | Times
)


def parse(text: str, *, now: datetime | None = None) -> Node:
    """Return the tree of a query; empty text and `*` match everything.

    `now` gives `now-2h` its meaning. Raises UsageError with the column in `where`.
    """
    from soc.store.lucene import read  # luqum costs 40 ms: only who parses pays

    return read(text, now)


def quote(text: str) -> str:
    """Return a value as a quoted phrase of the grammar: nothing in it acts as syntax."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
