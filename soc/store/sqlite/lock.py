"""The one lock that orders appends: of all threads and of all processes on this machine.

flock is given back by the kernel when its holder dies, so nothing is left to clean up.
"""

import fcntl
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from soc.errors import StoreError
from soc.store.sqlite.database import BUSY_SECONDS, explained

_PAUSE: Final = 0.002


class WriteLock:
    """A lock on a file; not reentrant."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._threads = threading.Lock()
        with explained(path):
            self._file = os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)

    @contextmanager
    def held(self) -> Iterator[None]:
        """Hold the lock; StoreError when it is not free within BUSY_SECONDS."""
        deadline = time.monotonic() + BUSY_SECONDS
        if not self._threads.acquire(timeout=BUSY_SECONDS):
            self._busy()
        try:
            while not self._taken():
                if time.monotonic() > deadline:
                    self._busy()
                time.sleep(_PAUSE)
            try:
                yield
            finally:
                fcntl.flock(self._file, fcntl.LOCK_UN)
        finally:
            self._threads.release()

    def close(self) -> None:
        """Give back the file."""
        os.close(self._file)

    def _taken(self) -> bool:
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def _busy(self) -> None:
        raise StoreError(
            f"another writer held the store for {BUSY_SECONDS:.0f} s",
            where=str(self._path),
            hint="wait for it, or stop it",
        )
