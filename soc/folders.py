"""Folders that only their owner may enter, and files that only one process holds."""

import fcntl
import os
from contextlib import suppress
from pathlib import Path
from typing import IO

from soc.errors import Refused


def private(folder: Path) -> None:
    """Make a folder, and those above it that are missing, with mode 0700; raises OSError.

    `Path.mkdir(parents=True)` would give the mode to the last one only.
    """
    for path in (*reversed(folder.parents), folder):
        if not path.exists():
            path.mkdir(mode=0o700, exist_ok=True)


def hold(path: Path, what: str) -> IO[str]:
    """Lock a file for as long as the returned one is open; the kernel ends it with the process.

    Raises Refused with the owner's process id when another holds it; `what` is used then.
    """
    file = path.open("a+")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        with file:
            file.seek(0)
            owner = file.read().strip() or "unknown"
        raise Refused(
            f"{what} is already running as process {owner}",
            where=str(path),
            hint=f"stop it first: kill {owner}",
        ) from error
    with suppress(OSError):  # a full disk: the lock holds without the number
        os.ftruncate(file.fileno(), 0)
        os.write(file.fileno(), f"{os.getpid()}\n".encode())
    return file


def sync(folder: Path) -> None:
    """Make names in a folder durable; raises OSError."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
