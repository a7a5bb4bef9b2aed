r"""Text that a regular expression cannot match without: `foo.*(bar|baz)` needs foo, and bar or baz.

A small reader of RE2's syntax. It knows less than RE2; where it is not sure it asks for nothing.
"""

from typing import Final

Need = tuple[str, ...]
"""Texts (case-folded ASCII) of which one must be in every match."""

MAX_DEPTH: Final = 30
_MAX_NEED: Final = 200
_CONTROLS: Final = {"n": "\n", "t": "\t", "r": "\r", "f": "\f", "v": "\v", "a": "\a"}
_CLASSES: Final = "dDwWsS"
_ZERO_WIDTH: Final = "bBAz"


class _UnsureError(Exception):
    """The expression uses syntax that this reader does not know."""


def needs(expression: str) -> list[Need]:
    """Return alternatives of necessary text, each by itself sufficient; none when unsure."""
    reader = _Reader(expression)
    try:
        found = reader.alternatives(0)
    except _UnsureError:
        return []
    return found if reader.at == len(expression) else []


class _Reader:
    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0

    def _peek(self) -> str:
        return self.text[self.at : self.at + 1]

    def alternatives(self, depth: int) -> list[Need]:
        """Read up to the closing parenthesis or the end."""
        if depth > MAX_DEPTH:
            raise _UnsureError
        branches = [self._sequence(depth)]
        while self._peek() == "|":
            self.at += 1
            branches.append(self._sequence(depth))
        if len(branches) == 1:
            return branches[0]
        if not all(branches):
            return []
        best = [max(branch, key=lambda need: min(map(len, need))) for branch in branches]
        union = tuple(dict.fromkeys(text for need in best for text in need))
        return [union] if len(union) <= _MAX_NEED else []

    def _sequence(self, depth: int) -> list[Need]:
        found: list[Need] = []
        run = ""
        while self._peek() not in ("", "|", ")"):
            inner, char, width = self._atom(depth)
            low, plain = self._quantifier()
            if width == 0 and plain:
                found.extend(inner)
                continue
            if char and low and plain:
                run += char
                continue
            if char and low:
                run += char
            if run:
                found.append((run,))
            run = ""
            if low:
                found.extend(inner)
        if run:
            found.append((run,))
        return found

    def _atom(self, depth: int) -> tuple[list[Need], str, int]:
        """Return what an atom needs, its character when it is one, and 0 when it has no width."""
        char = self._peek()
        self.at += 1
        if char == "(":
            return self._group(depth)
        if char == "[":
            self._class()
            return [], "", 1
        if char == "\\":
            return self._escape()
        if char in "^$":
            return [], "", 0
        if char in "*+?{":
            raise _UnsureError
        return [], _plain(char) if char != "." else "", 1

    def _group(self, depth: int) -> tuple[list[Need], str, int]:
        if self._peek() == "?":
            end = self.at + 1
            while end < len(self.text) and self.text[end] not in ":)>":
                end += 1
            head = self.text[self.at + 1 : end + 1]
            name = head.startswith(("P<", "<"))
            if not head or (not name and not set(head[:-1]) <= set("imsU-")):
                raise _UnsureError
            self.at = end + 1
            if head[-1] == ")":
                return [], "", 0
        found = self.alternatives(depth + 1)
        if self._peek() != ")":
            raise _UnsureError
        self.at += 1
        return found, "", 1

    def _class(self) -> None:
        if self._peek() == "^":
            self.at += 1
        first = True
        while first or self._peek() != "]":
            char = self._peek()
            if char in ("", "["):  # [:alpha:] and kin
                raise _UnsureError
            self.at += 2 if char == "\\" else 1
            first = False
        self.at += 1

    def _escape(self) -> tuple[list[Need], str, int]:
        char = self._peek()
        self.at += 1
        if char in _CLASSES and char:
            return [], "", 1
        if char in _ZERO_WIDTH and char:
            return [], "", 0
        if char in _CONTROLS:
            return [], _CONTROLS[char], 1
        if not char or char.isalnum() or not char.isascii():
            raise _UnsureError
        return [], _plain(char), 1

    def _quantifier(self) -> tuple[int, bool]:
        """Return the least number of times, and whether it is exactly once."""
        char = self._peek()
        if char not in ("*", "+", "?", "{"):
            return 1, True
        self.at += 1
        low = 1 if char == "+" else 0
        if char == "{":
            end = self.text.find("}", self.at)
            digits = self.text[self.at : end].partition(",")[0]
            if end < 0 or not (digits.isascii() and digits.isdigit()):
                raise _UnsureError
            low = int(digits)
            self.at = end + 1
        if self._peek() == "?":
            self.at += 1
        return low, False


def _plain(char: str) -> str:
    # A question mark is also what a lone surrogate becomes before the search.
    return char.casefold() if char.isascii() and char != "?" else ""
