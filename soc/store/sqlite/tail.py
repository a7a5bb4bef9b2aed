"""Tailing a series: day by day, row by row; the cursor is `day/seq`."""

from collections.abc import Sequence
from functools import partial

from soc.errors import UsageError
from soc.model.event import Event
from soc.store.base import Batch
from soc.store.sqlite import documents as d
from soc.store.sqlite.catalogue import Day
from soc.store.sqlite.days import Days


def tail(files: Days, days: Sequence[Day], cursor: str | None, limit: int) -> Batch:
    """Return up to `limit` events behind the cursor.

    `days` was read before: one that has a successor in it gets no more documents, so reading goes
    on to the next as soon as nothing is left.
    """
    day, seq = read(cursor)
    events: list[Event] = []
    for one in days:
        if one.day < day or len(events) >= limit:
            continue
        start = seq if one.day == day else 0
        nothing: list[d.Row] = []
        ask = partial(d.after, seq=start, limit=limit - len(events))
        rows = files.read(one, ask, nothing)
        if rows:
            events += [event for _, event in rows]
            day, seq = one.day, rows[-1][0]
    return Batch(events, f"{day}/{seq}" if events else cursor or "")


def read(cursor: str | None) -> tuple[str, int]:
    """Return the day and the row of a cursor; raise UsageError for anything else."""
    if not cursor:
        return "", 0
    day, slash, seq = cursor.partition("/")
    if not slash or not seq.isascii() or not seq.isdecimal() or len(seq) > 18:
        raise UsageError("not a cursor of this store", hint="pass the cursor of the batch before")
    return day, int(seq)
