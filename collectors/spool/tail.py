"""The segment that is being written."""

import os
from contextlib import suppress
from pathlib import Path
from typing import Final

from collectors.spool.checkpoint import write
from collectors.spool.segments import Segment, named
from soc.folders import sync

SEGMENT: Final = 1 << 24
"""Bytes behind which a new segment begins."""


class Tail:
    """Appends durably; raises OSError, and then nothing of what was given is part of it."""

    def __init__(self, folder: Path, limit: int | None) -> None:
        self._folder = folder
        self._size = min(SEGMENT, limit // 8) if limit else SEGMENT
        self._descriptor = -1
        self.live: Segment | None = None

    @property
    def fresh(self) -> bool:
        """Whether the next write begins a segment."""
        return self.live is None or not 0 < self.live.size < self._size

    def begin(self, number: int, first: int) -> Segment | None:
        """Make a new segment where one is due; return it."""
        if self.live is not None and self.live.size < self._size:
            return None
        self.leave()
        path = named(self._folder, number)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        self._descriptor = os.open(path, flags, 0o600)
        try:
            sync(self._folder)
        except OSError:
            self.leave()
            path.unlink()
            raise
        self.live = Segment(path, number, 0, first)
        return self.live

    def put(self, data: bytes) -> None:
        """Write and sync; the caller adds to the segment's size when this returns."""
        assert self.live is not None  # noqa: S101 - for the type checker
        try:
            write(self._descriptor, data, self.live.size)
        except OSError:
            try:
                os.ftruncate(self._descriptor, self.live.size)
            except OSError:
                self.leave()
            raise
        try:
            os.fdatasync(self._descriptor)
        except OSError:
            # What the kernel could not write it may have dropped: another sync would succeed
            # without it. The segment ends here, its frames go into a new one.
            self.leave()
            raise

    def leave(self) -> None:
        """End the segment."""
        if self._descriptor >= 0:
            with suppress(OSError):
                os.close(self._descriptor)
        self._descriptor, self.live = -1, None
