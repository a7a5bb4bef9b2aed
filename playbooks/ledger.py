"""The containment ledger: what is in force now, why, by whom, until when, and how it ends.

A claim is one effect's hold on a resource (action + target). Several claims may hold the same
resource; it is let go with the last of them. Claims are written in the journal's transactions.
"""

import sqlite3
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from math import ceil
from typing import Any, Final, Literal

import orjson

from playbooks.effect import Change, Request, Target, action
from playbooks.model import canonical
from soc.errors import InputError
from soc.model.time import iso, parse_iso

ClaimState = Literal["intended", "in_force", "ending", "released", "expired", "failed", "unknown"]
HOLDING: Final = ("intended", "in_force", "ending", "unknown")
"""States in which something may be in force."""


_STEP: Final = timedelta(minutes=1)
"""Clocks are corrected by so much without anybody noticing."""


@dataclass(frozen=True, slots=True)
class Claim:
    """One effect's hold. The undo of `change` leads back to how it was before the first holder."""

    key: str
    run: str
    step: str
    action: str
    target: str
    arguments: Mapping[str, str]
    change: Mapping[str, Any]
    playbook: str
    actor: str
    reason: str
    alert: str
    state: ClaimState
    since: str
    until: str

    @property
    def resource(self) -> str:
        """Return what is held: action and target."""
        return f"{self.action} {self.target}"

    def request(self, now: datetime, *, until: datetime | None = None) -> Request:
        """Return the request to hold the resource from now on for what is left of the lease."""
        end = until or parse_iso(self.until)
        # A clock that was set back makes no lease longer than it was given.
        left = min(end - now, end - parse_iso(self.since)).total_seconds()
        target = parsed(self.action, self.arguments)
        # Rounded up: what is left of the last second is not 0, which a device takes for "for ever".
        return Request(target, max(ceil(left), 0), now, self.key, self.reason)

    def is_ahead(self, now: datetime) -> bool:
        """Return whether it begins in the future: the clock was set back since."""
        return parse_iso(self.since) > now + _STEP

    def has_ended(self, now: datetime) -> bool:
        """Return whether the kernel has ended it; the ledger hears of that at the next start."""
        over = self.state == "in_force" and parse_iso(self.until) <= now
        return over and action(self.action).kernel_ends

    def planned(self) -> Change:
        """Return the change that was planned."""
        return Change(
            summary=self.change["summary"], do=self.change["do"], undo=self.change["undo"]
        )

    def as_dict(self) -> dict[str, Any]:
        """Return the claim as plain JSON values."""
        return asdict(self)


def parsed(name: str, arguments: Mapping[str, str]) -> Target:
    """Return the target of canonical arguments."""
    return action(name).target(arguments)


class Ledger:
    """The claims of a journal's file."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def put(self, claim: Claim) -> Claim:
        """Write a claim; call it inside a journal's transaction."""
        self._connection.execute(
            "INSERT INTO claims VALUES (?, ?, ?, ?, ?, ?)"
            " ON CONFLICT (key) DO UPDATE SET state = excluded.state, since = excluded.since,"
            " until = excluded.until, body = excluded.body",
            (
                claim.key,
                claim.resource,
                claim.state,
                claim.since,
                claim.until,
                canonical(claim.as_dict()).decode(),
            ),
        )
        return claim

    def move(self, claim: Claim, state: ClaimState, *, until: datetime | None = None) -> Claim:
        """Write a claim's new state, and its new end."""
        return self.put(replace(claim, state=state, until=iso(until) if until else claim.until))

    def get(self, key: str) -> Claim:
        """Return a claim by its key or the beginning of it; raise InputError."""
        rows = self._connection.execute(
            "SELECT body FROM claims WHERE ?1 <> '' AND substr(key, 1, length(?1)) = ?1 LIMIT 2",
            (key if key.isascii() else "",),
        ).fetchall()
        if len(rows) != 1:
            message = "no claim has this key" if not rows else "several claims begin with this key"
            raise InputError(f"{message}: {key[:80]!r}", hint="soc contain list --all")
        return _claim(rows[0][0])

    def find(self, key: str) -> Claim | None:
        """Return a claim by its whole key, None when there is none."""
        row = self._connection.execute("SELECT body FROM claims WHERE key = ?", (key,)).fetchone()
        return _claim(row[0]) if row else None

    def claims(self, *, holding: bool = True, run: str | None = None) -> list[Claim]:
        """Return the claims that may be in force, or all, of a run (None: any), oldest first."""
        where = f"WHERE state IN {HOLDING}" if holding else ""
        rows = self._connection.execute(
            f"SELECT body FROM claims {where} ORDER BY since, rowid"  # noqa: S608 - our own words
        ).fetchall()
        found = [_claim(row[0]) for row in rows]
        return [claim for claim in found if run is None or claim.run == run]

    def holders(self, resource: str) -> list[Claim]:
        """Return the claims that hold a resource, oldest first."""
        rows = self._connection.execute(
            "SELECT body FROM claims WHERE resource = ? ORDER BY since, rowid", (resource,)
        ).fetchall()
        return [claim for row in rows if (claim := _claim(row[0])).state in HOLDING]

    def spent(self, now: datetime) -> int:
        """Return how many changes were begun in the hour before now.

        Those of the hour to come count too: the clock may have been set back. Later ones do not, so
        that a clock which was years ahead does not stop every response until then.
        """
        hour = timedelta(hours=1)
        row = self._connection.execute(
            "SELECT count(*) FROM claims WHERE since > ? AND since < ?",
            (iso(now - hour), iso(now + hour)),
        ).fetchone()
        return int(row[0])


def _claim(body: str) -> Claim:
    return Claim(**orjson.loads(body))
