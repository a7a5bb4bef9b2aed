"""A hash chain over records, and a check that names the first broken one.

Record n carries SHA-256(position n, hash of record n-1, body). A head is the hash of a record,
kept elsewhere and authenticated with a key (HMAC-SHA256).

What is found: a changed, deleted, inserted or moved record; records cut off the end, also when
others were written after the cut, as long as the heads were not cut with them. What is not: a
tail that was cut off the journal and off its heads by the same hand. Against that, keep a head
outside (`Head.text`, on paper, on another host): `verify` takes it as one more head. Whoever has
the key can write a new journal from the beginning; only a head kept outside shows that.
"""

import hashlib
import hmac
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

GENESIS: Final = "0" * 64
"""What record 1 names as its predecessor."""

_TEXT: Final = re.compile(r"([1-9][0-9]{0,18}):([0-9a-f]{64})")


@dataclass(frozen=True, slots=True)
class Record:
    """One record: positions count from 1."""

    position: int
    previous: str
    body: bytes
    hash: str


@dataclass(frozen=True, slots=True)
class Head:
    """The hash that the record at a position has, as it was noted when it was written."""

    position: int
    hash: str

    @property
    def text(self) -> str:
        """Return `position:hash`, the form that people write down."""
        return f"{self.position}:{self.hash}"


@dataclass(frozen=True, slots=True)
class Break:
    """The first record that is not as it was written."""

    position: int
    reason: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a check found: how many records are sound from the beginning, and the first break."""

    sound: int
    head: Head | None
    broken: Break | None


def digest(position: int, previous: str, body: bytes) -> str:
    """Return the hash of a record in hexadecimal."""
    return hashlib.sha256(f"{position}\n{previous}\n".encode() + body).hexdigest()


def follow(last: Head | None, body: bytes) -> Record:
    """Return the record that comes after the last one; None begins a chain."""
    position = last.position + 1 if last else 1
    previous = last.hash if last else GENESIS
    return Record(position, previous, body, digest(position, previous, body))


def seal(head: Head, key: bytes) -> str:
    """Return what authenticates a head, in hexadecimal."""
    return hmac.digest(key, head.text.encode(), "sha256").hex()


def parse_head(text: str) -> Head:
    """Return the head of `position:hash`; raise ValueError for anything else."""
    found = _TEXT.fullmatch(text.strip())
    if found is None:
        raise ValueError("a head is written as position:hash")
    return Head(int(found[1]), found[2])


def verify(records: Iterable[Record], heads: Mapping[int, str]) -> Verdict:
    """Return the first record that is broken, if any; records come in stored order.

    `heads` maps positions to the hashes noted elsewhere; which of them are genuine is for the
    caller to say (`seal`).
    """
    last: Head | None = None
    for record in records:
        due = last.position + 1 if last else 1
        reason = _fault(record, due, last.hash if last else GENESIS, heads.get(due))
        if reason:
            return Verdict(due - 1, last, Break(due, reason))
        last = Head(record.position, record.hash)
    sound = last.position if last else 0
    if heads and (furthest := max(heads)) > sound:
        reason = f"the end is cut off: {furthest - sound} records are missing"
        return Verdict(sound, last, Break(sound + 1, reason))
    return Verdict(sound, last, None)


def _fault(record: Record, due: int, previous: str, noted: str | None) -> str:
    if record.position != due:
        return f"record {due} is missing: number {record.position} stands in its place"
    if record.previous != previous:
        return "it does not follow the record before it"
    if record.hash != digest(record.position, record.previous, record.body):
        return "its contents do not have its hash"
    if noted is not None and noted != record.hash:
        return "it is not the record whose hash was noted"
    return ""
