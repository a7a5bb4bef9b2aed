"""Which indices are looked at: all of them once a minute, in between those that can have news.

An index that has a successor takes what was on its way when the stream turned, and nothing else;
a request ends within a minute (`client.SECONDS`). So an index that has a successor and stood still,
read to its end, from one whole look to the next is left out until the one after that. Indices are
left out by the day in their names: a request has no room for thousands of names, and one that is
begun later is seen at once.
"""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Final

from soc.store.elastic.client import SECONDS, Client
from soc.store.elastic.names import Backing
from soc.store.elastic.tail import Shard, listed, read

WHOLE: Final = SECONDS + 5.0
"""Seconds between two looks at everything."""
MOST: Final = 40
"""Days, months or years that are left out: what fits into the line of a request."""
PARTS: Final = (4, 7, 10)
"""What of a day's text is a year, a month, the whole."""

ALL: Final = ""
"""The name of a cursor that is not one shard's, but of all."""

State = dict[str, int]
"""How far an index has come, by shard."""


class Look:
    """The looks of one store object at the streams of a pattern. `now` is monotonic."""

    def __init__(self, pattern: str, now: Callable[[], float] = time.monotonic) -> None:
        self.pattern = pattern
        self._now = now
        self._whole_at: float | None = None
        self._still: dict[str, State] = {}
        self._days: list[str] = []
        self._cursors: dict[str, str | None] = {}
        self.left_out: set[str] = set()
        """The indices that are there and not looked at."""

    def shards(self, client: Client) -> list[Shard]:
        """Return the shards that can have news, with their checkpoints; one request."""
        now = self._now()
        if self._whole_at is None or now - self._whole_at >= WHOLE:
            found = listed(client, self.pattern)
            self._judge(found)
            self._whole_at = now
            return found
        if not self._days:
            return listed(client, self.pattern)
        # Of a data stream's own name nothing can be left out: so the indices behind are named.
        behind = f".ds-{self.pattern}-"
        without = [f"-{behind}{day}*" for day in self._days]
        found = listed(client, ",".join([f"{behind}*", *without]))
        return [one for one in found if fnmatchcase(one.index.stream, self.pattern)]

    def given(self, name: str, cursor: str | None) -> None:
        """Note from where a shard is read; one that we do not know may lie anywhere behind."""
        if name not in self._cursors or self._cursors[name] != cursor:
            self._whole_at, self._still = None, {}
            self._cursors[name] = cursor

    def gave(self, name: str, cursor: str) -> None:
        """Note how far a shard has been read."""
        self._cursors[name] = cursor

    def _judge(self, found: Sequence[Shard]) -> None:
        """Find out which indices may be left out from here on."""
        newest: dict[str, int] = {}
        reached: dict[Backing, State] = {}
        for one in found:
            index = one.index
            newest[index.stream] = max(newest.get(index.stream, 0), index.generation)
            reached.setdefault(index, {})[one.key] = one.until
        cursors = {name: read(cursor) for name, cursor in self._cursors.items()}
        still = {
            index.name: state
            for index, state in reached.items()
            if index.generation < newest[index.stream] and _drained(index, state, cursors)
        }
        out = [
            index for index in reached if self._still.get(index.name) == still.get(index.name, 0)
        ]
        names = {index.name for index in out}
        self._still = still
        self._days = _days(out, (index for index in reached if index.name not in names))
        self.left_out = {
            index.name for index in out if any(_day(index).startswith(day) for day in self._days)
        }


def _drained(
    index: Backing, state: State, cursors: Mapping[str, Mapping[str, Mapping[str, int]]]
) -> bool:
    """Tell whether nothing is left to read of an index, in those of its shards that we read."""
    for key, until in state.items():
        for name in (ALL, f"{index.stream}/{key.partition('@')[0]}"):
            if name in cursors and cursors[name].get(index.name, {}).get(key, -1) < until:
                return False
    return True


def _day(index: Backing) -> str:
    return index.created.replace("-", ".")


def _days(out: Iterable[Backing], stay: Iterable[Backing]) -> list[str]:
    """Return the years, months and days all of whose indices are left out, the longest first."""
    staying = {_day(index) for index in stay}
    found: set[str] = set()
    for day in {_day(index) for index in out}:
        for length in PARTS:
            if not any(one.startswith(day[:length]) for one in staying):
                found.add(day[:length])
                break
    return sorted(found, key=lambda day: (len(day), day))[:MOST]
