"""Folders that only their owner may enter."""

from pathlib import Path


def private(folder: Path) -> None:
    """Make a folder, and those above it that are missing, with mode 0700; raises OSError.

    `Path.mkdir(parents=True)` would give the mode to the last one only.
    """
    for path in (*reversed(folder.parents), folder):
        if not path.exists():
            path.mkdir(mode=0o700, exist_ok=True)
