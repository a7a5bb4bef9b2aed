r"""Sigma strings: wildcards, escapes and how they are matched.

Comparison is case-insensitive by Unicode case folding of both sides (`str.casefold`): it does not
depend on neighbours, so a final sigma equals a sigma, `ß` equals `ss`, and a dotted capital I is
an i followed by U+0307. `?` stands for one character of the folded text.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import Enum
from itertools import accumulate
from typing import Final


class Wild(Enum):
    """What stands for other characters: any number, exactly one, or one of the five dashes."""

    ANY = "*"
    ONE = "?"
    DASH = "-"


Token = str | Wild
DASHES: Final = "-/\u2013\u2014\u2015"
"""Hyphen, slash, en dash, em dash, horizontal bar (modifier `windash`)."""
_CLASSES: Final = {Wild.ONE: r"[\s\S]", Wild.DASH: f"[{DASHES}]"}


def parse(source: str) -> tuple[Token, ...]:
    r"""Return a rule's string as literal text and wildcards (specification, Escape Character).

    A backslash makes a following `*`, `?` or backslash plain, and is plain before anything else.

    >>> parse(r"C:\Temp\\*.ex?")
    ('C:\\Temp\\', <Wild.ANY: '*'>, '.ex', <Wild.ONE: '?'>)
    """
    tokens: list[Token] = []
    position = 0
    while position < len(source):
        char = source[position]
        position += 1
        if char == "*":
            tokens.append(Wild.ANY)
        elif char == "?":
            tokens.append(Wild.ONE)
        elif char == "\\" and source[position : position + 1] in ("*", "?", "\\"):
            tokens.append(source[position])
            position += 1
        else:
            tokens.append(char)
    return joined(tokens)


def joined(tokens: Iterable[Token]) -> tuple[Token, ...]:
    """Return the tokens with neighbouring text, and neighbouring `*`, made one."""
    result: list[Token] = []
    run: list[str] = []
    for token in tokens:
        if isinstance(token, str):
            run.append(token)
            continue
        if run:
            result.append("".join(run))
            run = []
        if not (token is Wild.ANY and result and result[-1] is Wild.ANY):
            result.append(token)
    if run:
        result.append("".join(run))
    return tuple(token for token in result if token != "")


class Segment:
    """A stretch of a pattern without `*`: it has a fixed length."""

    __slots__ = ("_texts", "length", "literal", "regex")

    def __init__(self, tokens: Iterable[Token]) -> None:
        tokens = tuple(tokens)
        texts = [t for t in tokens if isinstance(t, str)]
        self.literal = "".join(texts)
        self.length = len(self.literal) + len(tokens) - len(texts)
        self.regex: re.Pattern[str] | None = None
        self._texts: tuple[tuple[str, int], ...] = ()
        if len(tokens) != len(texts):
            # No quantifier inside: the search is bounded by length of text x length of pattern.
            parts = (re.escape(t) if isinstance(t, str) else _CLASSES[t] for t in tokens)
            self.regex = re.compile("".join(parts))
            self.literal = max(texts, key=len, default="")
            runs = joined(DASHES[0] if t is Wild.DASH else t for t in tokens)
            ends = accumulate(len(t) if isinstance(t, str) else 1 for t in runs)
            self._texts = tuple(
                (t, end) for t, end in zip(runs, ends, strict=True) if isinstance(t, str)
            )

    @property
    def texts(self) -> tuple[tuple[str, int], ...]:
        """Return its texts, each with the characters from the segment's beginning to its end.

        Any of the five dashes is the first of them there.
        """
        if self.regex is None and self.literal:
            return ((self.literal, self.length),)
        return self._texts

    def at(self, text: str, position: int) -> bool:
        """Tell whether the segment stands at this position."""
        if self.regex is None:
            return text.startswith(self.literal, position)
        return self.regex.match(text, position) is not None

    def find(self, text: str, start: int, end: int) -> int:
        """Return the first position from `start` where the segment fits before `end`, or -1."""
        if self.regex is None:
            return text.find(self.literal, start, end)
        found = self.regex.search(text, start, end)
        return found.start() if found else -1


@dataclass(frozen=True, slots=True)
class Glob:
    """A matcher for one string with wildcards; `needle` is text that every match contains."""

    head: Segment | None
    middle: tuple[Segment, ...]
    tail: Segment | None
    whole: bool
    length: int
    needle: str

    @property
    def simple(self) -> bool:
        """Tell whether it is plain text that begins, ends or is the whole."""
        only = self.head if self.tail is None else self.tail if self.head is None else None
        return only is not None and only.regex is None and not self.middle

    @property
    def segments(self) -> Iterator[Segment]:
        """Yield what must stand in whatever fits, one behind the other."""
        return (part for part in (self.head, *self.middle, self.tail) if part is not None)

    def matches(self, text: str) -> bool:
        """Tell whether the whole text fits; takes the leftmost place for each segment."""
        start, end = 0, len(text)
        if end < self.length or (self.whole and end != self.length):
            return False
        if self.head is not None:
            if not self.head.at(text, 0):
                return False
            start = self.head.length
        if self.tail is not None:
            end -= self.tail.length
            if not self.tail.at(text, end):
                return False
        for segment in self.middle:
            found = segment.find(text, start, end)
            if found < 0:
                return False
            start = found + segment.length
        return True


def glob(tokens: tuple[Token, ...]) -> Glob:
    """Return the matcher of joined tokens."""
    parts = list(_split(tokens))
    segments = [Segment(part) for part in parts if part]
    length = sum(segment.length for segment in segments)
    needle = max((segment.literal for segment in segments), key=len, default="")
    if len(parts) == 1:
        return Glob(segments[0] if segments else Segment(()), (), None, True, length, needle)
    head = segments.pop(0) if parts[0] else None
    tail = segments.pop() if parts[-1] else None
    return Glob(head, tuple(segments), tail, False, length, needle)


def _split(tokens: tuple[Token, ...]) -> Iterator[list[Token]]:
    part: list[Token] = []
    for token in tokens:
        if token is Wild.ANY:
            yield part
            part = []
        else:
            part.append(token)
    yield part
