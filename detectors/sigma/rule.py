"""A loaded rule: what it is about, its selections and how its condition combines them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from detectors.sigma.patterns import Pattern
from soc.model.finding import RuleInfo


@dataclass(frozen=True, slots=True)
class LogSource:
    """Which events a rule is about; an empty part leaves it open."""

    product: str = ""
    category: str = ""
    service: str = ""

    def covers(self, other: "LogSource") -> bool:
        """Tell whether everything that this one names is the same in the other."""
        pairs = zip(self.parts(), other.parts(), strict=True)
        return all(not mine or mine == theirs for mine, theirs in pairs)

    def parts(self) -> tuple[str, str, str]:
        """Return product, category, service."""
        return self.product, self.category, self.service

    def __str__(self) -> str:
        """Return `windows/process_creation`: the parts that are named."""
        return "/".join(part for part in self.parts() if part)


@dataclass(frozen=True, slots=True)
class Item:
    """One line of a selection: a field (None: keywords, searched in the whole event) and patterns.

    `every`: all patterns must match (modifier `all`), otherwise any. `negated`: modifier `neq`.
    """

    label: str
    field: str | None
    patterns: tuple[Pattern, ...]
    every: bool = False
    negated: bool = False


@dataclass(frozen=True, slots=True)
class Group:
    """Lines of a selection (or maps of a list) of which all or any must hold."""

    kind: Literal["and", "or"]
    children: tuple["Group | Item", ...]


@dataclass(frozen=True, slots=True)
class Condition:
    """A node of the condition; `label` is its text in the rule, for `selection` the name."""

    kind: Literal["and", "or", "not", "selection"]
    label: str
    children: tuple["Condition", ...] = ()


@dataclass(frozen=True, slots=True)
class Rule:
    """A Sigma rule, ready to be evaluated. `where` is `file:line`."""

    info: RuleInfo
    logsource: LogSource
    condition: Condition
    selections: Mapping[str, Group | Item]
    name: str = ""
    status: str = ""
    fields: tuple[str, ...] = ()
    where: str = ""
    tags: tuple[str, ...] = field(default=())

    @property
    def id(self) -> str:
        """Return the rule's id."""
        return self.info.id

    def is_called(self, text: str) -> bool:
        """Tell whether a text is the rule's name, or its id in upper or lower case."""
        return text.lower() == self.id.lower() or (text != "" and text == self.name)
