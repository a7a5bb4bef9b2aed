"""The store of a city: `soc.store.base.Store` on an Elasticsearch cluster.

Events lie in data streams, alerts in an index a month, what workers share in small indices that
are read by id. A document is searchable a second after it was stored; what this store object has
written itself it sees at once.
"""

import logging
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from typing import Any

from soc.errors import StoreError
from soc.model.alert import Entry
from soc.model.event import Event
from soc.store import base
from soc.store.elastic import alerts, versions, work
from soc.store.elastic import shards as shards_of
from soc.store.elastic.bulk import ATTEMPTS, Bulk, Item
from soc.store.elastic.client import Client, Json
from soc.store.elastic.looks import Look
from soc.store.elastic.names import Names, document_id
from soc.store.elastic.probe import Capabilities, probe
from soc.store.elastic.roles import Keys
from soc.store.elastic.search import Search
from soc.store.elastic.snapshots import Snapshots
from soc.store.elastic.streams import Streams
from soc.store.elastic.templates import COMPONENT, VERSION, component, index_templates
from soc.store.elastic.upkeep import Upkeep
from soc.store.elastic.wire import decode, encode
from soc.store.open import Access
from soc.store.query import Node

log = logging.getLogger("soc.store")

PAGE = 1_000


class ElasticStore:
    """`soc.store.base.Store` at a URL; `init` must have been called once for the cluster."""

    def __init__(self, url: str, access: Access | None = None) -> None:
        access = access or Access()
        self._client = Client.connect(url, access)
        self._names = Names(access.environment)
        self._streams = Streams(self._client, self._names)
        self.keys = Keys(self._client, self._names)
        self.snapshots = Snapshots(self._client, self._names)
        self.upkeep = Upkeep(self._client, self._names, self._streams)
        self._looks: dict[str, Look] = {}
        self._dirty: set[str] = set()
        self._ready = False
        self._lock = threading.Lock()

    def init(self) -> list[str]:
        """Write the templates of this version, whoever else does the same; return their names."""
        there = versions.templates(self._client)
        if there > VERSION and (problem := versions.mismatch(self._client.url, there)):
            raise problem
        self._client.ask("PUT", f"/_component_template/{COMPONENT}", component())
        templates = index_templates()
        for name, body in templates.items():
            self._client.ask("PUT", f"/_index_template/{name}", body)
        self._ready = True
        return [COMPONENT, *templates]

    def _prepared(self) -> None:
        """Refuse to write where no templates are: the server would guess types from values."""
        with self._lock:
            if self._ready:
                return
            there = versions.templates(self._client)
            if problem := versions.mismatch(self._client.url, there):
                if not there:
                    raise problem
                log.warning("%s", problem)
            self._ready = True

    def mismatch(self) -> StoreError | None:
        """Return what has to be done because the cluster is of another version than this soc."""
        there = versions.templates(self._client)
        self._ready = self._ready or there > 0  # whoever asks tells it
        old: list[str] = []
        if there == VERSION:
            with suppress(base.Denied):
                old = versions.older(self._client, self._names, self._streams)
        return versions.mismatch(self._client.url, there, old)

    def append(
        self,
        documents: Sequence[Event],
        *,
        now: datetime,
        stream: base.Stream = "events",
        partition: int = 0,
        position: base.Position | None = None,
        again: bool = False,
        patient: bool = True,
    ) -> list[base.Verdict]:
        """Store documents durably, a verdict each in order; then the position."""
        self._prepared()
        name = partial(self._names.stream, stream, partition)
        outcomes: list[base.Verdict | Item] = []
        for event in documents:
            identity = event.get("event.id")
            text = identity if isinstance(identity, str) else ""
            try:
                line = encode(event, "event.id", resent=again)
            except ValueError as error:
                outcomes.append(base.Verdict(text, "rejected", str(error)))
                continue
            remake = None if again else partial(encode, event, "event.id", resent=True)
            outcomes.append(Item(name(event), text, line, remake))
        try:
            self._send([one for one in outcomes if isinstance(one, Item)], now, patient)
        except base.Unsettled as error:
            error.verdicts = [one.verdict if isinstance(one, Item) else one for one in outcomes]
            error.closed = _closed(documents, outcomes)
            raise
        if position is not None:
            work.save_position(self._client, self._names, position.name, position.payload)
        return [_verdict(one) for one in outcomes]

    def _send(self, items: Sequence[Item], now: datetime, patient: bool) -> None:
        by_stream: dict[str, list[Item]] = {}
        for item in items:
            by_stream.setdefault(item.index, []).append(item)
        for stream, members in by_stream.items():
            with self._lock:
                self._streams.begin(stream, now.astimezone(UTC).date())
                there = self._streams.elsewhere(stream, [item.id for item in members])
                self._dirty.add(stream)
            for item in members:
                if item.id in there:
                    item.verdict = base.Verdict(item.id, "duplicate")
        bulk = Bulk(self._client, seen=self._streams.saw, attempts=ATTEMPTS if patient else 1)
        bulk.send([one for one in items if not one.verdict])

    def position(self, name: str) -> Mapping[str, Any] | None:
        """Return the payload last appended under this name."""
        return work.position(self._client, self._names, name)

    def tail(
        self,
        cursor: str | None,
        *,
        stream: base.Stream = "events",
        partition: int = 0,
        limit: int = 1000,
    ) -> base.Batch:
        """Return what was appended behind the cursor, per data stream in appending order."""
        look = self._look(self._names.stream(stream, partition))
        return shards_of.tail(self._client, self._streams, look, cursor, limit)

    def _look(self, pattern: str) -> Look:
        return self._looks.setdefault(pattern, Look(pattern))

    def shards(self, stream: base.Stream = "events") -> list[base.Shard]:
        """Return the shards of a stream's data streams."""
        look = self._look(self._names.events if stream == "events" else self._names.matches)
        return shards_of.shards(self._client, look)

    def tails(
        self, cursors: Mapping[str, str], shards: Sequence[base.Shard], *, limit: int = 1000
    ) -> list[base.Piece]:
        """Return what lies behind the cursors of these shards."""
        matches = any(shards_of.of_matches(one.name) for one in shards)
        look = self._look(self._names.matches if matches else self._names.events)
        return shards_of.tails(self._client, self._streams, look, cursors, shards, limit)

    def behind(self, cursor: str | None, shard: base.Shard) -> int:
        """Return how many documents of a shard lie behind a cursor, at most."""
        return shards_of.behind(cursor, shard)

    def search(
        self,
        query: Node,
        *,
        collection: base.Collection = "events",
        since: datetime | None = None,
        until: datetime | None = None,
        limit: int = 50,
        after: str | None = None,
    ) -> base.Page:
        """Return matching documents, newest @timestamp first."""
        return self._search(query, collection, since, until).page(limit, after)

    def get(self, ids: Sequence[str], *, collection: base.Collection = "events") -> list[Event]:
        """Return the documents with these ids, in this order, missing ones left out."""
        self._refresh()
        found: dict[str, Event] = {}
        wanted = {document_id(one): one for one in ids}
        index = self._names.events if collection == "events" else self._names.alerts
        for hit in self._hits(index, lambda part: {"ids": {"values": part}}, list(wanted)):
            found[wanted[hit["_id"]]] = decode(hit["_source"], hit["_id"])
        if collection == "events" and (others := _plain(ids, found)):
            # Some programs name their events and leave the `_id` to the server.
            named: dict[str, Event] = {}
            for hit in self._hits(index, lambda part: {"terms": {"event.id": part}}, others):
                event = decode(hit["_source"], hit["_id"])
                named[event["event.id"]] = event
            found = named | found
        return [found[one] for one in ids if one in found]

    def _hits(
        self, index: str, query: Callable[[list[str]], Json], names: Sequence[str]
    ) -> Iterator[Json]:
        """Yield what has these names, the first of several copies last."""
        for start in range(0, len(names), PAGE):
            # Twice as many: an id can stand on both sides of a rollover; the first one counts.
            body = {"query": query(list(names[start : start + PAGE])), "size": 2 * PAGE}
            hits = self._client.search(index, body)
            yield from sorted(hits, key=lambda hit: str(hit["_index"]), reverse=True)

    def aggregate(
        self,
        query: Node,
        by: base.Terms | base.Histogram,
        *,
        collection: base.Collection = "events",
        since: datetime | None = None,
        until: datetime | None = None,
    ) -> list[base.Bucket]:
        """Return counts of the matching documents."""
        asked = self._search(query, collection, since, until)
        return asked.terms(by) if isinstance(by, base.Terms) else asked.histogram(by)

    def _search(
        self,
        query: Node,
        collection: base.Collection,
        since: datetime | None,
        until: datetime | None,
    ) -> Search:
        self._refresh()
        index = self._names.events if collection == "events" else self._names.alerts
        return Search(self._client, index, collection, query, since, until)

    def _refresh(self) -> None:
        """Make searchable what this object has written."""
        with self._lock:
            written, self._dirty = sorted(self._dirty), set()
        if written:
            path = f"/{','.join(written)}/_refresh"
            self._client.ask("POST", path, ignore_unavailable="true")

    def create_alerts(self, alerts_: Sequence[Event]) -> list[base.Verdict]:
        """Store alerts by `soc.alert.id`, durably; one that is there already is a duplicate."""
        self._prepared()
        with self._lock:
            self._dirty.add(self._names.alerts)
        return alerts.create(self._client, self._names, alerts_)

    def append_workflow(self, entry: Entry, projection: Mapping[str, Any]) -> None:
        """Add an entry to an alert's log and replace its mutable fields by the projection."""
        self._prepared()
        with self._lock:
            self._dirty.add(self._names.alerts)
        alerts.append_workflow(self._client, self._names, entry, projection)

    def workflow(self, alert_id: str) -> list[Entry]:
        """Return an alert's log, oldest first."""
        return alerts.workflow(self._client, self._names, alert_id)

    def acquire(
        self, name: str, holder: str, *, seconds: float, now: datetime
    ) -> base.Lease | None:
        """Take or renew a lease; None while another holder's has not run out."""
        self._prepared()
        return work.acquire(self._client, self._names, name, holder, seconds, now)

    def release(self, lease: base.Lease) -> None:
        """Give a lease back; does nothing when it has passed to another holder."""
        work.release(self._client, self._names, lease)

    def checkpoint(self, name: str) -> base.Checkpoint | None:
        """Return a checkpoint, None when it was never saved."""
        return work.checkpoint(self._client, self._names, name)

    def save_checkpoint(self, checkpoint: base.Checkpoint) -> base.Checkpoint:
        """Compare and set; see `soc.store.base.Store.save_checkpoint`."""
        self._prepared()
        return work.save_checkpoint(self._client, self._names, checkpoint)

    def retain(self, policy: base.Retention, *, now: datetime) -> list[str]:
        """Drop whole indices of events that the policy does not keep; return their names."""
        return self._streams.retain(policy, now)

    def tend(self, now: datetime) -> list[str]:
        """Begin the day's index of every stream that has none yet; return their names."""
        return self._streams.tend(now.astimezone(UTC).date())

    def capabilities(self) -> Capabilities:
        """Return what the cluster is and what it lacks."""
        return probe(self._client)

    def info(self) -> base.Info:
        """Return what the store holds."""
        self._refresh()
        events, alerts_ = self._count(self._names.events), self._count(self._names.alerts)
        size = sum(self._streams.sizes().values())
        there = versions.templates(self._client)
        return base.Info("elastic", self._client.url, there, events, alerts_, size)

    def _count(self, index: str) -> int:
        answer = self._client.ask("GET", f"/{index}/_count", ignore_unavailable="true")
        return int(answer["count"])

    def close(self) -> None:
        """Give back connections; the store must not be used afterwards."""
        self._client.raw.close()


def _plain(ids: Sequence[str], found: Mapping[str, Event]) -> list[str]:
    """Return the ids that were not found and that an event of another program can have."""
    return [one for one in ids if one not in found and document_id(one) == one]


def _closed(documents: Sequence[Event], outcomes: Sequence[base.Verdict | Item]) -> dict[str, str]:
    """Return the datasets whose index takes nothing, and why."""
    shut: dict[str, str] = {}
    taken: set[str] = set()
    for event, one in zip(documents, outcomes, strict=True):
        if isinstance(one, Item):
            if one.verdict is None and one.shut:
                shut.setdefault(base.dataset(event), one.shut)
            elif one.verdict is not None and one.verdict.outcome != "rejected":
                taken.add(base.dataset(event))
    return {name: why for name, why in shut.items() if name not in taken}


def _verdict(one: base.Verdict | Item) -> base.Verdict:
    found = one.verdict if isinstance(one, Item) else one
    if found is None:
        raise AssertionError("an item was left without a verdict")
    return found
