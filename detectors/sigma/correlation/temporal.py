"""What a group of a temporal correlation remembers: which rules matched, and in which order."""

from collections.abc import Sequence
from typing import Any

from detectors.sigma.correlation.match import Scalar
from detectors.sigma.correlation.rule import Bounds, Correlation
from detectors.sigma.correlation.tally import Entry


class Together:
    """temporal: the last match of each rule."""

    def __init__(self, one: Correlation) -> None:
        self.one = one
        self._last: dict[int, Entry] = {}

    def add(self, entry: Entry, values: Sequence[Sequence[Scalar]], horizon: int) -> bool:
        """Take a match."""
        self._last[entry.rule] = entry
        return True

    def holds(self, horizon: int) -> bool:
        """Tell whether the rules that occurred fulfil the condition."""
        self._last = {rule: e for rule, e in self._last.items() if e.time >= horizon}
        return self.one.holds_for(sum(1 << rule for rule in self._last))

    def shown(self) -> list[str]:
        """Return the titles of the rules that occurred."""
        return [self.one.titles[rule] for rule in sorted(self._last)]

    def entries(self) -> Sequence[Entry]:
        """Return the last match of each rule."""
        return sorted(self._last.values())

    def __len__(self) -> int:
        return len(self._last)

    def dump(self) -> list[Any]:
        """Return the matches."""
        return [tuple(entry) for entry in self._last.values()]

    def load(self, state: Any) -> None:  # noqa: ANN401
        """Take back the matches."""
        self._last = {entry.rule: entry for entry in map(Entry.of, state)}


Chain = tuple[Entry, ...]


class Ordered:
    """temporal_ordered: for each set of rules, the chain in the right order that began last.

    Of chains over the same rules only that one matters: it is inside every window that another
    is inside of. Matches of the same time count as in either order, because the clocks of many
    logs know seconds only; so those of the newest time are kept apart until time goes on.
    """

    def __init__(self, one: Correlation) -> None:
        self.one = one
        self._past: dict[int, Chain] = {}
        self._time = 0
        self._now: dict[int, Entry] = {}
        self._hidden = 0
        self._shown: Chain = ()

    def add(self, entry: Entry, values: Sequence[Sequence[Scalar]], horizon: int) -> bool:
        """Take a match."""
        if entry.rule in self.one.negated:
            self._hidden |= 1 << entry.rule
            return True
        if entry.time > self._time:
            chains = self._chains()
            self._past = {m: chain for m, chain in chains.items() if chain[0].time >= horizon}
            self._now, self._time = {}, entry.time
        self._now[entry.rule] = entry
        return True

    def _chains(self) -> dict[int, Chain]:
        chains = dict(self._past)
        useful = self.one.useful
        for rule in sorted(self._now):
            entry, bit = self._now[rule], 1 << rule
            for mask, chain in list(chains.items()):
                longer = mask | bit
                if mask < bit and longer in useful:
                    known = chains.get(longer)
                    if known is None or chain[0].time >= known[0].time:
                        chains[longer] = (*chain, entry)
            if bit in useful:
                chains[bit] = (entry,)
        return chains

    def holds(self, horizon: int) -> bool:
        """Tell whether a chain in the right order fulfils the condition."""
        alive = {m: c for m, c in self._chains().items() if c[0].time >= horizon}
        if isinstance(self.one.condition, Bounds):
            best = max(alive, key=int.bit_count, default=0)
            self._shown = alive.get(best, ())
            return self.one.condition.holds(best.bit_count())
        for mask, chain in alive.items():
            if self.one.holds_for(mask | self._hidden):
                self._shown = chain
                return True
        return False

    def shown(self) -> list[str]:
        """Return the titles of the rules in the order in which they occurred."""
        return [self.one.titles[entry.rule] for entry in self._shown]

    def entries(self) -> Sequence[Entry]:
        """Return the matches of the chain."""
        return self._shown

    def __len__(self) -> int:
        return sum(map(len, self._past.values())) + len(self._now)

    def dump(self) -> list[Any]:
        """Return the chains."""
        past = [[mask, [tuple(e) for e in chain]] for mask, chain in self._past.items()]
        return [past, self._time, [tuple(e) for e in self._now.values()], self._hidden]

    def load(self, state: Any) -> None:  # noqa: ANN401
        """Take back the chains."""
        past, self._time, now, self._hidden = state
        self._past = {mask: tuple(map(Entry.of, chain)) for mask, chain in past}
        self._now = {entry.rule: entry for entry in map(Entry.of, now)}
