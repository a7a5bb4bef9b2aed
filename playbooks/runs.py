"""Runs as the journal tells of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from playbooks.ledger import Claim
from soc.errors import InputError

Record = Mapping[str, Any]
RESULTS: Final = ("effect.done", "effect.failed")
"""Kinds of records that say how an action step went."""


@dataclass(frozen=True, slots=True)
class Report:
    """How a run stands: its status (open, done, failed), its effects, and what is in force."""

    run: str
    playbook: str
    status: str
    detail: str
    started: str
    effects: tuple[Record, ...]
    in_force: tuple[Claim, ...]


def report(history: Sequence[Record], claims: Sequence[Claim]) -> Report:
    """Return how a run stands from its records and the claims it holds."""
    started = started_by(history, "")
    finished = finished_by(history)
    return Report(
        run=started["run"],
        playbook=started["plan"]["playbook"]["name"],
        status=finished["status"] if finished else "open",
        detail=finished["detail"] if finished else "",
        started=started["at"],
        effects=tuple(record for record in history if record["kind"] in RESULTS),
        in_force=tuple(claims),
    )


def runs(history: Sequence[Record]) -> list[list[Record]]:
    """Return the records of each run, oldest run first."""
    found: dict[str, list[Record]] = {}
    for record in history:
        found.setdefault(record["run"], []).append(record)
    return [records for records in found.values() if records[0]["kind"] == "run.started"]


def open_runs(history: Sequence[Record]) -> list[str]:
    """Return the runs that wait to be resumed."""
    return [records[0]["run"] for records in runs(history) if finished_by(records) is None]


def started_by(history: Sequence[Record], run: str) -> Record:
    """Return the record that a run began with; raise InputError when there is none."""
    if not history or history[0]["kind"] != "run.started":
        raise InputError(f"there is no run {run[:80]!r}", hint="soc playbook status")
    return history[0]


def finished_by(history: Sequence[Record]) -> Record | None:
    """Return the record that a run ended with, None while it waits."""
    return next((record for record in history if record["kind"] == "run.finished"), None)
