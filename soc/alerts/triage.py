"""Triage: what an analyst may do with an alert, each step an entry in its append-only log."""

import re
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from soc.errors import Conflict, InputError, Refused, UsageError
from soc.model.alert import TRANSITIONS, VERDICTS, Action, Entry, Verdict, project
from soc.model.event import Event
from soc.model.time import iso
from soc.store.base import Store
from soc.store.query import parse

_ID: Final = re.compile("[0-9a-f-]{1,40}")


@dataclass(frozen=True, slots=True)
class Decision:
    """What a person wants done: the action and, where it needs them, verdict, reason and owner."""

    action: Action
    actor: str
    verdict: Verdict | None = None
    reason: str = ""
    owner: str = ""


def decide(log: Sequence[Entry], alert: str, decision: Decision, now: datetime) -> Entry:
    """Return the entry that carries out a decision on an alert with this log.

    Raises Refused when the alert's state does not allow it, UsageError when verdict or reason
    are missing or unknown.
    """
    _demand(decision)
    state = log[-1].state_to if log else "new"
    allowed, target = TRANSITIONS[decision.action]
    if state not in allowed:
        raise Refused(
            f"cannot {decision.action} an alert that is {state}",
            where=alert,
            hint="soc alerts reopen ID" if state == "closed" else "soc alerts show ID",
        )
    return Entry(
        alert_id=alert,
        seq=len(log) + 1,
        at=iso(now),
        actor=decision.actor,
        action=decision.action,
        state_from=state,
        state_to=target or state,
        verdict=decision.verdict,
        reason=decision.reason,
        owner=decision.owner,
        previous=log[-1].hash if log else "",
    )


def _demand(decision: Decision) -> None:
    for text in (decision.actor, decision.reason, decision.owner):
        if any("\ud800" <= char <= "\udfff" for char in text):  # bytes that were not UTF-8
            raise UsageError("the command line holds bytes that are not UTF-8", where=text)
    if decision.action == "close" and decision.verdict not in VERDICTS:
        known = ", ".join(VERDICTS)
        raise UsageError("closing an alert needs a verdict", hint=f"--verdict, one of {known}")
    if decision.action == "assign" and not decision.owner.strip():
        raise UsageError("an alert is given to somebody", hint="--to NAME")
    if decision.action in ("close", "reopen", "note") and not decision.reason.strip():
        raise UsageError(f"{decision.action} needs words for those who read later", hint="--reason")


def act(store: Store, alert: str, decision: Decision, now: datetime) -> Entry:
    """Carry out a decision and return its log entry; raises Conflict when somebody was faster."""
    entries = check(store, alert, decision, now)
    store.append_workflow(entries[-1], project(entries))
    return entries[-1]


def check(store: Store, alert: str, decision: Decision, now: datetime) -> Sequence[Entry]:
    """Return an alert's log with the entry that would carry out a decision.

    Raises what `decide` raises.
    """
    log = store.workflow(alert)
    try:
        return [*log, decide(log, alert, decision, now)]
    except Refused:
        # The list may still show it as it was before: its last decision was cut short.
        if log:
            with suppress(Conflict):
                store.append_workflow(log[-1], project(log))
        raise


def find(store: Store, wanted: str) -> Event:
    """Return the alert with this id, or the only one whose id (or its part behind the dash)
    begins so; raises InputError when there is none or more than one."""
    if exact := store.get([wanted], collection="alerts"):
        return exact[0]
    found: Sequence[Event] = []
    if _ID.fullmatch(wanted):
        query = parse(f"soc.alert.id:({wanted}* OR *-{wanted}*)".replace("-", "\\-"))
        found = store.search(query, collection="alerts", limit=2).events
    if len(found) == 1:
        return found[0]
    problem = "more than one alert begins with" if found else "no alert has the id"
    raise InputError(f"{problem} {wanted!r}", hint="soc alerts list")
