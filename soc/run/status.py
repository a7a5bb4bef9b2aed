"""The status of the collector: a file that the running process renews, read by everybody else."""

import json
import os
from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from collectors.sender.ledger import balanced
from collectors.spool.state import UNKNOWN
from soc.errors import InputError
from soc.model.time import iso

NAME: Final = "collector.json"
EVERY: Final = 1.0
"""Seconds between two writings."""
LATE: Final = 60.0
"""Seconds without a writing after which a process that is there does not work."""
_PARTS: Final = frozenset(
    ("at", "dead_letters", "events", "settled", "spool", "trouble", "trouble_since")
)
NOT_TAKEN: Final = ("refused", "dropped")
"""What counts of records begin with that arrived and went no further; the reason follows."""


def write(state: Path, figures: Mapping[str, Any], now: datetime) -> None:
    """Renew the file, whole or not at all; a full disk leaves the one before."""
    pid = os.getpid()
    text = json.dumps({"pid": pid, "began": _began(pid), "at": iso(now), **figures})
    scratch = state / f".{NAME}"
    with suppress(OSError):
        scratch.write_text(text)
        scratch.replace(state / NAME)


def read(state: Path) -> dict[str, Any] | None:
    """Return what the collector last wrote, None when it never ran; raises InputError."""
    try:
        found: dict[str, Any] = json.loads((state / NAME).read_text())
        found["running"] = _alive(int(found["pid"]), str(found.get("began", "")))
        if missing := _PARTS - found.keys():
            raise KeyError(*missing)
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(
            "the collector's status cannot be read",
            where=str(state / NAME),
            hint="it is written anew by soc collect run",
        ) from error
    return found


def silent(found: Mapping[str, Any], now: datetime) -> bool:
    """Tell whether the collector is there and says nothing: it is stopped, or its disk hangs."""
    try:
        at = datetime.fromisoformat(found["at"])
    except (TypeError, ValueError):
        return True
    return bool(found["running"]) and (now - at).total_seconds() > LATE


def accounts(figures: Mapping[str, Any]) -> dict[str, dict[str, int]]:
    """Return the account of each input, in records.

    arrived = received + refused + dropped (each by reason), received = settled + left; what is left
    waits in the spool, or was damaged there. Of the unknown input less than nothing is left when a
    checkpoint was lost, with what it said of whose records were settled.
    """
    found: dict[str, dict[str, int]] = {}
    inputs, settled = figures["spool"]["inputs"], figures["settled"]
    for name in sorted({*inputs, *settled}):
        counts = dict(inputs.get(name, {}))
        received = counts.pop("received", 0)
        gone = {what: many for what, many in counts.items() if what.startswith(NOT_TAKEN)}
        done = settled.get(name, 0)
        found[name] = {
            "arrived": received + sum(gone.values()),
            **gone,
            "received": received,
            "settled": done,
            "left": received - done,
            **{what: many for what, many in counts.items() if what not in gone},
        }
    return found


def wrong(figures: Mapping[str, Any]) -> list[str]:
    """Return which of the books do not balance, in words; none is how it must be."""
    spool, events = figures["spool"], figures["events"]
    received = sum(one.get("received", 0) for one in spool["inputs"].values())
    settled = sum(figures["settled"].values()) + spool["lost"]
    found = []
    if received != spool["received"]:
        found.append(f"{received} frames received by inputs, {spool['received']} in the spool")
    if spool["received"] != spool["settled"] + spool["pending"]:
        found.append(
            f"{spool['received']} frames received, {spool['settled']} settled"
            f" + {spool['pending']} pending"
        )
    if settled != spool["settled"]:
        found.append(f"{spool['settled']} frames settled, {settled} accounted for")
    for name, one in accounts(figures).items():
        if one["left"] < 0 and name != UNKNOWN:
            found.append(f"{name}: {one['received']} frames received, {one['settled']} settled")
    if not balanced(events):
        found.append(f"events: {events}")
    return found


def _alive(pid: int, began: str) -> bool:
    """Tell whether the process runs; after a reboot another one may have its number."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    now = _began(pid)
    return not began or not now or now == began


def _began(pid: int) -> str:
    """Return when a process began, in ticks since the boot; nothing where that is not told."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    except (OSError, ValueError, IndexError):
        return ""
