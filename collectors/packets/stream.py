"""TCP reassembly: one direction of a connection, its bytes in order, its gaps told.

Of overlapping segments the first to come wins (as Suricata's `first` policy and BSD did): what has
been passed on cannot be taken back. RFC 9293.
"""

from bisect import bisect_left
from typing import Final, Protocol

MODULUS: Final = 1 << 32
HALF: Final = 1 << 31
MAX_AHEAD: Final = 1 << 26
"""A segment further ahead than this belongs to no window that is in use: it is not ours."""


class Sink(Protocol):
    """What takes the bytes of a direction."""

    def feed(self, client: bool, data: bytes, time: int) -> None:
        """Take the next bytes."""

    def gap(self, client: bool, size: int, time: int) -> None:
        """Know that so many bytes are missing here."""


class Memory:
    """The bytes that all streams together may hold back."""

    def __init__(self, limit: int = 1 << 26) -> None:
        self.limit = limit
        self.held = 0


class Stream:
    """Puts the segments of one direction in order; holds back what came too early, within limits.

    Positions are counted from the first byte (the initial sequence number is not one).
    """

    __slots__ = ("_ahead", "_held", "_memory", "_starts", "missed")

    MAX_HELD: Final = 1 << 20
    MAX_SEGMENTS: Final = 512
    PATIENCE: Final = 3
    """Segments that may wait behind a hole which the receiver has acknowledged."""

    def __init__(self, memory: Memory) -> None:
        self._starts: list[int] = []
        self._ahead: dict[int, bytes] = {}
        self._held = 0
        self._memory = memory
        self.missed = 0

    @property
    def waiting(self) -> int:
        """Segments held back."""
        return len(self._starts)

    def hold(self, position: int, data: bytes) -> None:
        """Keep a segment that came too early, where it does not overlap one that is kept."""
        starts, ahead = self._starts, self._ahead
        at = bisect_left(starts, position)
        if at:
            before = starts[at - 1]
            cut = before + len(ahead[before]) - position
            if cut > 0:
                data, position = data[cut:], position + cut
        while data:
            room = len(data)
            at = bisect_left(starts, position)
            if at < len(starts):
                room = min(room, starts[at] - position)
            if room > 0:
                starts.insert(at, position)
                ahead[position] = data[:room]
                self._held += room
                self._memory.held += room
            if at >= len(starts) - (room > 0):
                return
            # What lies behind the segment in the way may still be new.
            at += room > 0
            end = starts[at] + len(ahead[starts[at]])
            data, position = data[end - position :], end

    def full(self) -> bool:
        """Tell whether no more may be held back."""
        return (
            self._held > self.MAX_HELD
            or len(self._starts) > self.MAX_SEGMENTS
            or self._memory.held > self._memory.limit
        )

    def ready(self, position: int) -> bytes:
        """Return the bytes that continue at a position, b"" while there is a hole."""
        while self._starts and self._starts[0] <= position:
            start = self._starts.pop(0)
            data = self._ahead.pop(start)
            self._held -= len(data)
            self._memory.held -= len(data)
            if start + len(data) > position:
                return data[position - start :]
        return b""

    def hole(self, position: int) -> int:
        """Return how many bytes are missing before the first segment held back, 0 without one."""
        return self._starts[0] - position if self._starts else 0

    def drop(self) -> None:
        """Give back what is held."""
        self._memory.held -= self._held
        self._starts, self._ahead, self._held = [], {}, 0
