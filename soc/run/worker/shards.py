"""The shards' side of a worker: events through the rules, alerts raised, matches handed on."""

import hashlib
import logging
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final, Protocol

import orjson

from collectors.normalise import MAX_SKEW
from detectors.sigma.correlation.match import Match, micros
from detectors.sigma.correlation.partition import Partitioning
from soc.errors import Conflict
from soc.model.event import Event
from soc.model.finding import Finding
from soc.model.time import iso
from soc.run.matching import Matching
from soc.run.worker.slots import Saved, slot_of
from soc.store.base import Piece, Shard, Store

log = logging.getLogger("soc.worker")

BATCH: Final = 2000
SAVE_EVERY: Final = 1.0
EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
AHEAD: Final = MAX_SKEW // timedelta(microseconds=1)
"""Microseconds by which an event may lie ahead of this machine's clock and still be correlated."""

Judged = Callable[[Sequence[Event]], Sequence[Sequence[Finding]]]
"""Events in, the findings of each out."""
Raise = Callable[[Sequence[Finding]], None]


class Clock(Protocol):
    """The wall clock."""

    def __call__(self) -> datetime:
        """Return the time, with its zone."""
        ...


class Slot:
    """The shards of a slot: their cursors, and how far they have come."""

    def __init__(self, saved: Saved) -> None:
        self.saved = saved
        self.cursors: dict[str, str] = dict(saved.payload.get("cursors", {}))
        self.reached: int = saved.payload.get("reached", 0)
        self.received: dict[str, int] = {}
        self.changed = False

    def took(self, piece: Piece, looked: int) -> None:
        """Take note of a piece whose findings and matches are stored; nothing came after a look."""
        self.cursors[piece.shard] = piece.cursor
        self.changed = True
        latest = max((received(event) for event in piece.events), default=0)
        self.received[piece.shard] = max(self.received.get(piece.shard, 0), min(latest, looked))

    def save(self) -> None:
        """Save the cursors."""
        if self.changed:
            self.saved.save({"cursors": self.cursors, "reached": self.reached})
            self.changed = False


class Shards:
    """Judges the shards of the slots that this worker holds.

    A cursor is saved after the alerts and the matches of what lies before it are stored; what a
    crash cuts off is judged again and leads to the same ids.
    """

    def __init__(
        self,
        store: Store,
        judged: Judged,
        matching: Matching,
        partitioning: Partitioning,
        clock: Clock,
        raised: Raise,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self.store = store
        self.judged = judged
        self.matching = matching
        self.partitioning = partitioning
        self.clock = clock
        self.raised = raised
        self.now = now
        self.slots: dict[str, Slot] = {}
        self.counters: Counter[str] = matching.counters
        self.documents = 0
        self._saved_at = now()

    def use(self, matching: Matching, partitioning: Partitioning) -> None:
        """Make matches for another rule set from here on; `matching` counts where the old did."""
        self.matching, self.partitioning = matching, partitioning

    def take(self, slot: str, epoch: int) -> None:
        """Take over a slot."""
        self.slots[slot] = Slot(Saved(self.store, slot, epoch))

    def drop(self, slot: str) -> None:
        """Forget a slot: it has passed to another worker."""
        self.slots.pop(slot, None)

    def step(self) -> int:
        """Judge what is new, up to a batch; return how many events that was."""
        if not self.slots:
            return 0
        looked = microseconds(self.clock())
        mine = [one for one in self.store.shards() if slot_of(one.name) in self.slots]
        cursors = {name: c for slot in self.slots.values() for name, c in slot.cursors.items()}
        pieces = self.store.tails(cursors, mine, limit=BATCH)
        events = [event for piece in pieces for event in piece.events]
        self._judge(events, looked)
        for piece in pieces:
            self.slots[slot_of(piece.shard)].took(piece, looked)
        self._reach(mine, looked)
        if self.now() - self._saved_at >= SAVE_EVERY:
            self.save()
        return len(events)

    def _judge(self, events: Sequence[Event], looked: int) -> None:
        if not events:
            return
        findings = self.judged(events)
        heard: list[Finding] = []
        matches: list[tuple[Match, str]] = []
        for event, found in zip(events, findings, strict=True):
            heard += self.matching.heard(found)
            at = iso(EPOCH + timedelta(microseconds=min(received(event), looked)))
            for match in self.matching.matches(event, found):
                # A node whose clock is fast would take the time of all others along.
                if match.time > looked + AHEAD:
                    self.counters["ahead"] += 1
                else:
                    matches.append((match, at))
        self.raised(heard)
        self._hand_on(matches)
        self.documents += len(events)

    def _hand_on(self, matches: Iterable[tuple[Match, str]]) -> None:
        by_partition: dict[int, list[Event]] = {}
        for match, at in matches:
            targets = self.partitioning.targets(match)
            if not targets:
                self.counters["ungrouped"] += 1
            for partition in targets:
                by_partition.setdefault(partition, []).append(document(match, at))
        for partition, documents in sorted(by_partition.items()):
            verdicts = self.store.append(
                documents, now=self.clock(), stream="matches", partition=partition
            )
            for verdict in verdicts:
                if verdict.outcome == "rejected":
                    self.counters["refused"] += 1
                    log.error("a match was refused: %s: %s", verdict.id, verdict.reason)

    def _reach(self, mine: Sequence[Shard], looked: int) -> None:
        """Say how far the slots are: up to the look where nothing is left of it."""
        left: dict[str, list[int]] = {}
        for shard in mine:
            slot = self.slots[slot_of(shard.name)]
            if self.store.behind(slot.cursors.get(shard.name), shard):
                left.setdefault(slot_of(shard.name), []).append(slot.received.get(shard.name, 0))
        for name, slot in self.slots.items():
            slot.reached = max(slot.reached, min(left.get(name, [looked])))

    def reached(self) -> dict[str, int]:
        """Return how far each slot is."""
        return {name: slot.reached for name, slot in self.slots.items()}

    def save(self, names: Iterable[str] | None = None) -> None:
        """Save these slots, all without names; one that has passed on is dropped."""
        for name in list(self.slots if names is None else names):
            if slot := self.slots.get(name):
                try:
                    slot.save()
                except Conflict as error:
                    log.warning("%s has passed to another worker: %s", name, error)
                    self.drop(name)
        self._saved_at = self.now()


def document(match: Match, at: str) -> Event:
    """Return a match as it travels; the same rule on the same event is the same document."""
    identifier = str(match.event.get("event.id", ""))
    digest = hashlib.sha256(f"{match.rule}\0{identifier}".encode("utf-8", "surrogatepass"))
    return {
        "@timestamp": match.event["@timestamp"],
        "event.created": at,
        "event.dataset": "match",
        "event.id": f"{identifier[:12]}-{digest.hexdigest()[:32]}",
        "event.kind": "signal",
        "event.original": orjson.dumps(match.as_list()).decode(),
    }


def received(event: Event) -> int:
    """Return when an event was received, in microseconds; 0 when it does not say."""
    try:
        return micros(str(event.get("event.created") or event.get("@timestamp")))
    except ValueError:
        return 0


def microseconds(moment: datetime) -> int:
    """Return a moment as microseconds since 1970."""
    return (moment - EPOCH) // timedelta(microseconds=1)
