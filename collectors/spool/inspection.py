"""Looking at a spool from outside, and mending it: `soc collect spool`.

Looking takes no lock and changes nothing, so it works beside a running collector; what that is
writing at the moment looks like the rest of a torn write and is called so.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from collectors.spool import checkpoint as files
from collectors.spool.block import MARK
from collectors.spool.quarantine import Quarantine
from collectors.spool.reader import Reader
from collectors.spool.record import Record
from collectors.spool.recovery import Recovered, recover
from collectors.spool.segments import Found, Gap, Reading, Segment
from soc.errors import InputError
from soc.folders import hold, sync

Verdict = Literal["sound", "torn", "damaged"]
"""Torn: a write that was never acknowledged was cut short; nothing is lost by it."""


@dataclass(slots=True)
class Seen:
    """What a segment holds; `lost` are acknowledged frames that are missing, `bad` bytes that
    are no block."""

    segment: Segment
    verdict: Verdict = "sound"
    blocks: int = 0
    frames: int = 0
    lost: int = 0
    bad: int = 0


@dataclass(frozen=True, slots=True)
class View:
    """A whole spool; `checkpoint_read` tells whether the file of that name is sound."""

    found: Recovered
    seen: list[Seen]
    checkpoint_read: bool

    @property
    def sound(self) -> bool:
        """Whether there is nothing to mend."""
        return self.checkpoint_read and all(one.verdict == "sound" for one in self.seen)


def look(folder: Path) -> View:
    """Return what a spool holds; raises InputError where there is none, StoreError, OSError."""
    if not folder.is_dir():
        raise InputError("there is no spool", where=str(folder), hint="soc collect run makes it")
    found = recover(folder, bytes(MARK))
    saved = files.load(folder)
    walk = _Walk(found.checkpoint.sequence)
    for segment in found.segments:
        walk.through(segment, found.checkpoint.mark)
    walk.arrive(found.end)
    return View(found, walk.seen, saved is not None or not found.segments)


def frames(folder: Path, limit: int) -> Iterator[tuple[int, Record]]:
    """Yield the frames that wait, oldest first; raises as `look`."""
    if not folder.is_dir():
        raise InputError("there is no spool", where=str(folder), hint="soc collect run makes it")
    found = recover(folder, bytes(MARK))
    reader = Reader(found.checkpoint.mark, lambda damage: None)
    try:
        yield from reader.read(found.segments, found.checkpoint.sequence, found.end, limit)
    finally:
        reader.close()


def mend(folder: Path) -> int:
    """Write every segment that is not sound anew without its bad bytes, which are kept as
    evidence, and the checkpoint where it is damaged; return the number of files mended.

    Reading steps over damage anyway; after a repair it need not. Raises Refused when a collector
    runs, and as `look`.
    """
    with hold(folder / "lock", "a collector"):
        view = look(folder)
        keeper = Quarantine(folder)
        mended = 0
        for one in view.seen:
            if one.bad:
                _mend(one.segment, view.found.checkpoint.mark, keeper)
                mended += 1
        if not view.checkpoint_read:
            files.save(folder, view.found.checkpoint)
            mended += 1
        return mended


class _Walk:
    """Goes through the segments and finds out where frames are missing."""

    def __init__(self, at: int) -> None:
        self.seen: list[Seen] = []
        self._at = at
        self._bad: Seen | None = None

    def through(self, segment: Segment, mark: bytes) -> None:
        """Look at the next segment; raises OSError."""
        self.seen.append(Seen(segment))
        reading = Reading(segment, mark)
        try:
            for found in reading:
                self._take(self.seen[-1], found)
        finally:
            reading.close()

    def arrive(self, first: int, count: int = 0) -> None:
        """Blame what is missing before a frame on the bad bytes before it, if there are any."""
        if first > self._at:
            blamed = self._bad or self.seen[-1]
            blamed.lost += first - self._at
            blamed.verdict = "damaged"
        self._at, self._bad = max(self._at, first + count), None

    def _take(self, seen: Seen, found: Found | Gap) -> None:
        if isinstance(found, Found) and found.block is not None:
            seen.blocks += 1
            seen.frames += found.head.count
            self.arrive(found.head.first, found.head.count)
            return
        seen.bad += found.head.size if isinstance(found, Found) else found.size
        seen.verdict = "torn" if seen.verdict == "sound" else seen.verdict
        self._bad = seen


def _mend(segment: Segment, mark: bytes, keeper: Quarantine) -> None:
    scratch = segment.path.with_suffix(".mending")
    reading = Reading(segment, mark)
    try:
        with scratch.open("wb") as new, segment.path.open("rb") as old:
            for found in reading:
                size = found.head.size if isinstance(found, Found) else found.size
                if isinstance(found, Found) and found.block is not None:
                    old.seek(found.at)
                    new.write(old.read(size))
                else:
                    keeper.keep(segment, found.at, size)
            new.flush()
            os.fsync(new.fileno())
        scratch.rename(segment.path)
        sync(segment.path.parent)
    finally:
        reading.close()
        scratch.unlink(missing_ok=True)
