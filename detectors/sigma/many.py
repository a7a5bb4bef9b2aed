"""Long lists of patterns: which of them may fit, found by looking for all their texts at once.

A rule may list ten thousand values and an event be a megabyte long: looking for one value after the
other would take seconds. What a pattern needs is searched in halves of the list: where none of a
half is there, all of it is passed over. The patterns that are left are tried as ever.
"""

import heapq
from collections.abc import Iterator, Sequence
from functools import cached_property, lru_cache
from typing import Final

from ahocorasick_rs import BytesAhoCorasick

from detectors.sigma.patterns import Pattern, Text
from detectors.sigma.values import Field

MANY: Final = 100
"""Patterns of one line of a rule from which on it is worth it."""
_FEW: Final = 32
"""Texts that are looked for one by one."""
_CHUNK: Final = 1 << 16
"""Bytes that are searched before it is asked whether something was found."""


def candidates(patterns: Sequence[Pattern], field: Field) -> Iterator[Pattern]:
    """Yield in their order the patterns that may fit a value of a field: all that do are there."""
    return _searches(_Same(patterns)).candidates(field)


class _Same:
    """A list of patterns, known again by being the same object: to compare them takes too long."""

    def __init__(self, patterns: Sequence[Pattern]) -> None:
        self.patterns = patterns

    def __hash__(self) -> int:
        return id(self.patterns)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Same) and other.patterns is self.patterns


class _Searches:
    """What the patterns of a list need, with and without regard to case; the rest is not searched.

    Whatever only asks for a value's beginning, its end or the whole is quicker asked than searched.
    """

    def __init__(self, patterns: Sequence[Pattern]) -> None:
        self._patterns = patterns
        self._rest: list[int] = []
        self._other: dict[int, list[bytes]] = {}
        texts: dict[bool, list[tuple[int, bytes]]] = {False: [], True: []}
        for position, pattern in enumerate(patterns):
            if isinstance(pattern, Text) and pattern.needle and not pattern.glob.simple:
                texts[pattern.cased].append((position, _bytes(pattern.needle)))
                if other := [_bytes(t) for t in pattern.glob.literals if t != pattern.needle]:
                    self._other[position] = other
            else:
                self._rest.append(position)
        self._halves = {cased: _Half(found) for cased, found in texts.items() if found}

    def candidates(self, field: Field) -> Iterator[Pattern]:
        found = (
            self._found(half, _bytes(field.index(cased=cased).joined))
            for cased, half in self._halves.items()
        )
        return (self._patterns[position] for position in heapq.merge(self._rest, *found))

    def _found(self, half: "_Half", data: bytes) -> Iterator[int]:
        """Yield the positions of patterns of whose texts none is missing."""
        there: dict[bytes, bool] = {}
        for position in half.found_in(data):
            for text in self._other.get(position, ()):
                if text not in there:
                    there[text] = text in data
                if not there[text]:
                    break
            else:
                yield position


class _Half:
    """Texts with the positions of their patterns, and a search for all of them together."""

    def __init__(self, texts: Sequence[tuple[int, bytes]]) -> None:
        self._texts = texts

    def found_in(self, data: bytes) -> Iterator[int]:
        """Yield the positions of the texts that are in the data, in their order."""
        if len(self._texts) <= _FEW:
            yield from (position for position, text in self._texts if text in data)
        elif self._any_in(data):
            for half in self._halves:
                yield from half.found_in(data)

    def _any_in(self, data: bytes) -> bool:
        longest, view = max(len(text) for _, text in self._texts), memoryview(data)
        return any(
            self._search.find_matches_as_indexes(view[start : start + _CHUNK + longest])
            for start in range(0, len(data), _CHUNK)
        )

    @cached_property
    def _search(self) -> BytesAhoCorasick:
        return BytesAhoCorasick([text for _, text in self._texts])

    @cached_property
    def _halves(self) -> "tuple[_Half, _Half]":
        middle = len(self._texts) // 2
        return _Half(self._texts[:middle]), _Half(self._texts[middle:])


@lru_cache(maxsize=64)
def _searches(same: _Same) -> _Searches:
    return _Searches(same.patterns)


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")
