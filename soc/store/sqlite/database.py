"""One SQLite file: connections, transactions, schema versions, and errors that people understand.

WAL with synchronous=FULL: a commit that returned survives a power cut, readers never wait for
the writer. A connection is lent to one thread at a time and goes back to the file's pool.
"""

import os
import sqlite3
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from soc.errors import SocError, StoreError

BUSY_SECONDS: Final = 10.0
Step = Callable[[sqlite3.Connection], None]
"""A migration from one schema version to the next, run inside a transaction."""

_SETUP: Final = (
    "PRAGMA journal_mode = WAL",
    "PRAGMA synchronous = FULL",
    # A merge of index segments writes much at once: 16 MB of log before pages are copied back.
    "PRAGMA wal_autocheckpoint = 4000",
    "PRAGMA journal_size_limit = 67108864",
    "PRAGMA cache_size = -16000",
    "PRAGMA trusted_schema = OFF",
)
_HINTS: Final = {
    sqlite3.SQLITE_FULL: ("the disk is full", "free space, or set [retention] in soc.toml"),
    sqlite3.SQLITE_BUSY: ("another process holds the store", "wait for it, or stop it"),
    sqlite3.SQLITE_LOCKED: ("another process holds the store", "wait for it, or stop it"),
    sqlite3.SQLITE_READONLY: ("the store is not writable", "check owner and mode of the file"),
    sqlite3.SQLITE_PERM: ("the store is not accessible", "check owner and mode of the file"),
    sqlite3.SQLITE_CANTOPEN: ("the file cannot be opened", "check that it exists, and its owner"),
    sqlite3.SQLITE_IOERR: ("reading or writing failed", "check the disk: dmesg, smartctl"),
}
_DAMAGED: Final = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


class Damaged(StoreError):
    """The file is not a database any more, or not one of ours."""


@contextmanager
def explained(path: Path) -> Iterator[None]:
    """Turn SQLite's and the system's errors into StoreError, with a next step."""
    try:
        yield
    except SocError:
        raise
    except sqlite3.Error as error:
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF
        if code in _DAMAGED:
            hint = "restore the file from a backup, or move it away"
            raise Damaged(f"the file is damaged: {error}", where=str(path), hint=hint) from error
        what, hint = _HINTS.get(code, (f"SQLite: {error}", "sqlite3 FILE 'PRAGMA quick_check'"))
        raise StoreError(what, where=str(path), hint=hint) from error
    except UnicodeEncodeError as error:
        what = "a name has characters that are no text"
        raise StoreError(what, where=str(path), hint="use UTF-8") from error
    except OSError as error:
        hint = "check the path, its owner and free space"
        raise StoreError(f"{error.strerror or error}", where=str(path), hint=hint) from error


class Database:
    """A SQLite file with its pool of connections; `steps` build and migrate its schema."""

    def __init__(self, path: Path, steps: Sequence[Step]) -> None:
        self.path = path
        self._steps = steps
        self._idle: list[sqlite3.Connection] = []
        self._lock = threading.Lock()
        self._closed = False

    def create(self) -> None:
        """Make the file with its schema, private to its owner, and make its name durable."""
        with explained(self.path):
            os.close(os.open(self.path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600))
            folder = os.open(self.path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)
        with self.read():
            pass

    @contextmanager
    def read(self) -> Iterator[sqlite3.Connection]:
        """Lend a connection. Fetch everything before it goes back: open cursors pin the log."""
        with explained(self.path):
            connection = self._take()
            try:
                yield connection
            finally:
                self._give_back(connection)

    @contextmanager
    def write(self) -> Iterator[sqlite3.Connection]:
        """Lend a connection inside a transaction that commits, or rolls back on any error."""
        with self.read() as connection:
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
                connection.execute("COMMIT")
            except BaseException:
                with suppress(sqlite3.Error):  # the first error is the one to tell
                    if connection.in_transaction:
                        connection.execute("ROLLBACK")
                raise

    def close(self) -> None:
        """Close the idle connections; lent ones close when they come back."""
        with self._lock:
            self._closed = True
            idle, self._idle = self._idle, []
        for connection in idle:
            connection.close()

    def _take(self) -> sqlite3.Connection:
        with self._lock:
            if self._idle:
                return self._idle.pop()
        return self._open()

    def _give_back(self, connection: sqlite3.Connection) -> None:
        with self._lock:
            if not self._closed:
                self._idle.append(connection)
                return
        connection.close()

    def _open(self) -> sqlite3.Connection:
        connection = sqlite3.connect(
            f"{self.path.absolute().as_uri()}?mode=rw",
            uri=True,
            timeout=BUSY_SECONDS,
            isolation_level=None,
            check_same_thread=False,
        )
        try:
            for pragma in _SETUP:
                connection.execute(pragma)
            self._migrate(connection)
        except BaseException:
            connection.close()
            raise
        return connection

    def _migrate(self, connection: sqlite3.Connection) -> None:
        if self._version(connection) == len(self._steps):
            return
        connection.execute("BEGIN IMMEDIATE")
        try:
            version = self._version(connection)
            for step in self._steps[version:]:
                step(connection)
            connection.execute(f"PRAGMA user_version = {len(self._steps)}")
            connection.execute("COMMIT")
        except BaseException:
            with suppress(sqlite3.Error):
                connection.execute("ROLLBACK")
            raise

    def _version(self, connection: sqlite3.Connection) -> int:
        version: int = connection.execute("PRAGMA user_version").fetchone()[0]
        if version > len(self._steps):
            raise StoreError(
                f"schema {version} is newer than this program knows ({len(self._steps)})",
                where=str(self.path),
                hint="upgrade metrosoc",
            )
        if version == 0 and connection.execute("SELECT 1 FROM sqlite_master").fetchone():
            raise Damaged("not a file of this store", where=str(self.path), hint="move it away")
        return version
