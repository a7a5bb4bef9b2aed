"""scapy: known to every analyst, slow (about 5,000 packets/s); in a process of its own."""

import json
import os
import sys
from collections.abc import Sequence
from importlib.util import find_spec

from collectors.packets.tools.captures import Pcapng
from collectors.packets.tools.conversation import Frame
from collectors.packets.tools.decoding import MAX_INFO, Decoded, Outcome, limits_for
from collectors.packets.tools.sandbox import run

_WORKER = "collectors.packets.tools.scapy_worker"


def missing() -> str:
    """Return "" when scapy is installed, else why it cannot be used."""
    return "" if find_spec("scapy") else "scapy is not installed"


def decode(frames: Sequence[Frame]) -> Outcome:
    """Return what scapy says about frames of one capture."""
    limits = limits_for(frames)
    writer = Pcapng()
    environ = {"PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "HOME": "/nonexistent"}
    line = [sys.executable, "-P", "-m", _WORKER, str(limits.memory), str(int(limits.seconds) + 1)]
    output = run(line, b"".join(map(writer.add, frames)), limits, environ)
    rows = parsed(output.data, len(frames))
    if len(rows) == len(frames):
        return Outcome(rows, "")
    return Outcome(rows, output.problem or "it ended early")


def parsed(data: bytes, count: int) -> list[Decoded]:
    """Return the worker's answers, at most so many; what makes no sense ends them."""
    rows: list[Decoded] = []
    for line in data.split(b"\n")[:-1]:
        try:
            protocol, info = json.loads(line)
        except (ValueError, TypeError):
            break
        if len(rows) == count:
            break
        rows.append(Decoded(str(protocol)[:64], str(info)[:MAX_INFO]))
    return rows
