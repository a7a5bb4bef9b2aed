"""Reading a spool in order: every frame once, damage stepped over and told.

What was lost is told by the sequence numbers alone: a gap between two frames. Bytes that are no
block with no gap around them are the rest of a write that was never acknowledged.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from collectors.spool.block import Block
from collectors.spool.record import Record
from collectors.spool.segments import Found, Gap, Reading, Segment


@dataclass(frozen=True, slots=True)
class Damage:
    """Frames that are lost, by their sequence numbers, and the bytes found in their place."""

    first: int
    count: int
    places: Sequence[tuple[Segment, int, int]]

    @property
    def size(self) -> int:
        """Bytes found in their place."""
        return sum(size for _segment, _at, size in self.places)


class Reader:
    """Yields what lies between two sequence numbers; remembers where it is."""

    def __init__(self, mark: bytes, tell: Callable[[Damage], None]) -> None:
        self._mark = mark
        self._tell = tell
        self._at = -1
        self._reading: Reading | None = None
        self._block: Block | None = None
        self._places: list[tuple[Segment, int, int]] = []

    def read(
        self, segments: Sequence[Segment], after: int, until: int, limit: int
    ) -> list[tuple[int, Record]]:
        """Return up to `limit` numbered records of [after, until); raises OSError.

        `segments` are those there are, oldest first.
        """
        if after != self._at or self._reading is None:
            self._go(_holding(segments, after), after)
        found: list[tuple[int, Record]] = []
        while len(found) < limit and self._at < until:
            if self._block is None and not self._advance(segments):
                self._lose(until)
                break
            found.extend(self._take(limit - len(found), until))
        return found

    def close(self) -> None:
        """Forget the place."""
        if self._reading is not None:
            self._reading.close()
        self._at, self._reading, self._block, self._places = -1, None, None, []

    def _go(self, segment: Segment | None, after: int) -> None:
        """Go to a frame: on in the same segment, else from the beginning of its own."""
        here = self._reading.segment.path if self._reading is not None else None
        if segment is None or segment.path != here or after < self._at:
            self.close()
            self._open(segment)
        self._at, self._places = after, []

    def _take(self, limit: int, until: int) -> Iterator[tuple[int, Record]]:
        block = self._block
        assert block is not None  # noqa: S101 - for the type checker
        for number, record in block.records(self._at):
            if number >= until or limit == 0:
                return
            self._at = number + 1
            limit -= 1
            yield number, record
        self._block = None

    def _advance(self, segments: Sequence[Segment]) -> bool:
        """Go to the next block that holds a frame not yet seen; False at the end of them."""
        while self._reading is not None:
            for found in self._reading:
                if isinstance(found, Gap):
                    self._places.append((self._reading.segment, found.at, found.size))
                elif found.block is None:
                    self._places.append((self._reading.segment, found.at, found.head.size))
                elif found.head.end > self._at:
                    self._arrive(found)
                    return True
            later = [s for s in segments if s.number > self._reading.segment.number]
            if not later:
                return False
            self._open(later[0])
        return False

    def _arrive(self, found: Found) -> None:
        if found.head.first > self._at:
            self._lose(found.head.first)
        self._places = []
        self._block = found.block

    def _lose(self, until: int) -> None:
        self._tell(Damage(self._at, until - self._at, self._places))
        self._at, self._places = until, []

    def _open(self, segment: Segment | None) -> None:
        if self._reading is not None:
            self._reading.close()
        self._reading = None if segment is None else Reading(segment, self._mark)


def _holding(segments: Sequence[Segment], sequence: int) -> Segment | None:
    """Return the last segment that begins at or before a frame, else the first there is."""
    before = [s for s in segments if s.first is not None and s.first <= sequence]
    return before[-1] if before else segments[0] if segments else None
