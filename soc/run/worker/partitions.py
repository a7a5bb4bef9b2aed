"""The partitions' side of a worker: matches in the order of time through the correlations.

What is decided depends on what was saved alone: matches are read and held, the moment up to which
every shard has been judged moves the watermark, that is saved, and only then are matches released.
A crash, or a holder that wakes up too late, releases the same and raises the same alerts.
"""

import logging
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from itertools import chain
from typing import Final

import orjson

from detectors.sigma.correlation.correlator import Correlator
from detectors.sigma.correlation.match import Match, Scalar, micros
from detectors.sigma.correlation.order import LATENESS, MAX_HELD, Order
from detectors.sigma.correlation.partition import Partitioning
from detectors.sigma.correlation.rule import Correlation
from soc.errors import Conflict
from soc.model.event import Event
from soc.model.finding import Finding
from soc.run.worker.slots import MATCHES, Saved
from soc.store.base import Shard, Store

log = logging.getLogger("soc.worker")

PAGE: Final = 1000
PAGES: Final = 10
SAVE_EVERY: Final = 1.0
SHARE: Final = 20
"""Times that a save took to wait before the next one: saving costs 5 % at most."""


class Partition:
    """The correlations over one partition of the matches."""

    def __init__(
        self,
        saved: Saved,
        correlations: Sequence[Correlation],
        partitioning: Partitioning,
        lateness: int,
    ) -> None:
        number = MATCHES.index(saved.slot)

        def mine(one: Correlation, values: Sequence[Scalar]) -> bool:
            return partitioning.of(one, values) == number

        self.saved = saved
        self.correlator = Correlator(correlations, mine=mine)
        self.counters: Counter[str] = self.correlator.counters
        self.order = Order(self.counters, lateness)
        self.cursors: dict[str, str] = {}
        self.changed = False
        self.saved_at = self.took = 0.0
        if state := saved.payload.get("state"):
            known = {one.id for one in correlations if not one.parked}
            self.changed = not known.issuperset(state["groups"])  # what is left out is forgotten
            self.cursors = dict(state["cursors"])
            self.order.load(state["order"])
            self.correlator.load(state["groups"])
            self.counters.update(state["counters"])

    def hold(self, document: Event) -> None:
        """Take a match as it travelled."""
        try:
            match = Match.of(orjson.loads(document["event.original"]))
            received = micros(str(document["event.created"]))
        except (KeyError, TypeError, ValueError):
            self.counters["errors"] += 1
            return
        self.order.note(match.time, received)
        self.order.hold(match)

    def full(self) -> bool:
        """Tell whether more should wait for the shards that lag."""
        return self.order.held >= MAX_HELD // 2

    def reach(self, frontier: int, *, drained: bool) -> bool:
        """Move the watermark; return whether something is to be decided.

        While matches are left to read, a lagging shard's may be among them: only a memory that is
        full decides then, as far as has been read.
        """
        if not drained and not self.full():
            return False
        moment = frontier if drained else min(frontier, self.order.received)
        return self.order.reach(moment) or self.correlator.due(self.order.watermark)

    def decide(self) -> list[Finding]:
        """Return what the watermark releases; `save` must have been called before."""
        watermark = self.order.watermark
        found = chain(self.correlator.feed(self.order.ready()), self.correlator.advance(watermark))
        self.changed = True
        return list(found)

    def save(self, now: Callable[[], float]) -> None:
        """Save cursor and state in one write."""
        began = now()
        state = {
            "cursors": self.cursors,
            "order": self.order.dump(),
            "groups": self.correlator.dump(),
            "counters": dict(self.counters),
        }
        self.saved.save({"state": state})
        self.changed, self.saved_at = False, now()
        self.took = self.saved_at - began


class Partitions:
    """Correlates the partitions that this worker holds."""

    def __init__(
        self,
        store: Store,
        correlations: Sequence[Correlation],
        partitioning: Partitioning,
        raised: Callable[[Sequence[Finding]], None],
        now: Callable[[], float] = time.monotonic,
        lateness: int = LATENESS,
    ) -> None:
        self.store = store
        self.correlations = correlations
        self.partitioning = partitioning
        self.raised = raised
        self.now = now
        self.lateness = lateness
        self.slots: dict[str, Partition] = {}

    def take(self, slot: str, epoch: int) -> None:
        """Take over a partition."""
        self.slots[slot] = self._made(Saved(self.store, slot, epoch))

    def _made(self, saved: Saved) -> Partition:
        return Partition(saved, self.correlations, self.partitioning, self.lateness)

    def use(self, correlations: Sequence[Correlation], partitioning: Partitioning) -> None:
        """Correlate by another rule set from here on; what did not change goes on counting."""
        self.correlations, self.partitioning = correlations, partitioning
        self.save()
        self.slots = {slot: self._made(one.saved) for slot, one in self.slots.items()}

    def drop(self, slot: str) -> None:
        """Forget a partition: it has passed to another worker."""
        self.slots.pop(slot, None)

    def step(self, frontier: int) -> int:
        """Read and decide as far as every shard has been judged; return how many were read.

        `frontier` must have been read from the roster before: the matches up to it are stored.
        """
        if not self.slots or not self.correlations:
            return 0
        listed = {MATCHES[one.partition]: one for one in self.store.shards("matches")}
        return sum(
            self._guarded(slot, partition, listed.get(slot), frontier)
            for slot, partition in list(self.slots.items())
        )

    def _guarded(self, slot: str, partition: Partition, shard: Shard | None, frontier: int) -> int:
        try:
            return self._step(partition, shard, frontier)
        except Conflict as error:
            log.warning("%s has passed to another worker: %s", slot, error)
            self.drop(slot)
            return 0

    def _step(self, partition: Partition, shard: Shard | None, frontier: int) -> int:
        count = self._read(partition, shard) if shard else 0
        drained = shard is None or not self.store.behind(partition.cursors.get(shard.name), shard)
        rested = self.now() - partition.saved_at >= max(SAVE_EVERY, SHARE * partition.took)
        if rested and partition.reach(frontier, drained=drained):
            partition.save(self.now)
            self.raised(partition.decide())
        elif rested and partition.changed:
            partition.save(self.now)
        return count

    def _read(self, partition: Partition, shard: Shard) -> int:
        count = 0
        for _ in range(PAGES):
            if partition.full():
                break
            pieces = self.store.tails(partition.cursors, [shard], limit=PAGE)
            for piece in pieces:
                partition.cursors[piece.shard] = piece.cursor
                partition.changed = True
                for document in piece.events:
                    partition.hold(document)
                count += len(piece.events)
            if not pieces:
                break
        return count

    def save(self, names: Iterable[str] | None = None) -> None:
        """Save these partitions, all without names; one that has passed on is dropped."""
        for name in list(self.slots if names is None else names):
            partition = self.slots.get(name)
            if partition is None or not partition.changed:
                continue
            try:
                partition.save(self.now)
            except Conflict as error:
                log.warning("%s has passed to another worker: %s", name, error)
                self.drop(name)

    def left_out(self) -> Counter[str]:
        """Return what did not count, over all partitions that are held."""
        found: Counter[str] = Counter()
        for partition in self.slots.values():
            found.update({name: n for name, n in partition.counters.items() if name != "ungrouped"})
        return found
