"""What is in force and how it ends: release, extend, undo, reconcile with the real state.

The device is always set to the longest of the claims on a resource; with the last claim it is
let go. Each change is journalled before and after, and may be done again after a crash.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Literal

from playbooks.effect import Action, Change, action
from playbooks.guard import Guard
from playbooks.journal import Journal
from playbooks.ledger import Claim, Ledger
from playbooks.plan import Views
from soc.errors import InputError, Refused, SocError, StoreError
from soc.model.time import iso, parse_iso

Ports = Mapping[str, Any]
"""Capability -> an object that reads and changes it."""
How = Literal["released", "expired"]


@dataclass(frozen=True, slots=True)
class Drift:
    """A claim that was not as the ledger said, and what came of it."""

    claim: Claim
    found: str
    done: str


@dataclass(frozen=True, slots=True)
class Holder:
    """Ends, extends and restores what is in force. The caller holds the journal's lock."""

    journal: Journal
    guard: Guard
    views: Views
    ports: Ports
    clock: Callable[[], datetime]

    @property
    def ledger(self) -> Ledger:
        """Return the ledger beside the journal."""
        return Ledger(self.journal.connection)

    def release(self, claim: Claim, actor: str, *, how: How = "released") -> Claim:
        """End a claim; raise StoreError when the device does not let go (it can be tried again)."""
        if claim.state in ("released", "expired"):
            return claim
        # Said once: the standing worker tries every few seconds while a device does not answer.
        if claim.state != "ending" or how == "released":
            with self.journal.write() as writer:
                writer.record(
                    "effect.ending", claim.run, self.clock(), key=claim.key, actor=actor, how=how
                )
                claim = self.ledger.move(claim, "ending")
        self._let_go(claim)
        with self.journal.write() as writer:
            writer.record("effect.ended", claim.run, self.clock(), key=claim.key, how=how)
            return self.ledger.move(claim, how)

    def undo(self, run: str, actor: str) -> list[tuple[Claim, str]]:
        """End everything that a run put in force, last first; return each claim with its trouble.

        The trouble is "" when the claim has ended.
        """
        ended = []
        for claim in reversed(self.ledger.claims(run=run)):
            try:
                ended.append((self.release(claim, actor), ""))
            except SocError as error:
                ended.append((self.ledger.get(claim.key), str(error)))
        return ended

    def still_held(self, claim: Claim) -> str:
        """Return who else holds what a claim held, "" when nobody does."""
        others = [one for one in self.ledger.holders(claim.resource) if one.key != claim.key]
        if not others:
            return ""
        longest = max(others, key=lambda one: one.until)
        return f"still held by run {longest.run} until {longest.until}"

    def extend(self, claim: Claim, seconds: int, actor: str) -> Claim:
        """Hold for this many seconds from now; raise Refused, or StoreError when it failed."""
        verb, now = self._verb(claim.action), self.clock()
        until = now + timedelta(seconds=seconds)
        if claim.state != "in_force":
            raise InputError(f"{claim.resource} is not in force: {claim.state}")
        if claim.has_ended(now):
            raise InputError(f"{claim.resource} has ended by itself", hint="run the playbook again")
        if verb.lease is None or not 0 < seconds <= verb.lease.longest:
            longest = verb.lease.longest if verb.lease else 0
            raise InputError(f"the lease of {verb.name} is 1 to {longest} seconds")
        if iso(until) <= claim.until:
            raise InputError(f"it already holds until {claim.until}", hint="release ends it")
        self.guard.running()
        self.guard.check(claim.request(now).target)
        with self.journal.write() as writer:
            writer.record(
                "effect.extending", claim.run, now, key=claim.key, actor=actor, until=iso(until)
            )
            extended = self.ledger.move(claim, "in_force", until=until)
        self._hold(verb, self.ledger.holders(claim.resource))
        with self.journal.write() as writer:
            writer.record("effect.extended", claim.run, self.clock(), key=claim.key)
        return extended

    def reconcile(self, actor: str, *, busy: Sequence[str] = ()) -> list[Drift]:
        """Compare the ledger with the real state, end what has run out, restore what is gone.

        `busy` are runs that wait to be resumed: what they only intended is theirs, until its time
        is over.
        """
        found, now = [], self.clock()
        for claim in self.ledger.claims():
            alive = parse_iso(claim.until) > now
            if claim.state == "intended" and claim.run in busy and alive:
                continue
            try:
                drift = self._compare(claim, actor)
            except SocError as error:
                drift = Drift(claim, f"cannot be looked up: {error}", "nothing")
            if drift:
                found.append(drift)
        return found

    def _compare(self, claim: Claim, actor: str) -> Drift | None:
        now = self.clock()
        if claim.is_ahead(now):
            moved = self._counted_from(now, claim)
            told = f"holds until {moved.until}"
            return self._compare(moved, actor) or Drift(claim, "the clock was set back", told)
        if parse_iso(claim.until) <= now:
            self.release(claim, actor, how="expired")
            return None
        if claim.state == "ending":
            self.release(claim, actor)
            return Drift(claim, "was being ended when the program stopped", "ended")
        verb = self._verb(claim.action)
        if self._verified(verb, claim, now):
            if claim.state == "in_force":
                return None
            with self.journal.write() as writer:
                writer.record("effect.found", claim.run, now, key=claim.key)
                self.ledger.move(claim, "in_force")
            return Drift(claim, "is in force, which was not known", "noted")
        if claim.state != "in_force":
            with self.journal.write() as writer:
                writer.record("effect.lost", claim.run, now, key=claim.key)
                self.ledger.move(claim, "failed")
            return Drift(claim, "is not in force, which was not known", "noted")
        try:
            self.guard.running()
            self.guard.check(claim.request(now).target)
        except Refused as error:
            return Drift(claim, "is not in force", f"not restored: {error.message}")
        with self.journal.write() as writer:
            writer.record("effect.restoring", claim.run, now, key=claim.key, actor=actor)
        self._hold(verb, self.ledger.holders(claim.resource))
        return Drift(claim, "was not in force", "restored")

    def _counted_from(self, now: datetime, claim: Claim) -> Claim:
        """Count a claim's lease anew, from now: when it began is not known any more."""
        until = now + (parse_iso(claim.until) - parse_iso(claim.since))
        moved = replace(claim, since=iso(now), until=iso(until))
        with self.journal.write() as writer:
            writer.record(
                "effect.recounted",
                claim.run,
                now,
                key=claim.key,
                since=moved.since,
                until=iso(until),
            )
            return self.ledger.put(moved)

    def _let_go(self, claim: Claim) -> None:
        verb, now = self._verb(claim.action), self.clock()
        others = [
            other
            for other in self.ledger.holders(claim.resource)
            if other.state == "in_force" and parse_iso(other.until) > now
        ]
        if others:
            self._hold(verb, others)
            return
        if verb.revert is None:
            raise Refused(f"{verb.name} cannot be taken back")
        verb.revert(claim.request(now), claim.planned(), self.ports[verb.capability])
        if self._verified(verb, claim, self.clock()):
            raise StoreError(f"{claim.resource} is still in force after it was taken back")

    def _hold(self, verb: Action, claims: Sequence[Claim], agreed: Change | None = None) -> None:
        """Set the device to the longest of these claims, by the agreed change or one made now.

        Raises StoreError when it does not hold then.
        """
        longest = max(claims, key=lambda claim: claim.until)
        request = longest.request(self.clock())
        change = agreed or verb.plan(
            request, verb.observe(request.target, self.views[verb.capability])
        )
        verb.apply(request, change, self.ports[verb.capability])
        if not self._verified(verb, longest, self.clock()):
            raise StoreError(f"{longest.resource} does not hold until {longest.until}")

    def _verified(self, verb: Action, claim: Claim, now: datetime) -> bool:
        if verb.verify is None:
            return False
        return verb.verify(claim.request(now), self.views[verb.capability]).ok

    def _verb(self, name: str) -> Action:
        verb = action(name)
        if verb.capability not in self.ports:
            raise StoreError(f"{name} needs {verb.capability}, which is not set up")
        return verb
