"""Which day files there are, and which of them can hold a document: one small table in `state.db`.

A series is a stream or a partition of it (`events`, `matches-003`); its files are named by the UTC
day on which they were begun. A file that is damaged while it is the newest is followed by
`2026-11-22.01`. Ranges are widened before the documents commit, and by whole hours, so that this
table is written about once an hour and never promises less than the files hold.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import Final

from soc.store.sqlite.database import Database

MAX_MILLIS: Final = (1 << 43) - (1 << 20)
"""Times are clamped to 1970..2248: 43 bits of milliseconds, and room above for counters."""
_HOUR: Final = 3_600_000
_FILE: Final = re.compile(r"(events|matches-\d{3})-(\d{4}-\d\d-\d\d(?:\.\d\d)?)\.db", re.ASCII)


@dataclass(frozen=True, slots=True)
class Span:
    """Lowest and highest millisecond, None for none yet."""

    low: int | None = None
    high: int | None = None

    def widened(self, moments: Iterable[int]) -> "Span":
        """Return the span that also holds these moments, rounded outwards to whole hours."""
        known = [moment for moment in (self.low, self.high) if moment is not None]
        found = [*moments, *known]
        if not found:
            return self
        low, high = min(found), max(found)
        return Span(low - low % _HOUR, high if high % _HOUR == 0 else high - high % _HOUR + _HOUR)

    def meets(self, low: int, high: int) -> bool:
        """Tell whether something between two moments (both included) may lie inside."""
        return (
            self.low is not None and self.high is not None and self.low <= high and low <= self.high
        )


@dataclass(frozen=True, slots=True)
class Day:
    """A day file: `times` spans its @timestamps, `ids` the times in its ids.

    `loose_ids`: it may hold ids without a time of their own.
    """

    series: str
    day: str
    times: Span = Span()
    ids: Span = Span()
    loose_ids: bool = False
    damaged: bool = False

    @property
    def date(self) -> date:
        """Return the UTC day."""
        return date.fromisoformat(self.day[:10])

    @property
    def file(self) -> str:
        """Return the name of the file."""
        return f"{self.series}-{self.day}.db"

    def widened(self, times: Iterable[int], ids: Sequence[int | None]) -> "Day":
        """Return the day with room for documents of these times and ids."""
        timed = [moment for moment in ids if moment is not None]
        return replace(
            self,
            times=self.times.widened(times),
            ids=self.ids.widened(timed),
            loose_ids=self.loose_ids or len(timed) < len(ids),
        )

    def may_hold(self, moment: int | None) -> bool:
        """Tell whether an id with this time (None: without one) may be in the file."""
        return self.loose_ids if moment is None else self.ids.meets(moment, moment)

    def next_name(self) -> str:
        """Return the day name of the file that follows this one on the same day."""
        return f"{self.day[:10]}.{int(self.day[11:] or 0) + 1:02d}"


class Catalogue:
    """The table of day files."""

    def __init__(self, state: Database) -> None:
        self._state = state

    def days(self, series: str | None = None) -> list[Day]:
        """Return the day files of a series (or all), oldest first."""
        with self._state.read() as connection:
            rows = connection.execute(
                "SELECT series, day, low, high, id_low, id_high, loose_ids, damaged FROM day"
                " WHERE ?1 IS NULL OR series = ?1 ORDER BY series, day",
                (series,),
            ).fetchall()
        return [_day(*row) for row in rows]

    def save(self, day: Day) -> None:
        """Add or replace a day file's entry, durably."""
        row = (
            day.series,
            day.day,
            day.times.low,
            day.times.high,
            day.ids.low,
            day.ids.high,
            day.loose_ids,
            day.damaged,
        )
        with self._state.write() as connection:
            connection.execute(
                "INSERT OR REPLACE INTO day (series, day, low, high, id_low, id_high, loose_ids,"
                " damaged) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                row,
            )

    def forget(self, day: Day) -> None:
        """Remove a day file's entry."""
        with self._state.write() as connection:
            connection.execute(
                "DELETE FROM day WHERE series = ? AND day = ?", (day.series, day.day)
            )


def day_files(folder: Path) -> Iterator[tuple[str, str]]:
    """Yield (series, day) of the day files in a folder."""
    for path in folder.iterdir():
        if found := _FILE.fullmatch(path.name):
            yield found[1], found[2]


def _day(
    series: str,
    day: str,
    low: int | None,
    high: int | None,
    id_low: int | None,
    id_high: int | None,
    loose_ids: int,
    damaged: int,
) -> Day:
    return Day(series, day, Span(low, high), Span(id_low, id_high), bool(loose_ids), bool(damaged))
