"""The checkpoint file: everything below it has had its verdicts.

One line, a CRC-32 and JSON. It is written whole beside its place, synced, renamed, and the folder
synced. The file beside its place is made in advance with room to spare, so that a checkpoint can
be written, and drained segments deleted, on a disk without a free block or inode.
"""

import json
import os
import zlib
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from collectors.spool.state import State
from soc.folders import sync

NAME: Final = "checkpoint"
NEXT: Final = "checkpoint.next"
ROOM: Final = 1 << 13


@dataclass(slots=True)
class Checkpoint:
    """What the file says; `notes` belong to whoever settles."""

    mark: bytes
    sequence: int = 0
    lost: int = 0
    lost_bytes: int = 0
    state: State = field(default_factory=State)
    notes: Mapping[str, Any] = field(default_factory=dict)


def load(folder: Path) -> Checkpoint | None:
    """Return the checkpoint, None when it is missing or damaged; raises OSError."""
    try:
        data = (folder / NAME).read_bytes()
    except FileNotFoundError:
        return None
    crc, _, text = data.partition(b" ")
    try:
        if int(crc, 16) != zlib.crc32(text):
            return None
        found = json.loads(text)
        return Checkpoint(
            bytes.fromhex(found["mark"]),
            found["sequence"],
            found["lost"],
            found["lost_bytes"],
            State.of(found["state"]),
            found["notes"],
        )
    except (ValueError, KeyError, TypeError):
        return None


def save(folder: Path, checkpoint: Checkpoint) -> None:
    """Make a checkpoint durable; raises OSError, then the one before holds."""
    text = json.dumps(
        {
            "mark": checkpoint.mark.hex(),
            "sequence": checkpoint.sequence,
            "lost": checkpoint.lost,
            "lost_bytes": checkpoint.lost_bytes,
            "state": checkpoint.state.as_document(),
            "notes": checkpoint.notes,
        }
    ).encode()
    data = b"%08x %s" % (zlib.crc32(text), text)
    path = folder / NEXT
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        write(descriptor, data, 0)
        os.ftruncate(descriptor, len(data))
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    path.rename(folder / NAME)
    sync(folder)


def prepare(folder: Path, size: int = 0) -> None:
    """Make room for the next checkpoint, as well as that is possible at the moment."""
    with suppress(OSError):
        descriptor = os.open(folder / NEXT, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            os.posix_fallocate(descriptor, 0, max(ROOM, 2 * size))
        finally:
            os.close(descriptor)


def write(descriptor: int, data: bytes, at: int) -> None:
    """Write all of it at this place, however short the kernel's writes are; raises OSError."""
    view = memoryview(data)
    while view:
        done = os.pwrite(descriptor, view, at)
        view, at = view[done:], at + done
