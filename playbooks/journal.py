"""The write-ahead journal: what was meant, done and found, hash-chained, in one SQLite file.

Every record is in the chain of `soc.audit.chain` and sealed with the node's key. Beside the file
lie the heads: one line `position hash seal` per record, appended after the record is on disk. A
record without a line (power loss in between) is sealed, so the next opening writes the line; a
line without a record means that the journal's end was cut off.
"""

import os
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import Any, Final, Self
from urllib.parse import quote

import orjson

from playbooks.model import canonical
from soc.audit import chain
from soc.audit.chain import Break, Head, Record, Verdict, follow, seal, verify
from soc.errors import InputError, StoreError
from soc.folders import private
from soc.model.time import iso

NAME: Final = "journal.db"
HEADS: Final = "journal.heads"
_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS journal (
    position INTEGER PRIMARY KEY,
    previous TEXT NOT NULL,
    body TEXT NOT NULL,
    hash TEXT NOT NULL,
    seal TEXT NOT NULL
) STRICT;
CREATE INDEX IF NOT EXISTS journal_run ON journal (body ->> '$.run');
CREATE TABLE IF NOT EXISTS claims (
    key TEXT PRIMARY KEY,
    resource TEXT NOT NULL,
    state TEXT NOT NULL,
    since TEXT NOT NULL,
    until TEXT NOT NULL,
    body TEXT NOT NULL
) STRICT;
CREATE INDEX IF NOT EXISTS claims_state ON claims (state, since);
"""


class Journal:
    """The journal of a folder; one process writes (the caller holds the lock), many read."""

    def __init__(self, folder: Path, key: bytes, *, read_only: bool = False) -> None:
        self.folder = folder
        self._key = key
        self._behind = False
        try:
            self.connection = _reader(folder / NAME) if read_only else _writer(folder / NAME)
            if not read_only:
                self._catch_up()
        except (OSError, sqlite3.Error) as error:
            raise StoreError(
                f"the journal cannot be used: {error}", where=str(folder / NAME)
            ) from error

    def __enter__(self) -> Self:
        """Return the journal."""
        return self

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        """Close the journal; a damaged file, or one that cannot be read, becomes a StoreError."""
        self.close()
        if isinstance(error, sqlite3.Error):
            raise StoreError(
                f"the journal cannot be used: {error}",
                where=str(self.folder / NAME),
                hint="keep the files as evidence; restore a backup",
            ) from error

    def close(self) -> None:
        """Give back the file."""
        self.connection.close()

    @contextmanager
    def write(self) -> Iterator["Writer"]:
        """Write records and ledger entries together: all of them are on disk after the block.

        Heads that the disk did not take then are written before anything else is.
        """
        try:
            if self._behind:
                self._catch_up()
            self.connection.execute("BEGIN IMMEDIATE")
        except (OSError, sqlite3.Error) as error:
            raise self._refused(error) from error
        writer = Writer(self.connection, self._last(), self._key)
        try:
            yield writer
            self.connection.execute("COMMIT")
        except sqlite3.Error as error:
            self._roll_back()
            raise self._refused(error) from error
        except BaseException:
            self._roll_back()
            raise
        # What is on disk has happened: the caller must not take it for a failure.
        self._behind = True
        with suppress(OSError):
            self._note(writer.written)
            self._behind = False

    def records(self, run: str | None = None) -> Iterator[dict[str, Any]]:
        """Yield the records of a run (None: all), oldest first, each with its `position`.

        Raises StoreError for a record that this node did not write.
        """
        if run is not None and not run.isascii():
            return  # no run is called so; bytes that were not UTF-8 cannot even be asked for
        where, given = ("", ()) if run is None else ("WHERE body ->> '$.run' = ?", (run,))
        query = f"SELECT position, previous, body, seal FROM journal {where} ORDER BY position"  # noqa: S608
        for position, previous, body, sealed in self.connection.execute(query, given).fetchall():
            written = Head(position, chain.digest(position, previous, body.encode()))
            if seal(written, self._key) != sealed:
                raise StoreError(
                    f"record {position} of the journal was changed or is not of this node",
                    where=str(self.folder / NAME),
                    hint="soc audit verify",
                )
            yield {"position": position, **orjson.loads(body)}

    def head(self) -> Head | None:
        """Return the last record's position and hash: write it down to prove the journal later."""
        return self._last()

    def verify(self, outside: Head | None = None) -> Verdict:
        """Return whether all records are as they were written, and the first that is not."""
        noted, forged = self._noted()
        heads = {head.position: head.hash for head, _ in noted}
        if outside:
            heads[outside.position] = outside.hash
        rows = self.connection.execute(
            "SELECT position, previous, body, hash, seal FROM journal ORDER BY position"
        ).fetchall()
        records = [Record(row[0], row[1], row[2].encode(), row[3]) for row in rows]
        verdict = verify(records, heads)
        sound = verdict.sound
        for position, _, _, digest, sealed in rows[:sound]:
            if seal(Head(position, digest), self._key) != sealed:
                found = Break(position, "it was not written with this node's key")
                return Verdict(position - 1, None, found)
        if forged is not None and (verdict.broken is None or forged < verdict.broken.position):
            return Verdict(forged - 1, None, Break(forged, "its noted head is not genuine"))
        return verdict

    def _last(self) -> Head | None:
        row = self.connection.execute(
            "SELECT position, hash FROM journal ORDER BY position DESC LIMIT 1"
        ).fetchone()
        return Head(*row) if row else None

    def _noted(self) -> tuple[list[tuple[Head, str]], int | None]:
        """Return the genuine heads and the place of the first line that is not."""
        found: list[tuple[Head, str]] = []
        try:
            lines = (self.folder / HEADS).read_text("ascii", "replace").split("\n")
        except FileNotFoundError:
            return [], None
        # What comes after the last line break was not finished: power loss, written again later.
        for due, line in enumerate(lines[:-1], 1):
            head, sealed = _parse(line)
            if head is None or head.position != due or seal(head, self._key) != sealed:
                return found, due
            found.append((head, sealed))
        return found, None

    def _catch_up(self) -> None:
        noted, forged = self._noted()
        if forged is not None:
            return  # not ours to mend: `verify` says where
        path, last = self.folder / HEADS, self._last()
        if noted and (last is None or last.position < noted[-1][0].position):
            raise StoreError(
                "the end of the journal is cut off: nothing is written behind the cut",
                where=str(self.folder / NAME),
                hint="soc audit verify, then restore a backup",
            )
        if path.exists():
            with path.open("r+b") as file:
                file.truncate(sum(len(_line(head, sealed)) for head, sealed in noted))
        missing = self.connection.execute(
            "SELECT position, hash, seal FROM journal WHERE position > ? ORDER BY position",
            (noted[-1][0].position if noted else 0,),
        ).fetchall()
        self._note([(Head(position, digest), sealed) for position, digest, sealed in missing])
        self._behind = False

    def _note(self, heads: list[tuple[Head, str]]) -> None:
        genuine = [(h, s) for h, s in heads if seal(h, self._key) == s]
        if not genuine:
            return
        with (self.folder / HEADS).open("ab") as file:
            file.write(b"".join(_line(head, sealed) for head, sealed in genuine))
            file.flush()
            os.fsync(file.fileno())

    def _roll_back(self) -> None:
        if self.connection.in_transaction:
            self.connection.execute("ROLLBACK")

    def _refused(self, error: OSError | sqlite3.Error) -> StoreError:
        return StoreError(f"the journal refuses: {error}", where=str(self.folder / NAME))


class Writer:
    """What is written inside one transaction."""

    def __init__(self, connection: sqlite3.Connection, last: Head | None, key: bytes) -> None:
        self.connection = connection
        self.written: list[tuple[Head, str]] = []
        self._last = last
        self._key = key

    def record(self, kind: str, run: str, now: datetime, **data: Any) -> None:  # noqa: ANN401
        """Append a record; raise InputError for what is no JSON, such as half a character."""
        body: Mapping[str, Any] = {"kind": kind, "run": run, "at": iso(now), **data}
        try:
            record = follow(self._last, canonical(body))
        except TypeError as error:
            raise InputError(f"this cannot be written into the journal: {error}") from error
        self._last = Head(record.position, record.hash)
        sealed = seal(self._last, self._key)
        self.written.append((self._last, sealed))
        self.connection.execute(
            "INSERT INTO journal VALUES (?, ?, ?, ?, ?)",
            (record.position, record.previous, record.body.decode(), record.hash, sealed),
        )


def _writer(path: Path) -> sqlite3.Connection:
    private(path.parent)
    connection = sqlite3.connect(path, isolation_level=None, timeout=10)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.executescript(_SCHEMA)
    return connection


def _reader(path: Path) -> sqlite3.Connection:
    if path.exists():
        uri = f"file:{quote(str(path.absolute()))}?mode=ro"
        return sqlite3.connect(uri, uri=True, isolation_level=None, timeout=10)
    connection = sqlite3.connect(":memory:", isolation_level=None)
    connection.executescript(_SCHEMA)
    return connection


def _line(head: Head, sealed: str) -> bytes:
    return f"{head.position} {head.hash} {sealed}\n".encode()


def _parse(line: str) -> tuple[Head | None, str]:
    position, _, rest = line.partition(" ")
    digest, _, sealed = rest.partition(" ")
    if not (position.isascii() and position.isdigit() and len(position) < 19):
        return None, ""
    return Head(int(position), digest), sealed
