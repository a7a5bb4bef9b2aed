"""The ledger: which frames have their verdicts, and how far the spool is settled. No I/O.

A parcel is some frames in a row and the events they became. Those of its events that are on their
way are in a load; those whose dataset the store does not take are *held*: only their places are
kept, the spool has the rest. Parcels may end in any order; the mark moves over whole ones from the
front only, so that a parcel that waits keeps everything behind it in the spool. What is counted is
what lies below the mark: after a crash the rest is sent again, and counted then.
"""

from array import array
from collections import Counter, deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from collectors.spool.state import UNKNOWN
from soc.model.event import Event
from soc.store.base import dataset

OUTCOMES: Final = ("stored", "duplicate", "dead-lettered")
FRAMES: Final = 1_000
"""Frames of a parcel, at most; of one that is done any number."""
BYTES: Final = 1 << 20
"""Bytes of frames of a parcel, about: as events they are some times larger."""


@dataclass(slots=True, eq=False)
class Parcel:
    """The frames from `start` up to `mark`, counted by input; `size` are their bytes."""

    start: int
    mark: int
    frames: dict[str, int]
    size: int = 0
    emitted: int = 0
    parsed: int = 0
    """How many events its frames became when they were read first, -1 when that is no use."""
    again: bool = False
    """Some may be stored already: an answer was lost, or the process was."""
    notes: Mapping[str, Any] | None = None
    """What is remembered once this parcel is settled; its event is not in the spool."""
    tally: Counter[str] = field(default_factory=Counter)
    out: int = 0
    """Events that are on their way."""
    held: dict[str, "array[int]"] = field(default_factory=dict)
    """By dataset, the places of the events that wait in the spool."""

    def joins(self, after: "Parcel") -> bool:
        """Tell whether the next parcel can become part of this one."""
        both = (self, after)
        if any(one.out or one.notes is not None for one in both):
            return False
        small = self.mark - self.start + after.mark - after.start <= FRAMES
        small = small and self.size + after.size <= BYTES
        return small or not any(one.held for one in both)

    def join(self, after: "Parcel") -> None:
        """Take the next parcel in."""
        for name, places in after.held.items():
            mine = self.held.setdefault(name, array("I"))
            mine.extend(max(self.parsed, 0) + place for place in places)
        for name, many in after.frames.items():
            self.frames[name] = self.frames.get(name, 0) + many
        self.tally.update(after.tally)
        self.mark, self.again = after.mark, self.again or after.again
        self.size += after.size
        self.emitted += after.emitted
        sure = self.parsed >= 0 and after.parsed >= 0
        self.parsed = self.parsed + after.parsed if sure else -1


@dataclass(slots=True, eq=False)
class Load:
    """Events of a parcel that are in memory; `places` are theirs among the parcel's events."""

    parcel: Parcel
    events: list[Event]
    places: Sequence[int]
    attempts: int = 0
    due: float = 0.0
    portion: int | None = None
    """How many go at once, None for all: fewer when one of them breaks the sending itself."""
    sent: int = 0
    """How many went."""
    tried: str = ""
    """The closed dataset that is tried with it."""


class Ledger:
    """Parcels in the order of the spool, and the sums of those that are settled."""

    def __init__(self, mark: int, notes: Mapping[str, Any]) -> None:
        self.mark = mark
        self.events: dict[str, int] = {"emitted": 0, **dict.fromkeys(OUTCOMES, 0)}
        self.events.update(notes.get("events", {}))
        # A mark without notes: the checkpoint was lost, and with it whose frames they were.
        self.frames: dict[str, int] = dict(notes.get("frames", {UNKNOWN: mark} if mark else {}))
        self.told: dict[str, int] = dict(notes.get("told", {}))
        self.heard = dict(self.told)
        """What was told, settled or not."""
        self.held: Counter[str] = Counter()
        """By dataset, how many events are held."""
        self._open: deque[Parcel] = deque()
        self._loads: set[Load] = set()
        self._wide = 0

    def take(self, parcel: Parcel, events: list[Event]) -> Load:
        """Take in the next parcel with its events, all on their way."""
        self._open.append(parcel)
        parcel.emitted = parcel.parsed = len(events)
        return self._load(parcel, events, range(len(events)))

    def _load(self, parcel: Parcel, events: list[Event], places: Sequence[int]) -> Load:
        load = Load(parcel, events, places)
        parcel.out += len(events)
        if events:
            self._loads.add(load)
        return load

    def judged(self, load: Load, outcomes: Sequence[str | None]) -> None:
        """Count the verdicts of a load's first events; those with None stay in it."""
        load.parcel.tally.update(one for one in outcomes if one is not None)
        left = [n for n, one in enumerate(outcomes) if one is None]
        self._keep(load, [*left, *range(len(outcomes), len(load.events))])
        if load.parcel.notes is not None and not load.events:
            self.heard.update(load.parcel.notes)

    def hold(self, load: Load, closed: Callable[[str], bool]) -> None:
        """Put events of closed datasets back to where the spool has them."""
        parcel, stay = load.parcel, []
        if parcel.notes is not None:
            return
        for n, event in enumerate(load.events):
            if closed(name := dataset(event)):
                parcel.held.setdefault(name, array("I")).append(load.places[n])
                self.held[name] += 1
            else:
                stay.append(n)
        self._keep(load, stay)

    def _keep(self, load: Load, stay: Sequence[int]) -> None:
        load.parcel.out -= len(load.events) - len(stay)
        load.events = [load.events[n] for n in stay]
        load.places = [load.places[n] for n in stay]
        if not load.events:
            self._loads.discard(load)

    def oldest(self, name: str) -> Parcel | None:
        """Return the first parcel that holds events of a dataset."""
        return next((one for one in self._open if name in one.held), None)

    def release(self, parcel: Parcel, name: str, events: Sequence[Event]) -> Load:
        """Take what a parcel holds of a dataset back into memory; `events` are all of its events.

        Are they not those that there were (the disk lost some), all of the dataset go again: the
        store recognises what it has.
        """
        places: Sequence[int] = parcel.held.pop(name).tolist()
        self.held[name] -= len(places)
        if len(events) != parcel.parsed:
            before, parcel.parsed, parcel.again = len(places), -1, True
            places = [n for n, event in enumerate(events) if dataset(event) == name]
            parcel.emitted += len(places) - before
        return self._load(parcel, [events[place] for place in places], places)

    def away(self) -> Counter[str]:
        """Return by dataset how many events are held, or tried at the moment."""
        return self.held + Counter(
            {load.tried: len(load.events) for load in self._loads if load.tried}
        )

    @property
    def behind(self) -> int:
        """The mark behind the last parcel."""
        return self._open[-1].mark if self._open else self.mark

    @property
    def telling(self) -> bool:
        """Whether something to be remembered is on its way."""
        return any(load.parcel.notes is not None for load in self._loads)

    @property
    def waiting(self) -> int:
        """Events in memory that have no verdict."""
        return sum(len(load.events) for load in self._loads)

    def settle(self) -> bool:
        """Move the mark over what is done; return whether it moved, or anything was counted."""
        moved = False
        while self._open and not self._open[0].out and not self._open[0].held:
            parcel = self._open.popleft()
            self.mark, moved = parcel.mark, True
            self.events["emitted"] += parcel.emitted
            for outcome, many in parcel.tally.items():
                self.events[outcome] += many
            for name, many in parcel.frames.items():
                self.frames[name] = self.frames.get(name, 0) + many
            if parcel.notes is not None:
                self.told.update(parcel.notes)
        if len(self._open) > 2 * self._wide + 100:
            self._open = deque(_joined(self._open))
            self._wide = len(self._open)
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
        found["queued"] = self.waiting + self.held.total()
        return found


def _joined(parcels: Iterable[Parcel]) -> list[Parcel]:
    """Join neighbours, so that a long wait behind one of them takes no memory."""
    found: list[Parcel] = []
    for one in parcels:
        if found and found[-1].joins(one):
            found[-1].join(one)
        else:
            found.append(one)
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
