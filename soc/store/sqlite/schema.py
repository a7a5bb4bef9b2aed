"""The tables, as one function per schema version: a file is brought forward when it is opened.

Never change a step that was released: add one. A step runs inside the transaction of all of them.
"""

import sqlite3
import string
from typing import Final

from soc.store.sqlite.database import Step

# Every printable ASCII sign is part of a token (all other bytes of UTF-8 are anyway): only the
# spaces between tokens separate. The quotes are doubled for FTS5, then for SQL.
_SIGNS: Final = string.punctuation.replace("'", "''")
_TOKENIZER: Final = f"ascii tokenchars '{_SIGNS}'".replace("'", "''")

_DOCUMENTS: Final = (
    # `seq` counts appends and is what a tail follows. `at` is the @timestamp and a counter, see
    # `documents`: its order is time order. `mutable`: what may change (alerts), merged on reading.
    "CREATE TABLE document (seq INTEGER PRIMARY KEY, at INTEGER NOT NULL UNIQUE,"
    " json TEXT NOT NULL, mutable TEXT)",
    # Ids of our own making are 22 bytes instead of 45 letters; the JSON has the text.
    "CREATE TABLE id (id PRIMARY KEY, seq INTEGER NOT NULL) WITHOUT ROWID",
    # rowid = at: the index answers newest first and by time. No positions, no sizes, no content:
    # it proposes documents, it holds none.
    "CREATE VIRTUAL TABLE token USING fts5(tokens, content='', detail=none, columnsize=0,"
    f" tokenize='{_TOKENIZER}')",
    # Many small segments cost less when merged late and many at a time: -20% CPU at no cost
    # in query time (measured with 1,000,000 events).
    "INSERT INTO token (token, rank) VALUES ('automerge', 16)",
    "INSERT INTO token (token, rank) VALUES ('hashsize', 8388608)",
    "CREATE TABLE fact (name TEXT PRIMARY KEY, value) WITHOUT ROWID",
)
_DAY: Final = (
    "CREATE TABLE position (name TEXT PRIMARY KEY, payload TEXT NOT NULL) WITHOUT ROWID",
)
_STATE: Final = (
    "CREATE TABLE day (series TEXT, day TEXT, low INTEGER, high INTEGER, id_low INTEGER,"
    " id_high INTEGER, loose_ids INTEGER NOT NULL, damaged INTEGER NOT NULL,"
    " PRIMARY KEY (series, day)) WITHOUT ROWID",
    "CREATE TABLE workflow (alert TEXT, seq INTEGER, entry TEXT NOT NULL,"
    " PRIMARY KEY (alert, seq)) WITHOUT ROWID",
    "CREATE TABLE lease (name TEXT PRIMARY KEY, holder TEXT NOT NULL, epoch INTEGER NOT NULL,"
    " expires TEXT NOT NULL) WITHOUT ROWID",
    "CREATE TABLE checkpoint (name TEXT PRIMARY KEY, payload TEXT NOT NULL,"
    " version INTEGER NOT NULL, epoch INTEGER NOT NULL) WITHOUT ROWID",
)


def _run(connection: sqlite3.Connection, statements: tuple[str, ...]) -> None:
    for statement in statements:
        connection.execute(statement)


def _day_1(connection: sqlite3.Connection) -> None:
    _run(connection, _DOCUMENTS + _DAY)


def _state_1(connection: sqlite3.Connection) -> None:
    _run(connection, _DOCUMENTS + _STATE)


DAY: Final[tuple[Step, ...]] = (_day_1,)
"""Steps of a day file, `events-2026-11-22.db`."""

STATE: Final[tuple[Step, ...]] = (_state_1,)
"""Steps of `state.db`."""
