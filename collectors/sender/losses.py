"""A loss is an event of its own: what was dropped or quarantined is told, not only counted."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from collectors.spool.state import REFUSED
from soc.model.event import ECS_VERSION, Event, event_id
from soc.model.time import iso

DATASET: Final = "collector"
EVERY: Final = 30.0
"""Seconds between two such events, at least."""


def losses(spool: Mapping[str, Any], dead_letters: int) -> dict[str, int]:
    """Return what was lost on the way so far, by reason; what is zero is left out."""
    found = {"dead-lettered": dead_letters, "quarantined": int(spool["lost"])}
    for name, counts in spool["inputs"].items():
        for what, many in counts.items():
            if what.startswith(("dropped", "refused", REFUSED)):
                found[f"{name}: {what}"] = many
    return {what: many for what, many in found.items() if many}


def loss_event(
    now: Mapping[str, int], told: Mapping[str, int], *, key: bytes, observer: str, at: datetime
) -> Event | None:
    """Return the event that tells what has been lost since `told`, None when nothing was.

    Its id depends on the sums only: told again after a crash, it is the same event. Its count is
    that of frames and events; what refused connections would have brought nobody knows.
    """
    more = {w: many - told.get(w, 0) for w, many in sorted(now.items()) if many > told.get(w, 0)}
    if not more:
        return None
    text = "lost on the way: " + ", ".join(f"{many} {what}" for what, many in more.items())
    sums = ",".join(f"{what}={now[what]}" for what in sorted(now))
    return {
        "@timestamp": iso(at),
        "ecs.version": ECS_VERSION,
        "event.kind": "event",
        "event.category": ["host"],
        "event.type": ["error"],
        "event.action": "loss",
        "event.outcome": "failure",
        "event.dataset": DATASET,
        "event.id": event_id(None, key, "soc.collector", sums, 0),
        "event.created": iso(at),
        "event.original": text,
        "message": text,
        "observer.name": observer,
        "soc.loss.count": sum(many for what, many in more.items() if not what.endswith(REFUSED)),
        "soc.loss.reasons": [f"{what}={many}" for what, many in more.items()],
    }
