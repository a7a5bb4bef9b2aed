"""A table of documents with its inverted index: how one is written, found and read again.

`at` orders documents by time and names them in the index: milliseconds of @timestamp, 20 bits
to the left, plus a counter within the millisecond. Candidates therefore leave the index newest
first, and `since`/`until` are a range of row ids. A millisecond with more than a million documents
spills into the next; the longest such drift is kept as a fact and widens every range by itself.
"""

import sqlite3
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from typing import Any, Final, NamedTuple

import orjson

from soc.model.event import Event
from soc.model.time import parse_iso
from soc.store.sqlite.catalogue import MAX_MILLIS
from soc.store.sqlite.tokens import Tokens

BITS: Final = 20
TOP: Final = (1 << 63) - 1
MAX_ID: Final = 512
Id = bytes | str
Row = tuple[int, Event]
_PARAMETERS: Final = 500


class Document(NamedTuple):
    """A document ready to be stored; `moment` is its @timestamp in clamped milliseconds."""

    id: Id
    moment: int
    json: bytes
    tokens: str
    mutable: bytes | None = None


def prepare(event: Event, name: str, tokens: Tokens) -> Document:
    """Return an event (its id in the field `name`) in the form that is stored.

    Raises ValueError saying why it cannot be stored.
    """
    identity = event.get(name)
    if not isinstance(identity, str) or not 0 < len(identity) <= MAX_ID:
        raise ValueError(f"{name} must be a text of 1 to {MAX_ID} characters")
    moment = millis(event.get("@timestamp"))
    if moment is None:
        raise ValueError("@timestamp must be a time such as 2026-11-22T08:15:30.000000Z")
    try:
        json = orjson.dumps(event)
    except TypeError as error:  # a lone surrogate, a number beyond 64 bits, no JSON type
        raise ValueError(f"not JSON: {error}") from None
    return Document(packed(identity), moment, json, tokens.of(event))


def packed(identity: str) -> Id:
    """Return an id as it is stored: ids of `soc.model.event.event_id` in half the bytes."""
    if len(identity) == 45 and identity[12] == "-":
        try:
            short = bytes.fromhex(identity[:12] + identity[13:])
        except ValueError:
            return identity
        digits = short.hex()
        if len(short) == 22 and digits[:12] + "-" + digits[12:] == identity:
            return short
    return identity


def key(name: str) -> str | bytes:
    """Return a name as SQLite can keep it: file names may hold bytes that are no UTF-8."""
    return name.encode("utf-8", "surrogatepass") if unstorable(name) else name


def unstorable(text: str) -> bool:
    """Tell whether a text has lone surrogates, so that no document or id can hold it."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return True
    return False


def id_moment(identity: Id) -> int | None:
    """Return the milliseconds in an id, None when it has no time of its own."""
    if isinstance(identity, str):
        return None
    return int.from_bytes(identity[:6]) or None


def millis(stamp: Any) -> int | None:  # noqa: ANN401
    """Return a time stamp in clamped milliseconds since 1970, None when it is not one."""
    if not isinstance(stamp, str):
        return None
    try:
        if len(stamp) == 27 and stamp[19] == "." and stamp[26] == "Z" and stamp[20:26].isdecimal():
            found = _seconds(stamp[:19]) * 1000 + int(stamp[20:23])
        else:
            found = _seconds(stamp)
            moment = parse_iso(stamp)
            found = found * 1000 + moment.microsecond // 1000
    except (ValueError, OverflowError):
        return None
    return min(max(found, 0), MAX_MILLIS)


@lru_cache(maxsize=4096)
def _seconds(stamp: str) -> int:
    return int(parse_iso(stamp).replace(microsecond=0).timestamp())


def existing(connection: sqlite3.Connection, ids: Sequence[Id]) -> set[Id]:
    """Return those of the ids that are there."""
    return set(_places(connection, ids))


def _places(connection: sqlite3.Connection, ids: Sequence[Id]) -> dict[Id, int]:
    found: dict[Id, int] = {}
    for start in range(0, len(ids), _PARAMETERS):
        part = ids[start : start + _PARAMETERS]
        marks = ",".join("?" * len(part))
        select = f"SELECT id, seq FROM id WHERE id IN ({marks})"  # noqa: S608 - only marks
        found.update(connection.execute(select, part))
    return found


def insert(connection: sqlite3.Connection, documents: Sequence[Document]) -> None:
    """Store documents whose ids are not there yet; inside the caller's transaction."""
    if not documents:
        return
    first = count(connection) + 1
    places = _slots(connection, [document.moment for document in documents])
    rows = [
        (seq, at, document.json, document.mutable)
        for seq, (at, document) in enumerate(zip(places, documents, strict=True), first)
    ]
    connection.executemany("INSERT INTO document VALUES (?, ?, CAST(? AS TEXT), ?)", rows)
    connection.executemany(
        "INSERT INTO id VALUES (?, ?)",
        [(document.id, seq) for seq, document in enumerate(documents, first)],
    )
    # Ascending: FTS5 writes out its buffer whenever a row id goes down.
    order = sorted(range(len(places)), key=places.__getitem__)
    connection.executemany(
        "INSERT INTO token (rowid, tokens) VALUES (?, ?)",
        [(places[i], documents[i].tokens) for i in order],
    )


def _slots(connection: sqlite3.Connection, moments: Sequence[int]) -> list[int]:
    """Return a free `at` for each moment; within a millisecond in the order given."""
    top = connection.execute("SELECT max(at) FROM document").fetchone()[0]
    places, last, drift = [0] * len(moments), -1, 0
    free_above = -1 if top is None else top
    for i in sorted(range(len(moments)), key=moments.__getitem__):
        at = max(moments[i] << BITS, last + 1)
        if at <= free_above:
            at = _free(connection, at)
        places[i] = last = at
        drift = max(drift, (at >> BITS) - moments[i])
    if drift > spill(connection):
        set_fact(connection, "spill", drift)
    return places


def _free(connection: sqlite3.Connection, at: int) -> int:
    """Return the first free place from `at` on: behind the last one of its millisecond, if any."""
    end = ((at >> BITS) + 1) << BITS
    while True:
        found = connection.execute(
            "SELECT max(at) FROM document WHERE at >= ? AND at < ?", (at, end)
        ).fetchone()[0]
        if found is None:
            return at
        at = found + 1
        if at >= end:
            end += 1 << BITS


def extent(connection: sqlite3.Connection) -> list[int]:
    """Return the lowest and highest @timestamp in milliseconds; empty without documents."""
    low, high = connection.execute("SELECT min(at), max(at) FROM document").fetchone()
    return [] if low is None else [max((low >> BITS) - spill(connection), 0), high >> BITS]


def spill(connection: sqlite3.Connection) -> int:
    """Return by how many milliseconds a document may stand behind its time."""
    return fact(connection, "spill")


def fact(connection: sqlite3.Connection, name: str) -> int:
    """Return a number that the file knows about itself, 0 when it is not set."""
    row = connection.execute("SELECT value FROM fact WHERE name = ?", (name,)).fetchone()
    return row[0] if row else 0


def set_fact(connection: sqlite3.Connection, name: str, value: int) -> None:
    """Set a number that the file knows about itself."""
    connection.execute("INSERT OR REPLACE INTO fact VALUES (?, ?)", (name, value))


def count(connection: sqlite3.Connection) -> int:
    """Return the number of documents (none is ever removed from a file)."""
    return connection.execute("SELECT max(seq) FROM document").fetchone()[0] or 0


def page(
    connection: sqlite3.Connection,
    match: str | None,
    test: Callable[[Event], bool],
    low: int,
    high: int,
    limit: int,
) -> tuple[list[Row], int | None]:
    """Return those of up to `limit` candidates with `at` in low..high that pass, newest first.

    Also where to go on: the highest `at` of the next page, None at the end.
    """
    if match is None:
        rows = connection.execute(
            "SELECT at, CAST(json AS BLOB), mutable FROM document"
            " WHERE at BETWEEN ? AND ? ORDER BY at DESC LIMIT ?",
            (low, high, limit),
        ).fetchall()
    else:
        rows = connection.execute(
            "SELECT at, CAST(json AS BLOB), mutable FROM token CROSS JOIN document"
            " ON document.at = token.rowid WHERE token MATCH ? AND token.rowid BETWEEN ? AND ?"
            " ORDER BY token.rowid DESC LIMIT ?",
            (match, low, high, limit),
        ).fetchall()
    behind = rows[-1][0] - 1 if len(rows) == limit else None
    # One event at a time: thousands of live ones would keep the garbage collector busy.
    passed = [(at, event) for at, *rest in rows if test(event := decoded(*rest))]
    return passed, behind


def after(connection: sqlite3.Connection, seq: int, limit: int) -> list[Row]:
    """Return (seq, event) of what was appended behind `seq`, oldest first."""
    rows = connection.execute(
        "SELECT seq, CAST(json AS BLOB), mutable FROM document WHERE seq > ? ORDER BY seq LIMIT ?",
        (seq, limit),
    )
    return [(found, decoded(json, mutable)) for found, json, mutable in rows.fetchall()]


def fetch(connection: sqlite3.Connection, ids: Iterable[str]) -> dict[str, Event]:
    """Return the events that have these ids."""
    wanted = {packed(identity): identity for identity in ids}
    found: dict[str, Event] = {}
    for identity, seq in _places(connection, list(wanted)).items():
        row = connection.execute(
            "SELECT CAST(json AS BLOB), mutable FROM document WHERE seq = ?", (seq,)
        ).fetchone()
        found[wanted[identity]] = decoded(*row)
    return found


def decoded(json: bytes, mutable: bytes | None) -> Event:
    """Return a stored document; sqlite3.DatabaseError when its text is broken."""
    try:
        event: Event = orjson.loads(json)
        if mutable is not None:
            event |= orjson.loads(mutable)
    except orjson.JSONDecodeError as error:
        broken = sqlite3.DatabaseError(f"a document is not JSON: {error}")
        broken.sqlite_errorcode = sqlite3.SQLITE_CORRUPT
        raise broken from None
    return event
