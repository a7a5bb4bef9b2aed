"""The ledger: which parcels have their verdicts, and how far the spool is settled. No I/O.

A parcel is some frames in a row and the events they became. Parcels may end in any order; the mark
moves over whole ones from the front only, so that a parcel that waits keeps everything behind it in
the spool. What is counted is what lies below the mark: after a crash the rest is sent again, and
counted then.
"""

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from soc.model.event import Event

OUTCOMES: Final = ("stored", "duplicate", "dead-lettered")


@dataclass(slots=True, eq=False)
class Parcel:
    """Frames up to `mark` by input, and those of their events that have no verdict yet."""

    mark: int
    frames: Mapping[str, int]
    events: list[Event]
    again: bool = False
    """Some may be stored already: an answer was lost, or the process was."""
    attempts: int = 0
    due: float = 0.0
    portion: int | None = None
    """How many go at once, None for all: fewer when one of them breaks the sending itself."""
    emitted: int = 0
    tally: dict[str, int] = field(default_factory=dict)
    notes: Mapping[str, Any] | None = None
    """What is remembered once this parcel is settled."""

    def __post_init__(self) -> None:
        self.emitted = len(self.events)

    def count(self, outcome: str) -> None:
        """Count the verdict of one event."""
        self.tally[outcome] = self.tally.get(outcome, 0) + 1


class Ledger:
    """Parcels in the order of the spool, and the sums of those that are settled."""

    def __init__(self, mark: int, notes: Mapping[str, Any]) -> None:
        self.mark = mark
        self.events: dict[str, int] = {"emitted": 0, **dict.fromkeys(OUTCOMES, 0)}
        self.events.update(notes.get("events", {}))
        self.frames: dict[str, int] = dict(notes.get("frames", {}))
        self.told: dict[str, int] = dict(notes.get("told", {}))
        self._open: deque[Parcel] = deque()

    def take(self, parcel: Parcel) -> None:
        """Take in the next parcel."""
        self._open.append(parcel)

    @property
    def behind(self) -> int:
        """The mark behind the last parcel."""
        return self._open[-1].mark if self._open else self.mark

    @property
    def telling(self) -> bool:
        """Whether something to be remembered is on its way."""
        return any(parcel.notes is not None for parcel in self._open)

    @property
    def waiting(self) -> int:
        """Events in memory that have no verdict."""
        return sum(len(parcel.events) for parcel in self._open)

    def settle(self) -> bool:
        """Move the mark over what is done; return whether it moved, or anything was counted."""
        moved = False
        while self._open and not self._open[0].events:
            parcel = self._open.popleft()
            self.mark, moved = parcel.mark, True
            self.events["emitted"] += parcel.emitted
            for outcome, many in parcel.tally.items():
                self.events[outcome] += many
            for name, many in parcel.frames.items():
                self.frames[name] = self.frames.get(name, 0) + many
            if parcel.notes is not None:
                self.told.update(parcel.notes)
        return moved

    def notes(self) -> dict[str, Any]:
        """Return what must be kept with the mark."""
        return {"events": self.events, "frames": self.frames, "told": self.told}

    def figures(self) -> dict[str, int]:
        """Return this moment: emitted = stored + duplicate + dead-lettered + queued."""
        found = dict(self.events)
        for parcel in self._open:
            found["emitted"] += parcel.emitted
            for outcome, many in parcel.tally.items():
                found[outcome] += many
        found["queued"] = self.waiting
        return found


def balanced(events: Mapping[str, int]) -> bool:
    """Tell whether every event that was emitted is somewhere."""
    return events["emitted"] == sum(events[one] for one in (*OUTCOMES, "queued"))


def by_input(records: Sequence[Any]) -> dict[str, int]:
    """Count records by the name of their input."""
    counts: dict[str, int] = {}
    for _number, record in records:
        counts[record.input] = counts.get(record.input, 0) + 1
    return counts
