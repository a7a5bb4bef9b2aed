"""Damaged bytes are kept as evidence, within bounds, before their segment is deleted."""

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

from collectors.spool.reader import Damage

FOLDER: Final = "quarantine"
MOST: Final = 1 << 26
"""Bytes that are kept in all; what comes after is only counted."""


class Quarantine:
    """The folder `quarantine` of a spool: files `FIRST-COUNT.bad`, by sequence number."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / FOLDER

    def keep(self, damage: Damage) -> None:
        """Copy the bytes in question; that a disk has no room for them stops nothing."""
        path = self.folder / f"{damage.first:016d}-{damage.count}.bad"
        with suppress(OSError):
            self.folder.mkdir(mode=0o700, exist_ok=True)
            if path.exists() or self._size() + damage.size > MOST or not damage.size:
                return
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            with os.fdopen(descriptor, "wb") as file:
                for data in _bytes(damage):
                    file.write(data)

    def _size(self) -> int:
        return sum(entry.stat().st_size for entry in os.scandir(self.folder))


def _bytes(damage: Damage) -> Iterator[bytes]:
    for segment, at, size in damage.places:
        with segment.path.open("rb") as file:
            file.seek(at)
            while size > 0 and (data := file.read(min(size, 1 << 20))):
                size -= len(data)
                yield data
