"""Conditions: the comparison expressions of STIX 2.1 patterning (section 9) over variables.

    [__failures__:value >= 10 AND __source_ip__:value ISSUBSET '10.0.0.0/8']

Executed: `= != < > <= >= IN ISSUBSET ISSUPERSET`, `NOT` before one of these, `AND`, `OR`,
parentheses. Everything else of the grammar (LIKE, MATCHES, EXISTS, FOLLOWEDBY, WITHIN, ...) is
refused at load. AND binds tighter than OR. Values compare as the variable's type says.
"""

import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from playbooks.values import network
from playbooks.variables import ADDRESSES, REFERENCE, Variable, typed
from soc.errors import InputError

MAX_LENGTH: Final = 2000
MAX_DEPTH: Final = 16

_TOKEN: Final = re.compile(
    r"\s*(?:(?P<variable>__[a-zA-Z_][a-zA-Z0-9_-]{0,199}__:value)"
    r"|(?P<text>'(?:[^'\\]|\\['\\])*')"
    r"|(?P<number>-?[0-9]{1,18}(?:\.[0-9]{1,18})?)"
    r"|(?P<operator><=|>=|!=|<>|==|[=<>])"
    r"|(?P<mark>[][(),])"
    r"|(?P<word>[A-Za-z]+))"
)
_ORDER: Final[dict[str, Callable[[Any, Any], bool]]] = {
    "=": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    ">": operator.gt,
    "<=": operator.le,
    ">=": operator.ge,
}
_SPELLINGS: Final = {"==": "=", "<>": "!="}
_SETS: Final = ("ISSUBSET", "ISSUPERSET")
_UNORDERED: Final = ("bool", *ADDRESSES)


@dataclass(frozen=True, slots=True)
class Compare:
    """A variable, an operator and the literals it is compared with."""

    variable: str
    operator: str
    literals: tuple[str, ...]
    negated: bool


@dataclass(frozen=True, slots=True)
class Both:
    """All parts (AND) or any part (OR) must hold."""

    every: bool
    parts: tuple["Condition", ...]


Condition = Compare | Both


def parse(text: str) -> Condition:
    """Return the condition of a text; raise InputError for what is not executed."""
    if len(text) > MAX_LENGTH:
        raise InputError(f"the condition is longer than {MAX_LENGTH} characters")
    parser = _Parser(_tokens(text))
    bracketed = parser.accept("[")
    found = parser.either(0)
    if bracketed:
        parser.expect("]")
    parser.end()
    return found


def names(condition: Condition) -> set[str]:
    """Return the names of the variables that a condition reads."""
    if isinstance(condition, Compare):
        return {condition.variable}
    return set().union(*(names(part) for part in condition.parts))


def check(condition: Condition, variables: Mapping[str, Variable]) -> None:
    """Raise InputError when a condition does not fit the types of its variables."""
    if isinstance(condition, Both):
        for part in condition.parts:
            check(part, variables)
        return
    variable = variables.get(condition.variable)
    if variable is None:
        raise InputError(f"the variable {condition.variable} is not defined")
    if condition.operator in ("<", ">", "<=", ">=") and variable.type in _UNORDERED:
        raise InputError(f"{variable.type} has no order: {condition.operator} cannot be used")
    for literal in condition.literals:
        if condition.operator in _SETS:
            network(literal)
        else:
            typed(variable.type, literal)


def evaluate(
    condition: Condition, variables: Mapping[str, Variable], values: Mapping[str, str]
) -> bool:
    """Return whether a condition holds; raise InputError when a variable has no value."""
    if isinstance(condition, Both):
        results = (evaluate(part, variables, values) for part in condition.parts)
        return all(results) if condition.every else any(results)
    text = values.get(condition.variable)
    if text is None:
        raise InputError(f"the variable {condition.variable} has no value")
    return _holds(condition, variables[condition.variable].type, text) != condition.negated


def _holds(condition: Compare, kind: str, text: str) -> bool:
    if condition.operator in _SETS:
        own, other = network(text), network(condition.literals[0])
        inner, outer = (own, other) if condition.operator == "ISSUBSET" else (other, own)
        return inner.version == outer.version and inner.subnet_of(outer)  # type: ignore[arg-type]
    value = typed(kind, text)
    if condition.operator == "IN":
        return any(value == typed(kind, literal) for literal in condition.literals)
    return _ORDER[condition.operator](value, typed(kind, condition.literals[0]))


def _tokens(text: str) -> list[tuple[str, str]]:
    found, at, end = [], 0, len(text.rstrip())
    while at < end:
        match = _TOKEN.match(text, at)
        if match is None or match.lastgroup is None:
            raise InputError(f"the condition cannot be read at {text[at : at + 20]!r}")
        found.append((match.lastgroup, match[match.lastgroup]))
        at = match.end()
    return found


class _Parser:
    def __init__(self, tokens: list[tuple[str, str]]) -> None:
        self._tokens = tokens
        self._at = 0

    def either(self, depth: int) -> Condition:
        return self._joined("OR", lambda: self._joined("AND", lambda: self._part(depth)))

    def accept(self, text: str) -> bool:
        kind, found = self._peek()
        if kind not in ("text", "variable") and found.upper() == text:
            self._at += 1
            return True
        return False

    def expect(self, text: str) -> None:
        if not self.accept(text):
            raise InputError(f"the condition lacks {text!r} before {self._peek()[1]!r}")

    def end(self) -> None:
        if self._at < len(self._tokens):
            raise InputError(f"{self._peek()[1]!r} cannot stand here, or is not executed")

    def _joined(self, word: str, part: Callable[[], Condition]) -> Condition:
        parts = [part()]
        while self.accept(word):
            parts.append(part())
        return parts[0] if len(parts) == 1 else Both(word == "AND", tuple(parts))

    def _part(self, depth: int) -> Condition:
        if self.accept("("):
            if depth >= MAX_DEPTH:
                raise InputError(f"the condition is nested deeper than {MAX_DEPTH} levels")
            inner = self.either(depth + 1)
            self.expect(")")
            return inner
        return self._comparison()

    def _comparison(self) -> Condition:
        name = REFERENCE.fullmatch(self._take("variable", "a variable as __name__:value"))
        negated = self.accept("NOT")
        kind, text = self._peek()
        self._at += 1
        word = _SPELLINGS.get(text, text.upper())
        if kind == "operator" or (kind == "word" and word in _SETS):
            literals: tuple[str, ...] = (self._literal(),)
        elif kind == "word" and word == "IN":
            literals = self._list()
        else:
            raise InputError(f"{text!r} is not an operator that is executed here")
        return Compare(name[1] if name else "", word, literals, negated)

    def _list(self) -> tuple[str, ...]:
        self.expect("(")
        found = [self._literal()]
        while self.accept(","):
            found.append(self._literal())
        self.expect(")")
        return tuple(found)

    def _literal(self) -> str:
        kind, text = self._peek()
        self._at += 1
        if kind == "text":
            return re.sub(r"\\(['\\])", r"\1", text[1:-1])
        if kind == "number" or (kind == "word" and text in ("true", "false")):
            return text
        raise InputError(f"{text!r} is not a value: write 'text', a number, true or false")

    def _take(self, kind: str, wanted: str) -> str:
        found, text = self._peek()
        if found != kind:
            raise InputError(f"the condition needs {wanted} instead of {text!r}")
        self._at += 1
        return text

    def _peek(self) -> tuple[str, str]:
        return self._tokens[self._at] if self._at < len(self._tokens) else ("end", "its end")
