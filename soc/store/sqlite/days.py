"""The day files of a store: opened when needed, skipped when damaged, deleted by retention."""

import logging
import sqlite3
import threading
from collections import OrderedDict
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Final, TypeVar

from soc.errors import StoreError
from soc.store.sqlite import documents as d
from soc.store.sqlite.catalogue import Catalogue, Day, Span, day_files
from soc.store.sqlite.database import Damaged, Database
from soc.store.sqlite.schema import DAY

MAX_OPEN: Final = 16
EVER: Final = Span(0, 1 << 48)
T = TypeVar("T")
_log = logging.getLogger("soc.store")


class Days:
    """Databases of day files by name; the least recently used are closed."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._open: OrderedDict[str, Database] = OrderedDict()
        self._lock = threading.Lock()
        self._reported: set[str] = set()

    def database(self, day: Day) -> Database:
        """Return the database of a day file."""
        surplus: list[Database] = []
        with self._lock:
            found = self._open.pop(day.file, None) or Database(self._folder / day.file, DAY)
            self._open[day.file] = found
            while len(self._open) > MAX_OPEN:
                surplus.append(self._open.popitem(last=False)[1])
        for database in surplus:
            database.close()
        return found

    def read(self, day: Day, ask: Callable[[sqlite3.Connection], T], default: T) -> T:
        """Return what `ask` reads from a day, the default when it is damaged or has vanished.

        A damaged file is reported once.
        """
        try:
            with self.database(day).read() as connection:
                return ask(connection)
        except Damaged as error:
            self.report(day, error)
        except StoreError as error:
            if self.path(day).exists():
                raise
            self.report(day, error)
        return default

    def adopt(self, catalogue: Catalogue) -> None:
        """Enter day files that nobody knows: `state.db` was lost, or a crash came in between."""
        known = {day.file for day in catalogue.days()}
        for series, name in day_files(self._folder):
            day = Day(series, name)
            if day.file not in known:
                times = Span().widened(self.read(day, d.extent, []))
                catalogue.save(replace(day, times=times, ids=EVER, loose_ids=True))

    def report(self, day: Day, error: StoreError) -> None:
        """Say once that a day cannot be read."""
        with self._lock:
            known = day.file in self._reported
            self._reported.add(day.file)
        if not known:
            _log.warning("%s is skipped: %s", day.file, error)

    def path(self, day: Day) -> Path:
        """Return where a day file lies."""
        return self._folder / day.file

    def size(self, day: Day) -> int:
        """Return the bytes of a day file and its log."""
        total = 0
        for suffix in ("", "-wal"):
            with suppress(FileNotFoundError):
                total += (self._folder / (day.file + suffix)).stat().st_size
        return total

    def delete(self, day: Day) -> None:
        """Delete a day file; readers that have it open finish undisturbed."""
        with self._lock:
            database = self._open.pop(day.file, None)
        if database:
            database.close()
        for suffix in ("", "-wal", "-shm"):
            (self._folder / (day.file + suffix)).unlink(missing_ok=True)

    def close(self) -> None:
        """Close every file."""
        with self._lock:
            found, self._open = list(self._open.values()), OrderedDict()
        for database in found:
            database.close()
