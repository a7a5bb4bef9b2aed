"""Damaged bytes are kept as evidence, within bounds, before their segment is deleted."""

import os
from contextlib import suppress
from pathlib import Path
from typing import Final

from collectors.spool.segments import Segment

FOLDER: Final = "quarantine"
MOST: Final = 1 << 26
"""Bytes that are kept in all; what comes after is only counted."""


class Quarantine:
    """The folder `quarantine` of a spool: files `SEGMENT-OFFSET.bad`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / FOLDER

    def keep(self, segment: Segment, at: int, size: int) -> None:
        """Copy the bytes in question; that the disk has no room for them stops nothing."""
        path = self.folder / f"{segment.path.stem}-{at}.bad"
        with suppress(OSError):
            self.folder.mkdir(mode=0o700, exist_ok=True)
            if path.exists() or self._size() + size > MOST:
                return
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            with os.fdopen(descriptor, "wb") as file, segment.path.open("rb") as bad:
                bad.seek(at)
                while size > 0 and (data := bad.read(min(size, 1 << 20))):
                    size -= file.write(data)

    def _size(self) -> int:
        return sum(entry.stat().st_size for entry in os.scandir(self.folder))
