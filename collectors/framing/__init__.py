"""Framing: how a byte stream is cut into records, one module per way.

A module here defines `frames(stream) -> Iterator[Frame]`. Positions are byte offsets (or record
numbers), so that every reading of the same bytes gives the same positions.
"""

import importlib
from collections.abc import Callable, Iterator
from typing import BinaryIO, cast

from collectors.frame import Frame

CHUNK = 1 << 18
"""Bytes asked of a stream at once."""

Framing = Callable[[BinaryIO], Iterator[Frame]]


def by_name(name: str) -> Framing:
    """Return the `frames` function of a framing module; an unknown name is our bug."""
    module = importlib.import_module(f"collectors.framing.{name}")
    return cast(Framing, module.frames)


def chunks(stream: BinaryIO) -> Iterator[bytes]:
    """Return what a stream holds, as it comes: a pipe is not waited on for a full chunk."""
    read = getattr(stream, "read1", stream.read)
    while data := read(CHUNK):
        yield data
