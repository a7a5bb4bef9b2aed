"""Long lists of patterns: which of them may fit, found by looking for all their texts at once.

A rule may list ten thousand values and an event be a megabyte long: looking for one value after the
other would take seconds. What is left is tried as ever, and fails at the value's beginning or end
or fits.
"""

import heapq
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from typing import Final

from detectors.sigma.patterns import Pattern, Text
from detectors.sigma.sequences import Sequences
from detectors.sigma.text import Glob
from detectors.sigma.values import Field

MANY: Final = 100
"""Patterns of one line of a rule from which on it is worth it."""


def candidates(patterns: Sequence[Pattern], field: Field) -> Iterator[Pattern]:
    """Yield in their order the patterns that may fit a value of a field: all that do are there."""
    return _searches(_Same(patterns)).candidates(field)


@lru_cache(maxsize=64)
def any_of(globs: tuple[Glob, ...]) -> Callable[[str], bool]:
    """Return a function that tells whether any of them fits a text."""
    sequences = _sequences(dict(enumerate(globs)))
    unsure = [globs[place] for place in sequences.unsure]

    def fits(text: str) -> bool:
        if any(glob.matches(text) for glob in unsure):
            return True
        return any(globs[place].matches(text) for place in sequences.found_in(text))

    return fits


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
        rest: list[int] = []
        globs: dict[bool, dict[int, Glob]] = {False: {}, True: {}}
        for position, pattern in enumerate(patterns):
            if isinstance(pattern, Text) and not pattern.glob.simple:
                globs[pattern.cased][position] = pattern.glob
            else:
                rest.append(position)
        self._sequences = {cased: _sequences(some) for cased, some in globs.items() if some}
        unsure = [one for some in self._sequences.values() for one in some.unsure]
        self._rest = sorted(rest + unsure)

    def candidates(self, field: Field) -> Iterator[Pattern]:
        found = (
            _found(sequences, field.index(cased=cased).joined)
            for cased, sequences in self._sequences.items()
        )
        return (self._patterns[position] for position in heapq.merge(self._rest, *found))


def _found(sequences: Sequences, text: str) -> Iterator[int]:
    yield from sorted(sequences.found_in(text))


def _sequences(globs: dict[int, Glob]) -> Sequences:
    """Return what stands between the `*` of patterns: whatever fits has all of it, one by one."""
    return Sequences({place: tuple(glob.segments) for place, glob in globs.items()})


@lru_cache(maxsize=64)
def _searches(same: _Same) -> _Searches:
    return _Searches(same.patterns)
