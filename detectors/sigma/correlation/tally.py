"""What a group remembers: just as much as its condition needs, in the order of time.

Every tally answers for the entries at or after a horizon, which only moves forward.
"""

from bisect import bisect_left, insort
from collections import OrderedDict, deque
from collections.abc import Sequence
from fractions import Fraction
from itertools import islice
from typing import Any, Final, NamedTuple, Protocol

from detectors.sigma.correlation.match import Scalar, key_of, numbers
from detectors.sigma.correlation.rule import Bounds, Correlation

_LOOK_BACK: Final = 16
"""Entries to look back for an event that another rule matched too."""
MAX_NUMBERS: Final = 10_000
"""Numbers that a group keeps for a sum, an average or a percentile; the oldest go first."""


class Entry(NamedTuple):
    """Something that counts: when (microseconds), what, by which rule (position), about whom,
    and the events under it."""

    time: int
    id: str
    rule: int
    about: tuple[str, ...] = ()
    under: tuple[str, ...] = ()

    @classmethod
    def of(cls, values: Sequence[Any]) -> "Entry":
        """Return the entry that JSON made a list of."""
        time, identifier, rule, about, under = values
        return cls(time, identifier, rule, tuple(about), tuple(under))


class Tally(Protocol):
    """The memory of a group; `add` wants entries in the order of time."""

    def add(self, entry: Entry, values: Sequence[Sequence[Scalar]], horizon: int) -> bool:
        """Take an entry with the values of the counted fields; false when it does not count."""
        ...

    def holds(self, horizon: int) -> bool:
        """Tell whether the condition is true for what came at or after the horizon."""
        ...

    def shown(self) -> Any:  # noqa: ANN401 - any JSON value
        """Return the value that was compared, for people."""
        ...

    def entries(self) -> Sequence[Entry]:
        """Return what was counted, oldest first."""
        ...

    def __len__(self) -> int:
        """Return how many entries are kept."""
        ...

    def dump(self) -> Any:  # noqa: ANN401
        """Return the memory as plain JSON values."""
        ...

    def load(self, state: Any) -> None:  # noqa: ANN401
        """Take back what `dump` gave."""
        ...


class Events:
    """event_count: the newest events, as many as decide."""

    def __init__(self, bounds: Bounds) -> None:
        self.bounds = bounds
        self._entries: deque[Entry] = deque(maxlen=bounds.enough)

    def add(self, entry: Entry, values: Sequence[Sequence[Scalar]], horizon: int) -> bool:
        """Take an event, once however many rules matched it."""
        if any(known.id == entry.id for known in islice(reversed(self._entries), _LOOK_BACK)):
            return False
        self._entries.append(entry)
        return True

    def holds(self, horizon: int) -> bool:
        """Tell whether the number of events fits."""
        while self._entries and self._entries[0].time < horizon:
            self._entries.popleft()
        return self.bounds.holds(len(self._entries))

    def shown(self) -> int:
        """Return the number of events."""
        return len(self._entries)

    def entries(self) -> Sequence[Entry]:
        """Return the events."""
        return list(self._entries)

    def __len__(self) -> int:
        return len(self._entries)

    def dump(self) -> list[Any]:
        """Return the events."""
        return [tuple(entry) for entry in self._entries]

    def load(self, state: Any) -> None:  # noqa: ANN401
        """Take back the events."""
        self._entries.extend(Entry.of(item) for item in state)


class Values:
    """value_count: the values seen last, as many as decide, each with its last event."""

    def __init__(self, bounds: Bounds) -> None:
        self.bounds = bounds
        self._most = bounds.enough
        self._last: OrderedDict[str, Entry] = OrderedDict()

    def add(self, entry: Entry, values: Sequence[Sequence[Scalar]], horizon: int) -> bool:
        """Take the combinations of values of an event; without a value it does not count."""
        for combination in values:
            key = key_of(combination)
            self._last[key] = entry
            self._last.move_to_end(key)
            if len(self._last) > self._most:
                self._last.popitem(last=False)
        return bool(values)

    def holds(self, horizon: int) -> bool:
        """Tell whether the number of different values fits."""
        while self._last and next(iter(self._last.values())).time < horizon:
            self._last.popitem(last=False)
        return self.bounds.holds(len(self._last))

    def shown(self) -> int:
        """Return the number of different values."""
        return len(self._last)

    def entries(self) -> Sequence[Entry]:
        """Return the last event of each value."""
        return list(dict.fromkeys(self._last.values()))

    def __len__(self) -> int:
        return len(self._last)

    def dump(self) -> list[Any]:
        """Return values and events."""
        return [[value, tuple(entry)] for value, entry in self._last.items()]

    def load(self, state: Any) -> None:  # noqa: ANN401
        """Take back values and events."""
        self._last.update((value, Entry.of(entry)) for value, entry in state)


class Numbers:
    """value_sum, value_avg, value_percentile, value_median: exact, whatever the order of adding."""

    def __init__(self, one: Correlation, bounds: Bounds) -> None:
        self.bounds = bounds
        self.kind = one.kind
        self.percentile = 50 if one.kind == "value_median" else one.percentile
        self.dropped = 0
        self._entries: deque[tuple[Entry, int | float]] = deque()
        self._total = Fraction(0)
        self._sorted: list[int | float] = []
        self._ranked = one.kind in ("value_percentile", "value_median")

    def add(self, entry: Entry, values: Sequence[Sequence[Scalar]], horizon: int) -> bool:
        """Take the numbers of an event, once however many rules matched it."""
        if any(known.id == entry.id for known, _ in islice(reversed(self._entries), _LOOK_BACK)):
            return False
        found = numbers([value for combination in values for value in combination])
        for number in found:
            self._append(entry, number)
            if len(self._entries) > MAX_NUMBERS:
                self._forget()
                self.dropped += 1
        return bool(found)

    def _append(self, entry: Entry, number: int | float) -> None:
        self._entries.append((entry, number))
        if self._ranked:
            insort(self._sorted, number)
        else:
            self._total += Fraction(number)

    def _forget(self) -> None:
        _, number = self._entries.popleft()
        if self._ranked:
            del self._sorted[bisect_left(self._sorted, number)]
        else:
            self._total -= Fraction(number)

    def _value(self) -> Fraction:
        count = len(self._entries)
        if not self._ranked:
            return self._total / count if self.kind == "value_avg" else self._total
        place = Fraction(self.percentile) * (count - 1) / 100
        below = int(place)
        low = Fraction(self._sorted[below])
        if below + 1 == count:
            return low
        return low + (place - below) * (Fraction(self._sorted[below + 1]) - low)

    def holds(self, horizon: int) -> bool:
        """Tell whether the sum, average or percentile fits."""
        while self._entries and self._entries[0][0].time < horizon:
            self._forget()
        return bool(self._entries) and self.bounds.holds(self._value())

    def shown(self) -> int | float:
        """Return the sum, average or percentile."""
        value = self._value()
        return value.numerator if value.denominator == 1 else float(value)

    def entries(self) -> Sequence[Entry]:
        """Return the events whose numbers were used."""
        return list(dict.fromkeys(entry for entry, _ in self._entries))

    def __len__(self) -> int:
        return len(self._entries)

    def dump(self) -> list[Any]:
        """Return events and numbers, whole ones as text: JSON does not carry every one."""
        return [
            [tuple(entry), str(number) if isinstance(number, int) else number]
            for entry, number in self._entries
        ]

    def load(self, state: Any) -> None:  # noqa: ANN401
        """Take back events and numbers."""
        for entry, number in state:
            self._append(Entry.of(entry), int(number) if isinstance(number, str) else number)
