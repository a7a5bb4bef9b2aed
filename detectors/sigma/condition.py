"""The condition of a rule: `selection and not 1 of filter_*` (specification, Condition)."""

import re
from collections.abc import Sequence
from typing import Final, Literal, NamedTuple

from detectors.sigma.rule import Condition
from detectors.sigma.text import Wild, glob, joined

MAX_TOKENS: Final = 5_000
MAX_DEPTH: Final = 40
_TOKEN: Final = re.compile(r"[()]|[^\s()]+")
_OPERATORS: Final = ("and", "or", "not", "of")
_HINT_CORRELATION: Final = "write a Sigma correlation rule instead"


class ConditionError(ValueError):
    """What is wrong with a condition, and what to do about it."""

    def __init__(self, reason: str, hint: str = "") -> None:
        super().__init__(reason)
        self.reason = reason
        self.hint = hint


class _Token(NamedTuple):
    text: str
    start: int
    end: int


def parse(text: str, names: Sequence[str]) -> Condition:
    """Return a condition over the selections of these names; raise ConditionError.

    Binding, weakest first: or, and, not, x of, parentheses. The tree is as deep as the text's
    parentheses (at most MAX_DEPTH).
    """
    if "|" in text:
        raise ConditionError("`|` in a condition (Sigma 1 aggregation) is gone", _HINT_CORRELATION)
    tokens = [_Token(m[0], m.start(), m.end()) for m in _TOKEN.finditer(text)]
    if not tokens:
        raise ConditionError("the condition is empty", "condition: selection")
    if len(tokens) > MAX_TOKENS:
        raise ConditionError(f"the condition has more than {MAX_TOKENS} words")
    parser = _Parser(text, tokens, names)
    tree = parser.expression("or", 0)
    if parser.next is not None:
        raise _unexpected(parser.next)
    return tree


class _Parser:
    def __init__(self, text: str, tokens: list[_Token], names: Sequence[str]) -> None:
        self.text = text
        self.tokens = tokens
        self.names = names
        self.position = 0

    @property
    def next(self) -> _Token | None:
        return self.tokens[self.position] if self.position < len(self.tokens) else None

    def _take(self) -> _Token:
        token = self.next
        if token is None:
            raise ConditionError("the condition ends where a selection is expected")
        self.position += 1
        return token

    def _label(self, first: int) -> str:
        return self.text[self.tokens[first].start : self.tokens[self.position - 1].end]

    def expression(self, kind: Literal["and", "or"], depth: int) -> Condition:
        first = self.position
        parts = [self._operand(kind, depth)]
        while self.next is not None and self.next.text == kind:
            self.position += 1
            parts.append(self._operand(kind, depth))
        return parts[0] if len(parts) == 1 else Condition(kind, self._label(first), tuple(parts))

    def _operand(self, kind: Literal["and", "or"], depth: int) -> Condition:
        return self.expression("and", depth) if kind == "or" else self._negation(depth)

    def _negation(self, depth: int) -> Condition:
        first = self.position
        while self.next is not None and self.next.text == "not":
            self.position += 1
        negations = self.position - first
        tree = self._primary(depth)
        if negations == 0:
            return tree
        # Pairs of `not` cancel out, so the tree stays shallow however many there are.
        if negations % 2:
            return Condition("not", self._label(first), (tree,))
        return tree

    def _primary(self, depth: int) -> Condition:
        token = self._take()
        if token.text == "(":
            if depth >= MAX_DEPTH:
                raise ConditionError(f"parentheses nested deeper than {MAX_DEPTH}")
            tree = self.expression("or", depth + 1)
            closing = self.next
            if closing is None or closing.text != ")":
                raise ConditionError("a parenthesis is not closed")
            self.position += 1
            return tree
        if self.next is not None and self.next.text == "of":
            return self._quantified(token)
        if token.text in self.names:
            return Condition("selection", token.text)
        raise _unexpected(token)

    def _quantified(self, quantifier: _Token) -> Condition:
        if quantifier.text not in ("1", "any", "all"):
            raise ConditionError(
                f"`{quantifier.text} of` does not exist in Sigma 2", "use `1 of` or `all of`"
            )
        self.position += 1
        pattern = self._take()
        found = select(pattern.text, self.names)
        if not found:
            raise ConditionError(
                f"`{quantifier.text} of {pattern.text}` matches no selection",
                f"selections: {', '.join(self.names)}",
            )
        label = f"{quantifier.text} of {pattern.text}"
        children = tuple(Condition("selection", name) for name in found)
        return Condition("and" if quantifier.text == "all" else "or", label, children)


def select(pattern: str, names: Sequence[str]) -> list[str]:
    """Return the selections that `them` or a pattern such as `filter_*` stands for.

    Names that start with an underscore are left out unless the pattern starts with one too.
    """
    visible = [n for n in names if not n.startswith("_") or pattern.startswith("_")]
    if pattern == "them":
        return visible
    matcher = glob(joined(Wild.ANY if char == "*" else char for char in pattern))
    return [name for name in visible if matcher.matches(name)]


def _unexpected(token: _Token) -> ConditionError:
    text = token.text
    if text.lower() in _OPERATORS and text not in _OPERATORS:
        return ConditionError(f"unknown word {text!r}", f"operators are lower case: {text.lower()}")
    if text == "near":
        return ConditionError("`near` (Sigma 1) is gone", _HINT_CORRELATION)
    if text in _OPERATORS or text in "()":
        return ConditionError(f"`{text}` at character {token.start + 1} is not expected there")
    return ConditionError(
        f"the condition names {text!r}, which is no selection", "check the spelling of the name"
    )
