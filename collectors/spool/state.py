"""What holds besides the frames: how far each input has read, and what was counted."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from collectors.spool.block import Block, Counts
from collectors.spool.record import Batch

UNKNOWN: Final = "?"
"""The input of frames whose block is damaged: nobody knows whose they were."""

REFUSED: Final = "connections refused"
"""What an input counts that has no place for more; how many records that cost nobody knows."""


@dataclass(slots=True)
class State:
    """The sum of all blocks up to `number`."""

    number: int = 0
    positions: dict[str, Any] = field(default_factory=dict)
    counts: Counts = field(default_factory=dict)

    def apply(self, number: int, block: Block) -> None:
        """Add what a block says; one that is part of the sum already changes nothing."""
        if number <= self.number:
            return
        self.number = number
        self.positions.update(block.positions)
        add(self.counts, block.counts)
        add(self.counts, received(block.batches))

    @property
    def received(self) -> int:
        """Return how many frames are counted."""
        return sum(some.get("received", 0) for some in self.counts.values())

    def balance(self, end: int) -> int:
        """Count up to a mark what damage keeps from being counted; return the mark behind all."""
        if self.received < end:
            add(self.counts, {UNKNOWN: {"received": end - self.received}})
        return max(end, self.received)

    def as_document(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return {"number": self.number, "positions": self.positions, "counts": self.counts}

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> "State":
        """Return what `as_document` gave."""
        counts = {name: dict(some) for name, some in document["counts"].items()}
        return cls(int(document["number"]), dict(document["positions"]), counts)


def received(batches: Sequence[Batch]) -> Counts:
    """Return the counts of some batches: frames, and those that are truncated."""
    counts: Counts = {}
    for batch in batches:
        some = {"received": len(batch.raws)}
        if batch.truncated:
            some["truncated"] = len(batch.truncated)
        add(counts, {batch.input: some})
    return counts


def add(counts: Counts, more: Counts) -> None:
    """Add counts to counts."""
    for name, some in more.items():
        mine = counts.setdefault(name, {})
        for what, many in some.items():
            mine[what] = mine.get(what, 0) + many
