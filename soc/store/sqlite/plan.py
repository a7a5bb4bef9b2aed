"""How a query is answered: which candidates the index proposes, and over which time.

Everything here is a superset: `match` may propose too much and never misses. What the index cannot
propose (NOT, ranges, patterns that begin with a wildcard, fields that change) leaves `match`
empty: a scan, bounded by time.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from soc.model.alert import MUTABLE
from soc.model.time import iso
from soc.store import query as q
from soc.store.predicate import Predicate, compile
from soc.store.sqlite.catalogue import MAX_MILLIS
from soc.store.sqlite.documents import millis
from soc.store.sqlite.tokens import OVERFLOW, digits, exact, spelled, word
from soc.store.values import kind, source

PREFIX: Final = " *"
"""What follows a quoted token that stands for all that begin so."""


@dataclass(frozen=True, slots=True)
class Plan:
    """Candidates: `match` (FTS5, None: all) between two milliseconds; `test` decides.

    `broad`: the index gathers all that begins so before it proposes the first.
    `whole_millis`: all documents of low <= @timestamp < high, nothing is left to decide.
    """

    match: str | None
    low: int
    high: int
    test: Predicate
    broad: bool = False
    whole_millis: bool = False


def plan(query: q.Node, since: datetime | None, until: datetime | None) -> Plan:
    """Return the plan for a query over `since` <= @timestamp < `until`."""
    bounded = since is not None or until is not None
    node = q.And((query, q.Times("@timestamp", since, until))) if bounded else query
    low, high = 0, MAX_MILLIS
    for times in _times(node):
        low = max(low, _millis(times.low)) if times.low else low
        high = min(high, _millis(times.high)) if times.high else high
    match = proposal(node)
    return Plan(
        match=f'({match}) OR "{OVERFLOW}"' if match else None,
        low=low,
        high=high,
        test=compile(node),
        broad=match is not None and f'"{PREFIX}' in match,
        whole_millis=isinstance(query, q.All) and not _fraction(since) and not _fraction(until),
    )


def _millis(moment: datetime) -> int:
    return millis(iso(moment)) or 0


def _fraction(moment: datetime | None) -> int:
    return moment.microsecond % 1000 if moment else 0


def _times(node: q.Node) -> Iterator[q.Times]:
    """Yield the conditions on @timestamp that every match fulfils."""
    match node:
        case q.Times("@timestamp"):
            yield node
        case q.And(parts):
            for part in parts:
                yield from _times(part)


def proposal(node: q.Node) -> str | None:
    """Return the FTS5 expression of which every match is a hit; None when there is none."""
    match node:
        case q.And(parts):
            found = [one for part in parts if (one := proposal(part))]
            return f"({' AND '.join(found)})" if found else None
        case q.Or(parts):
            every = [proposal(part) for part in parts]
            wanted = [one for one in every if one]
            return f"({' OR '.join(wanted)})" if wanted and len(wanted) == len(every) else None
        case q.Words(field, words):
            if field is None or source(field) not in MUTABLE:
                return f"({' AND '.join(_quoted(word(one)) for one in words)})"
        case q.Wildcard(field, pattern):
            return _prefix(field, pattern)
        case q.Equals(field, value) if source(field) not in MUTABLE:
            spelling = spelled(source(field), value)
            return None if spelling is None else _quoted(exact(source(field), spelling))
        case q.Addresses(field, low, high) if source(field) not in MUTABLE:
            return _block(source(field), low, high)
    return None


def _quoted(token: str) -> str:
    return '"' + token.replace('"', '""') + '"'


def _prefix(field: str | None, pattern: q.Pattern) -> str | None:
    start = pattern[0]
    if not isinstance(start, str) or not start:
        return None
    if field is None or kind(field) == "text":
        token = word(start)
    elif source(field) in MUTABLE:
        return None
    else:
        token = exact(source(field), start)
    return _quoted(token) + PREFIX


def _block(field: str, low: int, high: int) -> str | None:
    first, last = digits(low) if low >= 0 else "", digits(high) if high >= 0 else ""
    if low == high:
        return _quoted(exact(field, first))
    if len(first) != len(last) or low > high:
        return None
    shared = 0
    while first[shared] == last[shared]:
        shared += 1
    return _quoted(exact(field, first[:shared])) + PREFIX if shared else None
