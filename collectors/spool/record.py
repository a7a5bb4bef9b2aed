"""What the spool keeps: batches of frames go in, records come out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from collectors.frame import Frame

Position = tuple[str, Mapping[str, Any]]
"""An input's name and its own state: how far it has read."""


@dataclass(frozen=True, slots=True)
class Batch:
    """Frames of one source that came together, in columns: nothing is made for each frame.

    `input` is the name of the input, as configured. A file has an `origin` (it names the file in
    event ids), a `path` and `offsets`; a network input has none of these, only a `peer`: the
    spool's boot and the sequence number tell its frames apart. `received` is in microseconds
    since 1970; `truncated` are the indexes of the frames that are not whole.
    """

    input: str
    raws: Sequence[bytes]
    received: int
    origin: str = ""
    path: str = ""
    peer: str = ""
    offsets: Sequence[int] | None = None
    truncated: Sequence[int] = ()

    def part(self, start: int, stop: int) -> "Batch":
        """Return the frames from start to stop, without stop."""
        if start == 0 and stop >= len(self.raws):
            return self
        return Batch(
            self.input,
            self.raws[start:stop],
            self.received,
            self.origin,
            self.path,
            self.peer,
            None if self.offsets is None else self.offsets[start:stop],
            [index - start for index in self.truncated if start <= index < stop],
        )


@dataclass(frozen=True, slots=True)
class Record:
    """One frame as the spool gives it out.

    `origin` names the source in event ids: for a file as its input did, for the network the id of
    the life of the process that received it; there the frame's position is its sequence number.
    """

    frame: Frame
    input: str
    origin: str
    path: str = ""
    peer: str = ""
    received: int = 0
