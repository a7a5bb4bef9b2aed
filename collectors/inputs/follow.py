"""Files that grow: at least once, and once in the store because positions commit with events.

A file is known by its inode and a digest of its first bytes, not by its name: renaming it
changes nothing, the rest of a renamed file is read to its end, also after a restart. A file that
became shorter, or whose first bytes changed, begins anew under a new generation. A line counts
when its line end has been written; the last line of a file that was rotated away counts without.
Files ending in .gz are left alone: they hold what was read already.
"""

import glob
import hashlib
import logging
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from stat import S_ISREG
from typing import Any, Final

from collectors.frame import Frame
from collectors.framing.lines import LineCutter
from soc.text import of_path

log = logging.getLogger("soc.collect")

CHUNK: Final = 1 << 18
"""Bytes read from one file before the next has its turn."""
HEAD: Final = 1024
"""First bytes of a file that tell it from another."""
ROTATE_WAIT: Final = 5.0
"""Seconds for which a writer may go on with a file that was renamed."""

Key = tuple[int, int]
_READ: Final = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK
"""A pipe that took a file's place while it was looked at is not waited for."""


@dataclass(slots=True)
class Place:
    """How far a file has been read; this is what is stored. `origin` names it in event ids, `path`
    is text: a name with other bytes is found again by its inode."""

    path: str
    device: int
    inode: int
    head: int
    digest: str
    origin: str
    offset: int


@dataclass(frozen=True, slots=True)
class Chunk:
    """Records of one file, and the state of the whole input once they are stored."""

    origin: str
    path: str
    frames: Sequence[Frame]
    state: Mapping[str, Any]


class _File:
    """An open file with its place and its unfinished line."""

    def __init__(self, place: Place, descriptor: int) -> None:
        self.place = place
        self.descriptor = descriptor
        self.cutter = LineCutter(place.offset)
        self.read_to = place.offset
        self.written = 0
        self.gone_since: float | None = None

    def read(self) -> list[Frame]:
        """Return the next lines; what is unfinished waits."""
        data = os.pread(self.descriptor, CHUNK, self.read_to)
        self.read_to += len(data)
        frames = self.cutter.feed(data)
        self.place.offset = self.cutter.offset
        return frames

    def begins_anew(self) -> bool:
        """Tell whether the file was truncated or overwritten since it was last read."""
        found = os.fstat(self.descriptor)
        # What was written over may have the size it had before.
        changed = found.st_size > self.read_to or found.st_mtime_ns != self.written
        self.written = found.st_mtime_ns
        return found.st_size < self.read_to or (
            changed and _digest(self.descriptor, self.place.head) != self.place.digest
        )


class Follower:
    """Follows the files of a glob pattern from a stored state; does not store anything itself."""

    def __init__(self, pattern: str, state: Mapping[str, Any] | None) -> None:
        self._pattern = pattern
        self._generation: int = state["generation"] if state else 0
        self._files: dict[Key, _File] = {}
        self._missing: list[Place] = []
        self._told: set[tuple[str, str]] = set()
        self._troubles: set[tuple[str, str]] = set()
        for saved in state["files"] if state else []:
            self._reopen(Place(**saved))

    def state(self) -> dict[str, Any]:
        """Return what must be stored together with the events read so far."""
        return {
            "generation": self._generation,
            "files": [asdict(file.place) for file in self._files.values()],
        }

    def poll(self, clock: float) -> Iterator[Chunk]:
        """Yield what was written since the last poll, at most CHUNK bytes a file.

        `clock` is monotonic seconds. Store each chunk before taking the next.
        """
        self._discover(clock)
        for key, file in list(self._files.items()):
            try:
                yield from self._poll_file(key, file, clock)
            except OSError as error:
                self._trouble(file.place.path, error)
        self._told, self._troubles = self._troubles, set()

    def close(self) -> None:
        """Close the files."""
        for file in self._files.values():
            os.close(file.descriptor)
        self._files.clear()

    def _trouble(self, path: str, error: OSError) -> None:
        """Tell that a file cannot be read, once for as long as that lasts."""
        what = (of_path(path), error.strerror or str(error))
        if what not in self._told | self._troubles:
            log.warning("%s cannot be read: %s", *what)
        self._troubles.add(what)

    def _poll_file(self, key: Key, file: _File, clock: float) -> Iterator[Chunk]:
        if file.begins_anew():
            origin, cut = file.place.origin, file.cutter.rest()
            self._begin(file.place, file.descriptor)
            file.cutter, file.read_to = LineCutter(), 0
            if cut:  # a last line whose end will not come
                yield Chunk(origin, file.place.path, [cut], self.state())
        before = file.read_to
        frames = file.read()
        if file.place.head < HEAD and file.read_to > before:
            file.place.head, file.place.digest = _head(file.descriptor)
        over = file.gone_since is not None and file.read_to == before
        if over and clock - (file.gone_since or 0.0) >= ROTATE_WAIT:
            if last := file.cutter.rest():
                frames = [*frames, last]
            del self._files[key]
            os.close(file.descriptor)
        elif file.gone_since is not None and not over:
            file.gone_since = clock
        if frames or key not in self._files:
            yield Chunk(file.place.origin, file.place.path, frames, self.state())

    def _discover(self, clock: float) -> None:
        present: set[Key] = set()
        for path in sorted(glob.iglob(self._pattern, recursive=True)):
            try:
                found = os.stat(path)
            except OSError:
                continue  # renamed between listing and looking; the next poll sees it
            key = (found.st_dev, found.st_ino)
            if not S_ISREG(found.st_mode) or path.endswith(".gz") or key in present:
                continue
            present.add(key)
            if key not in self._files and found.st_size:
                self._open_new(path)
        for key, file in self._files.items():
            if key in present:
                file.gone_since = None
            elif file.gone_since is None:
                file.gone_since = clock

    def _open_new(self, path: str) -> None:
        descriptor = -1
        try:
            if self._found_again(path):
                return
            descriptor = os.open(path, _READ)
            found = os.fstat(descriptor)
            place = Place(of_path(path), found.st_dev, found.st_ino, 0, "", "", 0)
            self._begin(place, descriptor)
        except OSError as error:
            if descriptor >= 0:
                os.close(descriptor)
            self._trouble(path, error)
            return
        self._files[(place.device, place.inode)] = _File(place, descriptor)

    def _found_again(self, path: str) -> bool:
        """Go on with a file that was not there at the start: its disk came later."""
        inode = os.stat(path).st_ino
        for place in self._missing:
            # Of a shorter head another file with the same inode may have the same one.
            if place.inode == inode and place.head == HEAD and self._resume(path, place):
                self._missing.remove(place)
                return True
        return False

    def _begin(self, place: Place, descriptor: int) -> None:
        self._generation += 1
        place.head, place.digest = _head(descriptor)
        place.origin = f"{place.digest}:{self._generation}"
        place.offset = 0

    def _reopen(self, place: Place) -> None:
        """Find the file again after a restart: by its name, else by its inode beside it.

        The device's number does not count: after a reboot a disk may have another one.
        """
        folder = os.path.dirname(place.path) or "."
        for path in (place.path, *_entries(folder)):
            with suppress(OSError):
                if os.stat(path).st_ino == place.inode and self._resume(path, place):
                    return
        self._missing.append(place)
        log.warning("%s is gone or was replaced while nobody read it", place.path)

    def _resume(self, path: str, place: Place) -> bool:
        """Go on with a file if it is the one of the place; raises OSError."""
        descriptor = os.open(path, _READ)
        try:
            found = os.fstat(descriptor)
            same = found.st_ino == place.inode and _digest(descriptor, place.head) == place.digest
            if same:
                place.device = found.st_dev
                self._files[(place.device, place.inode)] = _File(place, os.dup(descriptor))
            return same
        finally:
            os.close(descriptor)


def _entries(folder: str) -> list[str]:
    try:
        return [entry.path for entry in os.scandir(folder)]
    except OSError:
        return []


def _head(descriptor: int) -> tuple[int, str]:
    head = os.pread(descriptor, HEAD, 0)
    return len(head), hashlib.sha256(head).hexdigest()[:32]


def _digest(descriptor: int, length: int) -> str:
    return hashlib.sha256(os.pread(descriptor, length, 0)).hexdigest()[:32]
