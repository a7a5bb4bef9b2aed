"""The store's one narrow, synchronous protocol. Two stores, one shared test suite.

Words. A *stream* is what is tailed: `events` or `matches`; `matches` has partitions. A *collection*
is what is searched: `events` or `alerts`. A *cursor* is opaque text: pass back what you were given.
Documents go in and come out as flat events (`soc.model.event`). Time stamps are the text of
`soc.model.time.iso`. The store never reads a clock: callers say what time it is.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, Protocol

from soc.errors import StoreError
from soc.model.alert import Entry
from soc.model.event import Event
from soc.store.query import Node

Stream = Literal["events", "matches"]
Collection = Literal["events", "alerts"]
Outcome = Literal["created", "duplicate", "rejected"]


@dataclass(frozen=True, slots=True)
class Verdict:
    """What happened to one document; `reason` says why it was rejected."""

    id: str
    outcome: Outcome
    reason: str = ""


class Unsettled(StoreError):
    """Documents have no verdict yet: nothing is lost, append them again.

    `verdicts` has those that were given, in order and None where there is none; empty: none was.
    `closed` says of which datasets nothing is taken, and why, while others may go on: what keeps
    those out concerns nobody else. Empty: it is the store as a whole.
    A store that is wrong in itself (damaged, not set up) raises a plain StoreError.
    """

    verdicts: Sequence[Verdict | None] = ()
    closed: Mapping[str, str] = {}


class Busy(Unsettled):
    """The store is alive and takes nothing at the moment: full queues, a blocked index."""


class Silent(Unsettled):
    """There was no answer: what was sent may be stored or not. Append it `again`."""


class Late(Silent):
    """The answer did not come in time: there may have been too much to do at once."""


class Denied(Unsettled):
    """The store does not let this key in: a person has to do something."""


def dataset(event: Event) -> str:
    """Return what `Unsettled.closed` calls the dataset of an event."""
    found = event.get("event.dataset")
    return found if isinstance(found, str) else ""


@dataclass(frozen=True, slots=True)
class Position:
    """How far an input has been read: stored in the same transaction as the events it covers,
    where the store can (SQLite), else after them (they have deterministic ids)."""

    name: str
    payload: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Batch:
    """A page of a stream's tail, oldest first, and the cursor that continues behind it."""

    events: Sequence[Event]
    cursor: str


@dataclass(frozen=True, slots=True)
class Shard:
    """A part of a stream with a tail of its own, as far as it reached when it was listed.

    `name` stays however often the store begins a new index or file; `parts` are the store's own.
    """

    name: str
    partition: int
    parts: tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Piece:
    """What was read of a shard, oldest first, and the cursor of this shard that continues."""

    shard: str
    events: Sequence[Event]
    cursor: str


@dataclass(frozen=True, slots=True)
class Page:
    """A page of search results and the cursor of the next page, None at the end."""

    events: Sequence[Event]
    next: str | None


@dataclass(frozen=True, slots=True)
class Terms:
    """Count by the values of a field, most frequent first, ties by value; lists count each."""

    field: str
    size: int = 10


@dataclass(frozen=True, slots=True)
class Histogram:
    """Count by time, buckets of `seconds` aligned to 1970, empty ones left out, oldest first."""

    seconds: int


@dataclass(frozen=True, slots=True)
class Bucket:
    """A value (or the ISO start of a time bucket) and its count."""

    key: str
    count: int


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A named state of a worker. `version` counts writes; `epoch` is the lease's fencing number."""

    name: str
    payload: Mapping[str, Any]
    version: int = 0
    epoch: int = 0


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to work on something until `expires`; `epoch` grows with every new holder."""

    name: str
    holder: str
    epoch: int
    expires: datetime


@dataclass(frozen=True, slots=True)
class Retention:
    """What may stay: days since appending and total bytes of events; None is no limit."""

    days: int | None = None
    bytes: int | None = None


@dataclass(frozen=True, slots=True)
class Info:
    """What a store holds."""

    kind: str
    place: str
    schema: int
    events: int
    alerts: int
    bytes: int


class Store(Protocol):
    """Where events, alerts and the workers' state live. Every method may raise StoreError."""

    def append(
        self,
        documents: Sequence[Event],
        *,
        now: datetime,
        stream: Stream = "events",
        partition: int = 0,
        position: Position | None = None,
        again: bool = False,
        patient: bool = True,
    ) -> list[Verdict]:
        """Store documents durably, a verdict each in order.

        A document whose `event.id` is there already is a duplicate and changes nothing. One that
        cannot be stored (no id, no valid @timestamp, not JSON) is rejected; the others go in.
        `again`: the documents may be there already, an answer was lost. A store of several
        machines tries for a while before it raises Unsettled, once only without `patient`.
        """
        ...

    def position(self, name: str) -> Mapping[str, Any] | None:
        """Return the payload last appended under this name."""
        ...

    def tail(
        self,
        cursor: str | None,
        *,
        stream: Stream = "events",
        partition: int = 0,
        limit: int = 1000,
    ) -> Batch:
        """Return what was appended behind the cursor, in appending order; None is the beginning.

        Complete by construction: a document that append has confirmed is seen by every cursor
        that was taken before it. Nothing new: an empty batch with the cursor as it was.
        """
        ...

    def shards(self, stream: Stream = "events") -> list[Shard]:
        """Return the shards of a stream, of all its partitions, in one look.

        What append has confirmed before the call lies within them.
        """
        ...

    def tails(
        self, cursors: Mapping[str, str], shards: Sequence[Shard], *, limit: int = 1000
    ) -> list[Piece]:
        """Return about `limit` documents behind the cursors (by name of shard), of all in turn.

        A shard without a cursor is read from its beginning; one with nothing new has no piece. The
        cursors are those of this method, not those of `tail`. Complete as `tail` is.
        """
        ...

    def behind(self, cursor: str | None, shard: Shard) -> int:
        """Return how many documents of a shard lie behind a cursor of `tails`, at most."""
        ...

    def search(
        self,
        query: Node,
        *,
        collection: Collection = "events",
        since: datetime | None = None,
        until: datetime | None = None,
        limit: int = 50,
        after: str | None = None,
    ) -> Page:
        """Return matching documents, newest @timestamp first; `since` <= @timestamp < `until`.

        Pages follow each other by the millisecond (what every store sorts by); within a page the
        order is exact.
        """
        ...

    def get(self, ids: Sequence[str], *, collection: Collection = "events") -> list[Event]:
        """Return the documents with these ids, in this order, missing ones left out.

        Ids are `event.id` for events and `soc.alert.id` for alerts.
        """
        ...

    def aggregate(
        self,
        query: Node,
        by: Terms | Histogram,
        *,
        collection: Collection = "events",
        since: datetime | None = None,
        until: datetime | None = None,
    ) -> list[Bucket]:
        """Return counts of the matching documents."""
        ...

    def create_alerts(self, alerts: Sequence[Event]) -> list[Verdict]:
        """Store alerts by `soc.alert.id`, durably; one that is there already is a duplicate."""
        ...

    def append_workflow(self, entry: Entry, projection: Mapping[str, Any]) -> None:
        """Add an entry to an alert's log and replace its mutable fields by the projection.

        Raises Conflict when the entry's number is taken or leaves a gap, InputError when there is
        no such alert. After a conflict the alert shows its log's last entry.
        """
        ...

    def workflow(self, alert_id: str) -> list[Entry]:
        """Return an alert's log, oldest first."""
        ...

    def acquire(self, name: str, holder: str, *, seconds: float, now: datetime) -> Lease | None:
        """Take or renew a lease; None while another holder's has not run out.

        Renewing keeps the epoch; a new holder, or the same one after it ran out, gets the next.
        """
        ...

    def release(self, lease: Lease) -> None:
        """Give a lease back; does nothing when it has passed to another holder."""
        ...

    def checkpoint(self, name: str) -> Checkpoint | None:
        """Return a checkpoint, None when it was never saved."""
        ...

    def save_checkpoint(self, checkpoint: Checkpoint) -> Checkpoint:
        """Compare and set: store the payload if `version` is the one stored (0: none yet).

        Returns it with its new version. Raises Conflict when the version differs or the stored
        epoch is higher than the given one (a paused worker must not write).
        """
        ...

    def retain(self, policy: Retention, *, now: datetime) -> list[str]:
        """Drop whole days of events that the policy does not keep; return their names."""
        ...

    def mismatch(self) -> StoreError | None:
        """Return what a person has to do because store and program are of different versions."""
        ...

    def info(self) -> Info:
        """Return what the store holds."""
        ...

    def close(self) -> None:
        """Give back files and connections; the store must not be used afterwards."""
        ...
