"""Sequences of segments, each behind the other: which of very many stand in a text, in one pass.

One text of each segment is searched, all of them at once. A sequence waits for the text of its next
segment; where that is found the whole segment is tried, and where it fits the sequence waits for
the one after it, from there on. So ten thousand sequences cost one pass over the text, and what
they find, instead of ten thousand searches.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import Final, NamedTuple

from ahocorasick_rs import AhoCorasick

from detectors.sigma.endings import shallow
from detectors.sigma.text import DASHES, Segment

_CHUNK: Final = 1 << 14
"""Characters that are searched at a time: what is found in them is held in memory."""
_LONGEST: Final = 1 << 10
"""Characters of a text that are looked for."""
_FEW: Final = 10
"""Segments that may share the text they are found by, if they have no longer one for themselves."""
_SEARCHED: Final = 1_000
"""Characters in which a segment is searched for in the time in which it is tried at one place."""


class _Step(NamedTuple):
    key: int
    text: int
    through: int
    """Characters of the segment up to the text's end."""
    segment: Segment
    following: "_Step | None"


class _Wait(NamedTuple):
    found: int
    """Where the text of the step before ended: those for one text wait in this order."""
    earliest: int
    """Where the segment may begin."""
    step: _Step


class Sequences:
    """Sequences of segments by their number. `unsure` are those that have nothing to look for."""

    def __init__(self, sequences: Mapping[int, Iterable[Segment]]) -> None:
        known = {key: [one for one in some if one.texts] for key, some in sequences.items()}
        self.unsure = [key for key, some in known.items() if not some]
        shared = Counter(text for some in known.values() for one in some for text, _ in one.texts)
        regexes = (one for some in known.values() for one in some if one.regex is not None)
        self._dashed = any(DASHES[0] in text for one in regexes for text, _ in one.texts)
        chosen = {key: [self._chosen(one, shared) for one in some] for key, some in known.items()}
        ends = shallow(text for some in chosen.values() for text, _, _ in some)
        self._texts = list(dict.fromkeys(ends.values()))
        self._before = max(map(len, self._texts), default=1) - 1
        places = {text: place for place, text in enumerate(self._texts)}
        self._first: dict[int, list[_Wait]] = {}
        for key, some in chosen.items():
            step: _Step | None = None
            for text, through, segment in reversed(some):
                step = _Step(key, places[ends[text]], through, segment, step)
            if step is not None:
                self._first.setdefault(step.text, []).append(_Wait(0, 0, step))
        self._number = len(chosen)

    def found_in(self, text: str) -> Iterator[int]:
        """Yield the sequences that are in the text, as they end there.

        Where trying takes longer than to search one after the other, some that are not.
        """
        waiting = _Waiting(self._first)
        tries = self._number * (1 + len(text) // _SEARCHED)
        for place, start, end in self._matches(text):
            waits = waiting[place]
            ready, failed = 0, []
            for wait in waits:
                found, earliest, (key, _, through, segment, following) = wait
                if found > start:
                    break
                ready += 1
                begin = end - through
                if tries and (begin < earliest or not segment.at(text, begin)):
                    tries -= 1
                    failed.append(wait)
                elif following is None:
                    yield key
                else:
                    after = _Wait(end, begin + segment.length, following)
                    waiting[following.text].append(after)
            if len(failed) < ready:
                waits[:ready] = failed

    def _matches(self, text: str) -> Iterator[tuple[int, int, int]]:
        """Yield what is found: which text, from where to where, in the order of the ends."""
        text = self._searched(text)
        for start in range(0, len(text), _CHUNK):
            base = max(start - self._before, 0)
            known = start - base
            part = text[base : start + _CHUNK]
            for place, begin, end in self._search.find_matches_as_indexes(part, overlapping=True):
                if end > known:
                    yield place, base + begin, base + end

    @cached_property
    def _search(self) -> AhoCorasick:
        return AhoCorasick(self._texts)

    def _chosen(self, segment: Segment, shared: Mapping[str, int]) -> tuple[str, int, Segment]:
        """Return the text a segment is found by, the characters up to its end, and the segment.

        It is the longest text that few share: where it is found, all who wait for it are tried.
        """
        ranks = {one: (max(shared[one[0]], _FEW), -len(one[0])) for one in segment.texts}
        text, through = min(ranks, key=ranks.__getitem__)
        cut = text[:_LONGEST]
        return self._searched(cut), through - len(text) + len(cut), segment

    def _searched(self, text: str) -> str:
        """Return a text as it is searched: as long, with one dash for five, no lone surrogates."""
        if self._dashed:
            for dash in DASHES[1:]:
                text = text.replace(dash, DASHES[0])
        return text.encode("utf-8", "replace").decode()


class _Waiting(dict[int, list[_Wait]]):
    """Who waits for which text: those that came first in front, so in the order of their places."""

    def __init__(self, first: Mapping[int, Sequence[_Wait]]) -> None:
        super().__init__()
        self._first = first

    def __missing__(self, place: int) -> list[_Wait]:
        made = self[place] = list(self._first.get(place, ()))
        return made
