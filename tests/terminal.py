"""Running Python on a terminal of its own, as a person would see it."""

import os
import pty
import subprocess
import sys
from collections.abc import Mapping


def on_terminal(code: str, environ: Mapping[str, str] = {}) -> str:
    """Run code with all streams on a pseudo terminal; return what the screen received."""
    leader, follower = pty.openpty()
    clean = {k: v for k, v in os.environ.items() if k not in ("NO_COLOR", "FORCE_COLOR", "COLUMNS")}
    with subprocess.Popen(
        [sys.executable, "-c", code],
        stdin=follower,
        stdout=follower,
        stderr=follower,
        env=clean | {"TERM": "xterm-256color", "COLUMNS": "120", **environ},
    ) as process:
        os.close(follower)
        received = bytearray()
        while chunk := _read(leader):
            received += chunk
        process.wait(30)
    os.close(leader)
    assert process.returncode == 0, received.decode()
    return received.decode()


def _read(leader: int) -> bytes:
    try:
        return os.read(leader, 65536)
    except OSError:  # Linux says EIO when the last writer has gone
        return b""
