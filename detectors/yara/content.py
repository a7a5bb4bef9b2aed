"""The content of an open file, as much of it as is looked at, and its digests."""

import os
from dataclasses import dataclass
from hashlib import md5, sha1, sha256
from typing import Final

PIECE: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class Content:
    """What is looked at. `digests` are those of the file, empty when only a part was read.

    Of a file larger than the limit the first and the last half of the limit are joined.
    """

    data: bytes
    size: int
    looked_at: str
    digests: dict[str, str]

    @property
    def cut(self) -> bool:
        """Tell whether a part in the middle was left out."""
        return not self.digests

    def place(self, offset: int) -> int:
        """Return where in the file an offset in the data lies."""
        gap = self.size - len(self.data) if self.cut else 0
        return offset + gap if offset >= len(self.data) // 2 else offset


def content(descriptor: int, limit: int) -> Content:
    """Read an open file by the size it has now; raise OSError."""
    size = os.fstat(descriptor).st_size
    if size > limit:
        half = limit // 2
        data = _read(descriptor, 0, half) + _read(descriptor, size - half, half)
        return Content(data, size, sha256(data).hexdigest(), {})
    data = _read(descriptor, 0, size)  # by its size: files of /proc have none and never end
    digests = {
        "md5": md5(data, usedforsecurity=False).hexdigest(),
        "sha1": sha1(data, usedforsecurity=False).hexdigest(),
        "sha256": sha256(data).hexdigest(),
    }
    return Content(data, len(data), digests["sha256"], digests)


def _read(descriptor: int, start: int, size: int) -> bytes:
    pieces, at = [], start
    while at < start + size and (piece := os.pread(descriptor, min(PIECE, start + size - at), at)):
        pieces.append(piece)
        at += len(piece)
    return b"".join(pieces)
