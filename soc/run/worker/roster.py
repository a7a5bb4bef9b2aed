"""The roster: one document that says which worker holds which slot, compared and set.

A lease for each slot would cost two requests each, every few seconds; here a worker renews
everything it holds with one. A worker is dead when its number of beats has not changed for a
while by the *observer's* clock, so the clocks of machines need not agree. Whoever holds more than
its share gives some back, whoever holds less takes what is free; every taking has a new epoch.
"""

import random
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

from soc.errors import Conflict
from soc.run.worker.slots import EVENTS, SLOTS
from soc.store.base import Checkpoint, Store

NAME: Final = "workers"
BEAT: Final = 3.0
"""Seconds between two beats of a worker."""
LEASE: Final = 15.0
"""Seconds without a beat after which a worker's slots are free."""
TRIES: Final = 30


@dataclass(frozen=True, slots=True)
class Slot:
    """Who holds a slot (nobody: empty), the epoch of that, and how far it has come.

    `reached`: microseconds since 1970; all that was received before is judged and has its matches
    stored.
    """

    holder: str = ""
    epoch: int = 0
    reached: int = 0


@dataclass(slots=True)
class Page:
    """The roster as it was read."""

    members: dict[str, dict[str, Any]]
    slots: dict[str, Slot]

    @classmethod
    def of(cls, payload: Mapping[str, Any]) -> "Page":
        """Return what was stored."""
        known = payload.get("slots", {})
        every = (slot for slots in SLOTS.values() for slot in slots)
        return cls(dict(payload.get("members", {})), {s: Slot(*known.get(s, ())) for s in every})

    def payload(self) -> dict[str, Any]:
        """Return what is stored."""
        slots = {s: [one.holder, one.epoch, one.reached] for s, one in self.slots.items()}
        return {"members": self.members, "slots": slots}

    @property
    def frontier(self) -> int:
        """Return the moment up to which every shard has been judged."""
        return min(self.slots[slot].reached for slot in EVENTS)

    def held(self, member: str) -> dict[str, int]:
        """Return the slots of a member with their epochs."""
        return {s: one.epoch for s, one in self.slots.items() if one.holder == member}


@dataclass(slots=True)
class Roster:
    """A worker's view of the roster. `now` is monotonic."""

    store: Store
    me: str
    now: Callable[[], float] = time.monotonic
    lease: float = LEASE
    sleep: Callable[[float], None] = time.sleep
    _seen: dict[str, tuple[Any, float]] = field(default_factory=dict)
    _looked: float | None = None

    def beat(
        self,
        about: Mapping[str, Any],
        reached: Mapping[str, int],
        give: Callable[[Sequence[str]], None],
    ) -> Page:
        """Renew what is held, share fairly, and return the roster as it is then.

        `about` is what others may know of this worker, `reached` how far its slots are; `give` is
        told which slots are given back, before they are.
        """
        for _ in range(TRIES):
            checkpoint = self._read()
            page = Page.of(checkpoint.payload)
            self._watch(page)
            count = int(page.members.get(self.me, {}).get("beat", 0)) + 1
            page.members[self.me] = {**about, "beat": count}
            for slot in page.held(self.me):
                known = page.slots[slot]
                page.slots[slot] = replace(known, reached=max(known.reached, reached.get(slot, 0)))
            given = [slot for slots in SLOTS.values() for slot in self._share(page, slots)]
            if given:
                give(given)
            if self._written(checkpoint, page):
                return page
        raise Conflict("the roster keeps changing", hint="too many workers start at once")

    def leave(self) -> None:
        """Give everything back: this worker ends."""
        for _ in range(TRIES):
            checkpoint = self._read()
            page = Page.of(checkpoint.payload)
            page.members.pop(self.me, None)
            for slot in page.held(self.me):
                page.slots[slot] = replace(page.slots[slot], holder="")
            if self._written(checkpoint, page):
                return

    def _read(self) -> Checkpoint:
        return self.store.checkpoint(NAME) or Checkpoint(NAME, {})

    def _written(self, read: Checkpoint, page: Page) -> bool:
        try:
            self.store.save_checkpoint(replace(read, payload=page.payload()))
        except Conflict:
            self.sleep(random.uniform(0, 0.1))  # noqa: S311
            return False
        return True

    def _watch(self, page: Page) -> None:
        """Strike out the members that have not been heard of for a lease."""
        now = self.now()
        if self._looked is not None and now - self._looked > self.lease / 2:
            self._seen.clear()  # nobody was watched: the store was away, or this process stood
        self._looked = now
        for member, known in list(page.members.items()):
            beat = known.get("beat")
            last, since = self._seen.get(member, (None, now))
            if beat != last:
                self._seen[member] = (beat, now)
            elif now - since > self.lease and member != self.me:
                del page.members[member]
        for slot, one in page.slots.items():
            if one.holder and one.holder not in page.members:
                page.slots[slot] = replace(one, holder="")

    def _share(self, page: Page, slots: Sequence[str]) -> list[str]:
        """Take free slots or give some back, as is fair; return those given back."""
        mine = [slot for slot in slots if page.slots[slot].holder == self.me]
        share = quota(sorted(page.members), self.me, len(slots))
        given = mine[share:]
        for slot in given:
            page.slots[slot] = replace(page.slots[slot], holder="")
        free = [slot for slot in slots if not page.slots[slot].holder and slot not in given]
        for slot in free[: max(share - len(mine), 0)]:
            one = page.slots[slot]
            page.slots[slot] = replace(one, holder=self.me, epoch=one.epoch + 1)
        return given


def quota(members: Sequence[str], member: str, slots: int) -> int:
    """Return how many of the slots are a member's share."""
    rank = members.index(member)
    return slots // len(members) + (rank < slots % len(members))
