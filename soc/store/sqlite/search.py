"""Searching day files together: newest first over all of them, opened only when their time comes.

No cursor stays open between two pages of candidates: each page is a query of its own that goes on
below the last `at`, so a slow reader never holds back the log.
"""

import heapq
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice
from typing import Final, Protocol, TypeVar

from soc.errors import UsageError
from soc.model.event import Event
from soc.store.base import Page
from soc.store.sqlite import documents as d
from soc.store.sqlite.catalogue import MAX_MILLIS
from soc.store.sqlite.plan import Plan
from soc.store.values import instant

T = TypeVar("T")
FIRST_PAGE: Final = 128
LAST_PAGE: Final = 4096
PROBES: Final = 3


@dataclass(frozen=True, slots=True)
class Place:
    """Where a result stands: its `at` and the file's name; newest first, ties by file."""

    at: int
    file: str

    @classmethod
    def read(cls, cursor: str) -> "Place":
        """Return the place that a cursor names; raise UsageError."""
        at, colon, file = cursor.partition(":")
        if not colon or not at.isascii() or not at.isdecimal() or len(at) > 19:
            raise UsageError("not a cursor of this store", hint="pass `next` of the page before")
        return cls(int(at), file)

    def __str__(self) -> str:
        """Return the place as a cursor."""
        return f"{self.at}:{self.file}"


class Reader(Protocol):
    """Reads a file; answers with the default when it is damaged."""

    def __call__(self, ask: Callable[[sqlite3.Connection], T], default: T) -> T:
        """Return what `ask` reads, or the default."""
        ...


@dataclass(frozen=True, slots=True)
class Part:
    """A file to search; `top` is its highest @timestamp in milliseconds."""

    file: str
    top: int
    read: Reader


def matches(part: Part, plan: Plan, below: Place | None = None) -> Iterator[d.Row]:
    """Yield (at, event) of the matches in one file, newest first, behind a place."""
    low, size = plan.low << d.BITS, FIRST_PAGE
    high = _highest(plan, part.read(d.spill, 0))
    if below is not None:
        high = min(high, below.at - (part.file >= below.file))
    behind: int | None = high
    # A prefix that fits many is quicker found among the newest than gathered from the index:
    # 10.0.0.0/8 of a million events takes 1 ms so, else 400.
    probes = PROBES if plan.broad else 0
    nothing: tuple[list[d.Row], int | None] = ([], None)
    while behind is not None:
        match = None if probes > 0 else plan.match
        ask = partial(d.page, match=match, test=plan.test, low=low, high=behind, limit=size)
        rows, behind = part.read(ask, nothing)
        yield from rows
        size, probes = min(size * 4, LAST_PAGE), probes - 1


def visit(part: Part, plan: Plan, take: Callable[[Event], None]) -> None:
    """Call `take` with every match in a file; none is kept."""

    def taken(event: Event) -> bool:
        if plan.test(event):
            take(event)
        return False

    for _ in matches(part, replace(plan, test=taken)):
        raise AssertionError("none is kept")


def _highest(plan: Plan, spill: int) -> int:
    if plan.high >= MAX_MILLIS:
        return d.TOP
    return ((plan.high + spill + 1) << d.BITS) - 1


def merged(parts: Sequence[Part], plan: Plan, below: Place | None) -> Iterator[tuple[Place, Event]]:
    """Yield matches of all files, newest first."""
    waiting = sorted(parts, key=lambda part: part.top)
    heap: list[tuple[int, int, d.Row, Iterator[d.Row], str]] = []
    names = {part.file: n for n, part in enumerate(sorted(parts, key=lambda p: p.file))}

    def push(rows: Iterator[d.Row], file: str) -> None:
        row = next(rows, None)
        if row is not None:
            heapq.heappush(heap, (-row[0], -names[file], row, rows, file))

    while waiting or heap:
        # A file joins once nothing newer than its newest is left in the others.
        while waiting and (not heap or waiting[-1].top >= (-heap[0][0] >> d.BITS)):
            part = waiting.pop()
            push(matches(part, plan, below), part.file)
        if heap:
            at, _, row, rows, file = heapq.heappop(heap)
            yield Place(-at, file), row[1]
            push(rows, file)


def page(parts: Sequence[Part], plan: Plan, limit: int, after: str | None) -> Page:
    """Return a page of matches, newest first."""
    below = None if after is None else Place.read(after)
    found = list(islice(merged(parts, plan, below), limit + 1))
    shown = found[:limit]
    following = str(shown[-1][0]) if shown and len(found) > limit else None
    # `at` is exact to the millisecond, the page to the microsecond.
    events = sorted((event for _, event in shown), key=_moment, reverse=True)
    return Page(events, following)


def _moment(event: Event) -> str:
    return instant(event["@timestamp"]) or ""
