"""What the workers are doing, read from the store: members, slots, what lies behind."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from detectors.sigma.correlation.starving import Starved
from soc.model.time import parse_iso
from soc.run.rules_parking import Parked, parked
from soc.run.worker.roster import NAME, Page
from soc.run.worker.slots import MATCHES, SLOTS, name_of, slot_of
from soc.store.base import Store


@dataclass(frozen=True, slots=True)
class Lag:
    """A shard: who judges it, and how many documents lie behind its cursor, at most."""

    shard: str
    slot: str
    holder: str
    behind: int


@dataclass(frozen=True, slots=True)
class Status:
    """The workers, the shards of events and matches, what is parked and what needs it."""

    workers: tuple[Mapping[str, Any], ...]
    lags: tuple[Lag, ...]
    parked: tuple[Parked, ...]
    starved: tuple[Starved, ...]


def status(store: Store, now: datetime) -> Status:
    """Return what the roster and the checkpoints say."""
    found = store.checkpoint(NAME)
    page = Page.of(found.payload if found else {})
    workers = tuple(
        _worker(member, page, known, now) for member, known in sorted(page.members.items())
    )
    cursors: dict[str, str] = {}
    lags = []
    for stream in ("events", "matches"):
        listed = store.shards("events" if stream == "events" else "matches")
        slots = {
            one.name: slot_of(one.name) if stream == "events" else MATCHES[one.partition]
            for one in listed
        }
        for slot in sorted(set(slots.values())):
            cursors |= _cursors(store, slot)
        for one in listed:
            slot = slots[one.name]
            left = store.behind(cursors.get(one.name), one)
            lags.append(Lag(one.name, slot, page.slots[slot].holder, left))
    starved = {
        hunger["rule"]: Starved(**hunger)
        for one in page.members.values()
        for hunger in one.get("starved", ())
    }
    return Status(workers, tuple(lags), tuple(parked(store).values()), tuple(starved.values()))


def _worker(member: str, page: Page, known: Mapping[str, Any], now: datetime) -> dict[str, Any]:
    held = page.held(member)
    return {
        "worker": member,
        "age": round((now - parse_iso(known["at"])).total_seconds(), 1) if "at" in known else None,
        "events": sum(slot in held for slot in SLOTS["events"]),
        "matches": sum(slot in held for slot in SLOTS["matches"]),
        "documents": known.get("documents", 0),
        "rate": known.get("rate", 0.0),
        "alerts": known.get("alerts", 0),
        "rules": known.get("rules", 0),
        "left_out": known.get("left_out", {}),
    }


def _cursors(store: Store, slot: str) -> dict[str, str]:
    saved = store.checkpoint(name_of(slot))
    payload = saved.payload if saved else {}
    found: dict[str, str] = (payload.get("state") or payload).get("cursors", {})
    return found
