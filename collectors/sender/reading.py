"""From the spool to parcels and their events, and once more for those that had to wait."""

from typing import Final

from collectors.sender.ledger import BYTES, FRAMES, Parcel, by_input
from collectors.sender.understanding import Understanding
from collectors.spool.spool import Spool
from soc.model.event import Event

READ: Final = 250
"""Frames read at once: between two looks at the size of a parcel."""


class Reading:
    """Reads parcels. What lies below `again_below` may have been sent by a process before this
    one: the answer died with it."""

    def __init__(self, spool: Spool, understanding: Understanding) -> None:
        self._spool = spool
        self._understanding = understanding
        self._again_below = spool.committed

    def next(self, start: int) -> tuple[Parcel, list[Event]] | None:
        """Return what comes next in the spool, None when there is nothing; raises StoreError."""
        mark, size = start, 0
        events: list[Event] = []
        frames: dict[str, int] = {}
        while mark - start < FRAMES and size < BYTES:
            records = self._spool.read(mark, READ)
            if not records:
                break
            mark = records[-1][0] + 1
            size += sum(len(record.frame.raw) for _, record in records)
            for name, many in by_input(records).items():
                frames[name] = frames.get(name, 0) + many
            events += self._understanding.events(records)
        if mark == start:
            return None
        return Parcel(start, mark, frames, size, again=start < self._again_below), events

    def again(self, parcel: Parcel) -> list[Event]:
        """Return all events of a parcel once more; raises StoreError.

        They are the same ones as before, in the same order, unless the disk lost something.
        """
        mark = parcel.start
        events: list[Event] = []
        while mark < parcel.mark:
            found = self._spool.read(mark, min(READ, parcel.mark - mark), again=True)
            records = [one for one in found if one[0] < parcel.mark]
            if not records:
                break
            mark = records[-1][0] + 1
            events += self._understanding.events(records)
        return events
