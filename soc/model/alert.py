"""The alert's vocabulary: its id, its states and the log of what people decided.

The workflow log is the truth. State, owner and verdict on the alert itself are a projection of
it (`project`) and can be rebuilt at any time.
"""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final, Literal

import orjson

State = Literal["new", "acknowledged", "in_progress", "closed"]
Action = Literal["ack", "assign", "close", "reopen", "note"]
# OCSF 1.4 `verdict_id` captions, as identifiers.
Verdict = Literal["true_positive", "false_positive", "benign", "duplicate", "test", "unknown"]

STATES: Final[tuple[State, ...]] = ("new", "acknowledged", "in_progress", "closed")
VERDICTS: Final[tuple[Verdict, ...]] = (
    "true_positive",
    "false_positive",
    "benign",
    "duplicate",
    "test",
    "unknown",
)
TRANSITIONS: Final[Mapping[Action, tuple[tuple[State, ...], State | None]]] = {
    "ack": (("new",), "acknowledged"),
    "assign": (("new", "acknowledged", "in_progress"), "in_progress"),
    "close": (("new", "acknowledged", "in_progress"), "closed"),
    "reopen": (("closed",), "in_progress"),
    "note": (STATES, None),
}
"""Action -> states it may start from, and the state it leads to (None: stays)."""


def alert_id(rule_id: str, event_id: str, group: str = "") -> str:
    """Return the id that makes the same rule on the same event the same alert.

    For a correlation the event is the one that completed it, and the group's values count too.

    The first 12 digits are the event's own time prefix, so that ids sort by event time.
    """
    named = f"{rule_id}\0{event_id}\0{group}" if group else f"{rule_id}\0{event_id}"
    digest = hashlib.sha256(named.encode("utf-8", "surrogatepass"))
    return f"{event_id[:12]}-{digest.hexdigest()[:20]}"


def short_id(alert: str) -> str:
    """Return the part of an alert's id that people read and type."""
    return alert.rpartition("-")[2][:8]


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of an alert's workflow log; `seq` counts from 1, `previous` chains the hashes."""

    alert_id: str
    seq: int
    at: str
    actor: str
    action: Action
    state_from: State
    state_to: State
    verdict: Verdict | None = None
    reason: str = ""
    owner: str = ""
    previous: str = ""

    @property
    def id(self) -> str:
        """Return `alert:seq`; a second writer of the same number gets a conflict."""
        return f"{self.alert_id}:{self.seq}"

    @property
    def hash(self) -> str:
        """Return SHA-256 over the canonical JSON of the entry, in hexadecimal."""
        return hashlib.sha256(orjson.dumps(asdict(self), option=orjson.OPT_SORT_KEYS)).hexdigest()

    def as_dict(self) -> dict[str, Any]:
        """Return the entry as plain JSON values."""
        return asdict(self)


def project(entries: Iterable[Entry]) -> dict[str, Any]:
    """Return the workflow fields of an alert from its log, oldest entry first."""
    fields: dict[str, Any] = {"soc.alert.state": "new", "soc.alert.seq": 0}
    for entry in entries:
        fields["soc.alert.state"] = entry.state_to
        fields["soc.alert.seq"] = entry.seq
        fields["soc.alert.updated"] = entry.at
        if entry.owner:
            fields["soc.alert.owner"] = entry.owner
        if entry.action == "close":
            fields["soc.alert.verdict"] = entry.verdict
            fields["soc.alert.reason"] = entry.reason
        elif entry.action == "reopen":
            fields.pop("soc.alert.verdict", None)
            fields.pop("soc.alert.reason", None)
    return fields


MUTABLE: Final = frozenset(
    f"soc.alert.{name}" for name in ("state", "seq", "updated", "owner", "verdict", "reason")
)
"""Fields of an alert that its workflow changes; everything else is written once."""
