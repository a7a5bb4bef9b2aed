"""Slots: what workers share out among themselves, and the state that each of them carries.

An event slot is the shards whose names hash to its number, so that hundreds of shards, most of
them silent, are a few leases. A match slot is a partition of the matches.
"""

import logging
import zlib
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from soc.errors import Conflict
from soc.store.base import Checkpoint, Store

log = logging.getLogger("soc.worker")

EVENT_SLOTS: Final = 32
PARTITIONS: Final = 8
EVENTS: Final = tuple(f"events-{n:02}" for n in range(EVENT_SLOTS))
MATCHES: Final = tuple(f"matches-{n:02}" for n in range(PARTITIONS))
SLOTS: Final = {"events": EVENTS, "matches": MATCHES}
TRIES: Final = 5


def slot_of(shard: str) -> str:
    """Return the event slot of a shard."""
    return EVENTS[zlib.crc32(shard.encode()) % EVENT_SLOTS]


def name_of(slot: str) -> str:
    """Return what the checkpoint of a slot is called."""
    return f"worker.{slot}"


def claim(store: Store, slot: str, epoch: int) -> Checkpoint:
    """Take over a slot's state: from here on nobody with an older epoch can write it.

    Raises Conflict when a newer holder was first.
    """
    for attempt in range(TRIES):
        found = store.checkpoint(name_of(slot)) or Checkpoint(name_of(slot), {})
        try:
            return store.save_checkpoint(replace(found, epoch=max(epoch, 1)))
        except Conflict:  # the holder before may have written its last in between
            if attempt == TRIES - 1 or found.epoch > epoch:
                raise
    raise AssertionError


class Saved:
    """A slot's checkpoint in the hands of its holder."""

    def __init__(self, store: Store, slot: str, epoch: int) -> None:
        self.store = store
        self.slot = slot
        self.epoch = epoch
        self._checkpoint = claim(store, slot, epoch)

    @property
    def payload(self) -> Mapping[str, Any]:
        """Return what was saved last."""
        return self._checkpoint.payload

    def save(self, payload: Mapping[str, Any]) -> None:
        """Save the state over the one that was read; raise Conflict when the slot has passed on."""
        self._checkpoint = self.store.save_checkpoint(replace(self._checkpoint, payload=payload))
