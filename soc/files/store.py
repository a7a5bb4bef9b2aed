"""Content kept under its SHA-256: `ab/ab12...`, readable by its owner only, never executed.

What a file was called never reaches the file system (CVE-2025-12972 and kin: a name is a path).
A file appears whole or not at all: temporary file, fsync, rename.
"""

import hashlib
import os
import re
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Final

from soc.errors import InputError, StoreError
from soc.folders import private

PIECE: Final = 1 << 18
IN_MEMORY: Final = 1 << 16
"""Bytes of a file that are held before a temporary file is opened for it."""

_SHA256: Final = re.compile(r"[0-9a-f]{64}")
_TEMPORARY: Final = "partial-"


@dataclass(frozen=True, slots=True)
class Limits:
    """What may be stored: bytes of one file, files and bytes written by one `FileStore`."""

    size: int = 100 << 20
    files: int = 100_000
    total: int = 10 << 30


@dataclass(frozen=True, slots=True)
class Stored:
    """A file in the store. `truncated`: the content went on beyond the limit."""

    sha256: str
    size: int
    path: Path
    new: bool
    truncated: bool = False


class FileStore:
    """A folder of files by SHA-256. `put` and `open` write, `path` finds; nothing is overwritten.

    `full` tells that the limits of files or bytes are reached: then nothing new is stored.
    """

    def __init__(self, folder: Path, limits: Limits | None = None) -> None:
        self.folder = folder
        self.limits = limits or Limits()
        self.files = 0
        self.total = 0

    @property
    def full(self) -> bool:
        """Tell whether the limit of files or of bytes is reached."""
        return self.files >= self.limits.files or self.total >= self.limits.total

    def put(self, stream: BinaryIO) -> Stored | None:
        """Store what a stream holds; None when the store is full. Raises StoreError."""
        with self.open() as writer:
            while data := stream.read(PIECE):
                if not writer.write(data):
                    break
            return writer.commit()

    def open(self) -> "Writer":
        """Return a writer for content that comes in pieces."""
        return Writer(self)

    def path(self, sha256: str) -> Path | None:
        """Return where the content with this SHA-256 lies, None when it is not here."""
        if not _SHA256.fullmatch(sha256):
            raise InputError(f"not a SHA-256: {sha256[:80]!r}", hint="64 hexadecimal digits")
        place = self._place(sha256)
        return place if place.is_file() else None

    def __iter__(self) -> Iterator[str]:
        """Return the SHA-256 of every file in the store, in order."""
        for folder in sorted(self.folder.glob("[0-9a-f][0-9a-f]")):
            for place in sorted(folder.iterdir()):
                if _SHA256.fullmatch(place.name):
                    yield place.name

    def _place(self, sha256: str) -> Path:
        return self.folder / sha256[:2] / sha256


class Writer:
    """Takes the content of one file; `commit` puts it in the store, `discard` forgets it."""

    def __init__(self, store: FileStore) -> None:
        self._store = store
        self._digest = hashlib.sha256()
        self._memory = bytearray()
        self._file: BinaryIO | None = None
        self._temporary: Path | None = None
        self.size = 0
        self.truncated = False

    def __enter__(self) -> "Writer":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.discard()

    def write(self, data: bytes) -> bool:
        """Take bytes; False when the limit of a file is reached. Raises StoreError."""
        room = self._store.limits.size - self.size
        if len(data) > room:
            data = data[:room]
            self.truncated = True
        self._digest.update(data)
        self.size += len(data)
        if self._file is None and len(self._memory) + len(data) <= IN_MEMORY:
            self._memory += data
        else:
            self._guarded(lambda: self._spill(data))
        return not self.truncated

    def commit(self) -> Stored | None:
        """Put the content in the store; None when that is full. Raises StoreError."""
        store, sha256 = self._store, self._digest.hexdigest()
        place = store._place(sha256)
        new = not place.is_file()
        if new and store.full:
            self.discard()
            return None
        if new:
            self._guarded(lambda: self._rename(place))
            store.files += 1
            store.total += self.size
        self.discard()
        return Stored(sha256, self.size, place, new, self.truncated)

    def discard(self) -> None:
        """Forget the content; harmless after `commit`."""
        self._memory = bytearray()
        if self._file is not None:
            self._file.close()
            self._file = None
        if self._temporary is not None:
            self._temporary.unlink(missing_ok=True)
            self._temporary = None

    def _spill(self, data: bytes) -> None:
        if self._file is None:
            self._file = self._create()
            self._file.write(self._memory)
            self._memory = bytearray()
        self._file.write(data)

    def _create(self) -> BinaryIO:
        folder = self._store.folder
        private(folder)
        number, name = tempfile.mkstemp(prefix=_TEMPORARY, dir=folder)  # mode 0600
        self._temporary = Path(name)
        return os.fdopen(number, "wb")

    def _rename(self, place: Path) -> None:
        self._spill(b"")
        assert self._file is not None  # noqa: S101
        assert self._temporary is not None  # noqa: S101
        self._file.flush()
        os.fsync(self._file.fileno())
        place.parent.mkdir(mode=0o700, exist_ok=True)
        self._temporary.rename(place)
        self._temporary = None
        folder = os.open(place.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

    def _guarded(self, action: Callable[[], None]) -> None:
        try:
            action()
        except OSError as error:
            self.discard()
            raise StoreError(
                f"the file store cannot be written: {error.strerror}",
                where=str(self._store.folder),
                hint="check free space and permissions",
            ) from error
