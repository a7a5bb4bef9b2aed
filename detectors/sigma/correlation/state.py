"""A correlation at work: its groups, when they fire, and what is forgotten when.

Two ways, by the condition. A *rising* one (at least ...) is looked at with every event, over the
timespan that ends with it. One that further events could undo (at most, equal, a range, `not`) is
decided when its window ends: the window opens with the group's first event outside of any other.
"""

from collections import Counter, OrderedDict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice, product
from typing import Any, Final

from detectors.sigma.correlation.match import (
    MAX_ELEMENTS,
    Match,
    Scalar,
    groups,
    key_of,
)
from detectors.sigma.correlation.rule import Bounds, Correlation
from detectors.sigma.correlation.tally import Entry, Events, Numbers, Tally, Values
from detectors.sigma.correlation.temporal import Ordered, Together
from soc.model.happened import entities_of

MAX_GROUPS: Final = 50_000
"""Groups of a correlation; beyond, the one that was idle longest is forgotten."""
MAX_ENTRIES: Final = 200_000
"""Entries in all groups of a correlation."""


Mine = Callable[[Correlation, Sequence[Scalar]], bool]
"""Tells whether a group is counted here; the others are counted elsewhere."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What a correlation may remember."""

    groups: int = MAX_GROUPS
    entries: int = MAX_ENTRIES


@dataclass(frozen=True, slots=True)
class Result:
    """A group's condition is true: of which correlation, with what, at which time.

    `fired` is false while it stays true within a timespan after it fired.
    """

    one: Correlation
    key: str
    values: tuple[Scalar, ...]
    match: Match
    time: int
    shown: Any
    entries: Sequence[Entry]
    fired: bool


def tally(one: Correlation) -> Tally:
    """Return the empty memory of a group of this correlation."""
    if isinstance(one.condition, Bounds):
        if one.kind == "event_count":
            return Events(one.condition)
        if one.kind == "value_count":
            return Values(one.condition)
        if not one.temporal:
            return Numbers(one, one.condition)
    return Ordered(one) if one.kind == "temporal_ordered" else Together(one)


@dataclass(slots=True)
class _Group:
    """`at`: when it counted last, or when its window opened. `fired`: when it fired last.

    `match`: the newest one of a window that is open.
    """

    values: tuple[Scalar, ...]
    tally: Tally
    at: int
    fired: int | None = None
    match: Match | None = None


class State:
    """The groups of one correlation. Matches must come in the order of time."""

    def __init__(
        self, one: Correlation, counters: Counter[str], limits: Limits, mine: Mine | None = None
    ) -> None:
        self.one = one
        self.mine = mine
        self.counters = counters
        self.limits = limits
        self.span = one.timespan * 1_000_000
        self._groups: OrderedDict[str, _Group] = OrderedDict()
        self._hidden: OrderedDict[str, dict[int, Entry]] = OrderedDict()
        self._entries = 0
        self._back = self.span if one.kind == "temporal" and one.negated else 0

    @property
    def due(self) -> int | None:
        """Return when the next window ends, None when nothing waits for an end."""
        if self.one.rising or not self._groups:
            return None
        return next(iter(self._groups.values())).at + self.span

    def feed(self, match: Match) -> Iterator[Result]:
        """Take a match and yield the groups whose condition is true with it."""
        one = self.one
        if not one.temporal and not match.fired:
            return
        rule = one.rules.index(match.rule)
        about = entities_of(match.event) if one.temporal else ()
        entry = Entry(match.time, match.id, rule, about, match.under)
        fields = [
            match.fields.get(one.field_of(name, match.rule, match.base), ()) for name in one.fields
        ]
        values = list(islice(product(*fields), MAX_ELEMENTS)) if fields else []
        found = False
        for group in groups(one, match):
            found = True
            if self.mine is not None and not self.mine(one, group):
                continue
            if one.rising:
                yield from self._rise(group, entry, values, match)
            else:
                self._collect(group, entry, values, match)
        if not found:
            self.counters["ungrouped"] += 1

    def _rise(
        self,
        values: tuple[Scalar, ...],
        entry: Entry,
        counted: Sequence[Sequence[Scalar]],
        match: Match,
    ) -> Iterator[Result]:
        key = key_of(values)
        self._expire(match.time)
        group = self._groups.get(key) or _Group(values, tally(self.one), match.time)
        horizon = match.time - self.span
        if not self._added(group, entry, counted, horizon):
            return
        group.at = match.time
        self._groups[key] = group
        self._groups.move_to_end(key)
        before = len(group.tally)
        true = group.tally.holds(horizon)
        self._entries += len(group.tally) - before
        if true:
            fires = group.fired is None or match.time - group.fired > self.span
            if fires:
                group.fired = match.time
            yield self._result(key, group, match, match.time, fires)
        self._limit()

    def _collect(
        self,
        values: tuple[Scalar, ...],
        entry: Entry,
        counted: Sequence[Sequence[Scalar]],
        match: Match,
    ) -> None:
        key = key_of(values)
        opening = entry.rule not in self.one.negated
        if not opening and self._back:
            self._remember(key, entry)
        group = self._groups.get(key)
        if group is None:
            if not opening:
                return
            group = _Group(values, tally(self.one), match.time)
            for hidden in self._hidden.get(key, {}).values():
                self._added(group, hidden, (), match.time - self._back)
        if not self._added(group, entry, counted, group.at - self._back):
            return
        self._groups[key] = group
        if opening:
            group.match = match
        self._limit()

    def _added(
        self, group: _Group, entry: Entry, counted: Sequence[Sequence[Scalar]], horizon: int
    ) -> bool:
        before = len(group.tally)
        counts = group.tally.add(entry, counted, horizon)
        self._entries += len(group.tally) - before
        return counts

    def _remember(self, key: str, entry: Entry) -> None:
        """Keep what the condition excludes: it may come before what it is excluded from."""
        self._hidden.setdefault(key, {})[entry.rule] = entry
        self._hidden.move_to_end(key)
        while len(self._hidden) > self.limits.groups:
            self._hidden.popitem(last=False)
            self.counters["evicted_groups"] += 1

    def close(self, before: int | None) -> Iterator[Result]:
        """Decide the windows that end before this time (None: all), in the order of their ends."""
        if self.one.rising:
            return
        while self._groups and (before is None or (self.due or 0) < before):
            key, group = self._groups.popitem(last=False)
            self._entries -= len(group.tally)
            horizon, end = group.at - self._back, group.at + self.span
            if group.match is not None and group.tally.holds(horizon):
                yield self._result(key, group, group.match, end, True)
        while self._hidden and (before is None or self._newest_hidden() + self.span < before):
            self._hidden.popitem(last=False)

    def _newest_hidden(self) -> int:
        return max(entry.time for entry in next(iter(self._hidden.values())).values())

    def _result(self, key: str, group: _Group, match: Match, time: int, fired: bool) -> Result:
        shown = group.tally.shown()
        return Result(self.one, key, group.values, match, time, shown, group.tally.entries(), fired)

    def _expire(self, now: int) -> None:
        """Forget the groups that can neither count nor hold back anything any more."""
        while self._groups:
            key, group = next(iter(self._groups.items()))
            if group.at + self.span >= now:
                return
            self._forget(key)

    def forget(self, after: int) -> None:
        """Forget the groups that counted something, or whose window opened, after this time."""
        for key in [key for key, group in self._groups.items() if group.at > after]:
            self._forget(key)
        for key, entries in list(self._hidden.items()):
            if any(entry.time > after for entry in entries.values()):
                del self._hidden[key]

    def _forget(self, key: str) -> _Group:
        group = self._groups.pop(key)
        self._entries -= len(group.tally)
        self.counters["dropped_numbers"] += getattr(group.tally, "dropped", 0)
        return group

    def _limit(self) -> None:
        while len(self._groups) > self.limits.groups or (
            self._entries > self.limits.entries and len(self._groups) > 1
        ):
            self._forget(next(iter(self._groups)))
            self.counters["evicted_groups"] += 1

    def dump(self) -> dict[str, Any]:
        """Return the groups as plain JSON values."""
        return {
            "groups": [
                [
                    key,
                    group.values,
                    group.tally.dump(),
                    group.at,
                    group.fired,
                    group.match.as_list() if group.match else None,
                ]
                for key, group in self._groups.items()
            ],
            "hidden": [
                [key, [tuple(entry) for entry in entries.values()]]
                for key, entries in self._hidden.items()
            ],
        }

    def load(self, state: dict[str, Any]) -> None:
        """Take back what `dump` gave; a group that is counted elsewhere now is left out."""
        for key, values, remembered, at, fired, match in state["groups"]:
            if self.mine is not None and not self.mine(self.one, values):
                continue
            group = _Group(tuple(values), tally(self.one), at, fired)
            group.tally.load(remembered)
            group.match = Match.of(match) if match else None
            self._groups[key] = group
            self._entries += len(group.tally)
        for key, entries in state["hidden"]:
            self._hidden[key] = {entry.rule: entry for entry in map(Entry.of, entries)}
