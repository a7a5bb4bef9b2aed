"""What makes this machine a node: its secret, its lock, its name on what it reads."""

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from soc.errors import StoreError
from soc.folders import hold, private, sync

KEY_BYTES = 32


def node_key(state: Path) -> bytes:
    """Return the node's secret, made at first use; event ids of this node depend on it."""
    path = state / "node.key"
    try:
        private(state)
        try:
            key = path.read_bytes()
        except FileNotFoundError:
            key = _make_key(path)
    except OSError as error:
        raise StoreError(
            f"the state folder cannot be used: {error.strerror}",
            where=str(path),
            hint="set [paths] state to a folder you may write, or SOC_PATHS__STATE",
        ) from error
    if len(key) != KEY_BYTES:
        raise StoreError("the node's key is damaged", where=str(path), hint="restore a backup")
    return key


def _make_key(path: Path) -> bytes:
    # Written whole beside its place, then linked: a second process at the same moment loses the
    # race and reads the winner's key, and a power loss leaves no half key.
    scratch = path.with_name(f".node.key.{os.getpid()}")
    descriptor = os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(secrets.token_bytes(KEY_BYTES))
        file.flush()
        os.fsync(file.fileno())
    try:
        os.link(scratch, path)
    except FileExistsError:
        pass
    finally:
        scratch.unlink()
    sync(path.parent)
    return path.read_bytes()


@contextmanager
def only_one(state: Path, name: str) -> Iterator[None]:
    """Hold the state folder's lock `NAME.lock`; raise Refused when another process holds it."""
    with hold(state / f"{name}.lock", f"soc {name}"):
        yield
