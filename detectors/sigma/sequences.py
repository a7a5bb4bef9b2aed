"""Sequences of texts, each text behind the other: which of very many stand in data, in one pass.

All texts are searched at once. A sequence waits for its next text; where that is found it waits for
the one after it, from there on. So ten thousand sequences cost one pass over the data, and what
they find, instead of ten thousand searches.
"""

from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from itertools import chain
from typing import Final

from ahocorasick_rs import BytesAhoCorasick

from detectors.sigma.endings import shallow

_CHUNK: Final = 1 << 14
"""Bytes that are searched at a time: what is found in them is held in memory."""
_LONGEST: Final = 1 << 10
"""Bytes of a text that are looked for."""
_Wait = tuple[int, int, int]
"""From where on, which sequence, which of its texts."""


class Sequences:
    """Sequences of texts by their number. `unsure` are those that have nothing to look for."""

    def __init__(self, sequences: Mapping[int, Iterable[bytes]]) -> None:
        cut = {key: [text[:_LONGEST] for text in texts] for key, texts in sequences.items()}
        ends = shallow(chain.from_iterable(cut.values()))
        self._texts = list(dict.fromkeys(ends.values()))
        places = {text: place for place, text in enumerate(self._texts)}
        self._steps = {key: [places[ends[text]] for text in texts] for key, texts in cut.items()}
        self.unsure = [key for key, steps in self._steps.items() if not steps]

    def found_in(self, data: bytes) -> Iterator[int]:
        """Yield the sequences that are in the data, as they end there."""
        waiting = _Waiting(self._first)
        for place, start, end in self._matches(data):
            queue = waiting[place]
            while queue and queue[0][0] <= start:
                _, key, step = queue.popleft()
                steps = self._steps[key]
                if step + 1 == len(steps):
                    yield key
                else:
                    waiting[steps[step + 1]].append((end, key, step + 1))

    @cached_property
    def _first(self) -> dict[int, list[_Wait]]:
        first: dict[int, list[_Wait]] = {}
        for key, steps in self._steps.items():
            if steps:
                first.setdefault(steps[0], []).append((0, key, 0))
        return first

    def _matches(self, data: bytes) -> Iterator[tuple[int, int, int]]:
        """Yield what is found: which text, from where to where, in the order of the ends."""
        before = max(map(len, self._texts), default=1) - 1
        view = memoryview(data)
        for start in range(0, len(data), _CHUNK):
            base = max(start - before, 0)
            known = start - base
            part = view[base : start + _CHUNK]
            for place, begin, end in self._search.find_matches_as_indexes(part, overlapping=True):
                if end > known:
                    yield place, base + begin, base + end

    @cached_property
    def _search(self) -> BytesAhoCorasick:
        return BytesAhoCorasick(self._texts)


class _Waiting(dict[int, deque[_Wait]]):
    """Who waits for which text: those that came first in front, so in the order of their places."""

    def __init__(self, first: Mapping[int, Sequence[_Wait]]) -> None:
        super().__init__()
        self._first = first

    def __missing__(self, place: int) -> deque[_Wait]:
        made = self[place] = deque(self._first.get(place, ()))
        return made
