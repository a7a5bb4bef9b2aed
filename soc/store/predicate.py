"""The query grammar in plain Python: the one evaluator, over flat events.

Every store's answer is defined by this: SQLite confirms each candidate of its index with it.
"""

import re
from collections.abc import Callable, Sequence
from functools import lru_cache
from operator import ge, gt, le, lt
from typing import Any

from soc.model.event import Event
from soc.model.time import iso
from soc.store import query as q
from soc.store import values as v
from soc.store.regex import compiled

Predicate = Callable[[Event], bool]
Test = Callable[[Any], bool]
Scalar = q.Equals | q.Range | q.Addresses | q.Times


def compile(node: q.Node) -> Predicate:
    """Return the function that tells whether an event matches."""
    match node:
        case q.All():
            return lambda event: True
        case q.And(nodes):
            return _all([compile(part) for part in nodes])
        case q.Or(nodes):
            return _any([compile(part) for part in nodes])
        case q.Not(inner):
            return _not(compile(inner))
        case q.Exists(field):
            return _exists(v.source(field))
        case q.Words(field, found):
            return _in_words(field, _phrase(found))
        case q.Wildcard(field, pattern):
            return _pattern(field, _glob(pattern))
        case q.Regex(field, pattern):
            return _pattern(field, _whole(pattern))
    return _some(node.field, _scalar(node))


def _scalar(node: Scalar) -> Test:
    match node:
        case q.Equals(field, value):
            return _equals(field, value)
        case q.Range():
            return _range(node)
        case q.Addresses(_, low, high):
            return _between(low, high)
        case q.Times():
            return _times(node)


def _all(parts: Sequence[Predicate]) -> Predicate:
    return lambda event: all(part(event) for part in parts)


def _any(parts: Sequence[Predicate]) -> Predicate:
    return lambda event: any(part(event) for part in parts)


def _not(part: Predicate) -> Predicate:
    return lambda event: not part(event)


def _some(field: str, test: Test) -> Predicate:
    """Any value of the field passes."""
    read = v.reader(field)
    return lambda event: any(map(test, read(event)))


def _exists(name: str) -> Predicate:
    prefix = name + "."
    read = v.reader(name)

    def found(event: Event) -> bool:
        if read(event):
            return True
        return any(
            path.startswith(prefix)
            for key, value in event.items()
            if key.startswith(prefix) or prefix.startswith(key + ".")
            for path, _ in v.leaves({key: value})
        )

    return found


def _equals(field: str, wanted: str | v.Number | bool) -> Test:
    match v.kind(field):
        case "number":
            return lambda value: v.number(value) == wanted
        case "boolean":
            return lambda value: v.boolean(value) is wanted
    return lambda value: v.fold(v.text_of(value)) == wanted


def _range(node: q.Range) -> Test:
    read: Callable[[Any], Any] = (
        v.number if v.kind(node.field) == "number" else lambda value: v.fold(v.text_of(value))
    )
    above = ge if node.with_low else gt
    below = le if node.with_high else lt
    low, high = node.low, node.high

    def test(value: Any) -> bool:  # noqa: ANN401
        found = read(value)
        return (
            found is not None
            and (low is None or above(found, low))
            and (high is None or below(found, high))
        )

    return test


def _between(low: int, high: int) -> Test:
    def test(value: Any) -> bool:  # noqa: ANN401
        found = v.address(value)
        return found is not None and low <= found <= high

    return test


def _times(node: q.Times) -> Test:
    low = iso(node.low) if node.low else ""
    high = iso(node.high) if node.high else "~"

    def test(value: Any) -> bool:  # noqa: ANN401
        found = v.instant(value)
        return found is not None and low <= found < high

    return test


def _phrase(words: Sequence[str]) -> "re.Pattern[str]":
    # Linear: between two words there is nothing that a word could begin with.
    return re.compile(r"(?<!\w)" + r"\W+".join(map(re.escape, words)) + r"(?!\w)")


def _in_words(field: str | None, phrase: "re.Pattern[str]") -> Predicate:
    first = phrase.search

    def test(value: Any) -> bool:  # noqa: ANN401
        return isinstance(value, str) and first(v.fold(value)) is not None

    return _anywhere(test) if field is None else _some(field, test)


def _anywhere(test: Test) -> Predicate:
    """Any text of the event passes, wherever it stands."""

    def found(event: Event) -> bool:
        return any(test(value) for path, value in v.leaves(event) if wordy(path))

    return found


@lru_cache(maxsize=65536)
def wordy(path: str) -> bool:
    """Tell whether bare words look at a field."""
    return v.kind(path) != "date" and path not in v.WORDLESS and v.searchable(path)


def _pattern(field: str | None, whole: Test) -> Predicate:
    if field is None or v.kind(field) == "text":

        def by_word(value: Any) -> bool:  # noqa: ANN401
            return isinstance(value, str) and any(map(whole, v.words(value)))

        return _anywhere(by_word) if field is None else _some(field, by_word)
    return _some(field, lambda value: whole(v.fold(v.text_of(value))))


def _glob(pattern: q.Pattern) -> Test:
    if len(pattern) == 2 and isinstance(pattern[0], str) and pattern[1] is q.Wild.ANY:
        prefix = pattern[0]
        return lambda text: text.startswith(prefix)
    if len(pattern) == 3 and isinstance(pattern[1], str) and pattern[::2] == (q.Wild.ANY,) * 2:
        inner = pattern[1]
        return lambda text: inner in text
    signs = {q.Wild.ANY: ".*", q.Wild.ONE: "."}
    return _whole("".join(signs[p] if isinstance(p, q.Wild) else _quoted(p) for p in pattern))


def _quoted(text: str) -> str:
    return "".join(
        c if c == "_" or c.isalnum() or ord(c) > 127 else f"\\x{ord(c):02x}" for c in text
    )


def _whole(pattern: str) -> Test:
    fullmatch = compiled(pattern).fullmatch

    def test(text: str) -> bool:
        try:
            return fullmatch(text) is not None
        except UnicodeEncodeError:  # a lone surrogate: RE2 reads UTF-8
            return fullmatch(text.encode("utf-8", "replace").decode()) is not None

    return test
