"""Runs a playbook: journals what it means to do, does it once, reads it back, journals that.

`walk` says where a run stands; this module carries out the one action that is due. Kill it
anywhere: `resume` reads the journal, looks at the device before it changes it, and goes on. The
caller holds the journal's lock; clock, views and ports are handed in.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

from playbooks.effect import Action, Request
from playbooks.holding import Holder
from playbooks.ledger import Claim, parsed
from playbooks.load import from_values
from playbooks.model import Playbook
from playbooks.plan import Effect, effect, make
from playbooks.runs import RESULTS, Record, Report, finished_by, report, started_by
from playbooks.walk import ITERATION, Due, Finished, Result, walk
from soc.errors import Refused, SocError
from soc.model.time import iso, parse_iso


@dataclass(frozen=True, slots=True)
class Origin:
    """Who wants a run, why, and the alert that it answers."""

    actor: str
    reason: str = ""
    alert: str = ""


@dataclass(frozen=True, slots=True)
class Engine(Holder):
    """Starts, resumes and undoes runs."""

    def start(
        self, run: str, playbook: Playbook, inputs: Mapping[str, str], agreed: str, origin: Origin
    ) -> Report:
        """Carry out the plan with this hash; raise Refused when it would not be the same now."""
        now = self.clock()
        plan = make(playbook, inputs, self.views, self.guard, now)
        if plan.hash != agreed:
            raise Refused(
                "this is not the plan that was agreed to: the playbook, its inputs or the state "
                "of what it changes are different now",
                hint="look at the plan again: soc playbook plan",
            )
        if any(one.change.needed for one in plan.effects):
            self.guard.allow(self.ledger.spent(now))
        if any(self.journal.records(run)):
            raise Refused(f"there is a run {run} already", hint="soc playbook resume")
        with self.journal.write() as writer:
            writer.record(
                "run.started",
                run,
                now,
                actor=origin.actor,
                reason=origin.reason,
                alert=origin.alert,
                plan=plan.as_dict(),
                playbook=dict(playbook.document),
                source=playbook.source,
            )
        return self.resume(run)

    def resume(self, run: str) -> Report:
        """Go on with a run until it is over; a run that is over is only reported."""
        history = list(self.journal.records(run))
        started = started_by(history, run)
        if finished_by(history) is not None:
            return report(history, self.ledger.claims(run=run))
        playbook = from_values(started["playbook"], started["source"])
        results = {
            record["step"]: Result(
                record["kind"] == "effect.done", record["detail"], record.get("outputs", {})
            )
            for record in history
            if record["kind"] in RESULTS
        }
        inputs: Mapping[str, str] = started["plan"]["inputs"]
        while isinstance(due := walk(playbook, inputs, results), Due):
            results[due.step.id] = self._step(history, due)
        self._finish(run, due)
        return self.status(run)

    def abandon(self, run: str, actor: str) -> tuple[Report, list[tuple[Claim, str]]]:
        """End a run where it stands and take back all that it put in force.

        Returns how it stands then, and what did not end or is held by others, each with why.
        """
        history = list(self.journal.records(run))
        started_by(history, run)
        if finished_by(history) is None:
            with self.journal.write() as writer:
                writer.record(
                    "run.finished", run, self.clock(), status="failed", detail=f"undone by {actor}"
                )
        ended = [(one, trouble or self.still_held(one)) for one, trouble in self.undo(run, actor)]
        return self.status(run), [(claim, why) for claim, why in ended if why]

    def status(self, run: str) -> Report:
        """Return how a run stands; raise InputError when there is none."""
        return report(list(self.journal.records(run)), self.ledger.claims(run=run))

    def _step(self, history: Sequence[Record], due: Due) -> Result:
        run, step = history[0]["run"], due.step
        intents = [r for r in history if r["kind"] == "effect.intended" and r["step"] == step.id]
        try:
            verb = self._verb(step.action)
            if intents:
                claim = Claim(**intents[0]["claim"])
                return self._again(verb, self.ledger.find(claim.key) or claim)
            found = effect(step, due.values, "", self.views, self.guard, self.clock())
            self._as_agreed(found, history[0]["plan"]["effects"])
            holders = self.ledger.holders(f"{verb.name} {found.target.name}")
            if not found.change.needed and not holders:
                return self._done(run, step.id, f"already so: {found.state.summary}", {})
            claim = self._intend(verb, history[0], found, holders)
            return self._carry_out(verb, claim, as_planned=not holders)
        except SocError as error:
            return self._failed(run, step.id, str(error))

    def _as_agreed(self, found: Effect, agreed: Sequence[Record]) -> None:
        same = ("step", "action", "target", "arguments", "tier", "lease")
        mine = found.as_dict()
        for each in agreed:
            if all(each[name] == mine[name] for name in same):
                if found.change.needed and each["do"] != mine["do"]:
                    raise Refused("what it would do is not what was agreed to", where=found.name)
                return
        raise Refused("this effect is not in the plan that was agreed to", where=found.name)

    def _intend(
        self, verb: Action, started: Record, found: Effect, holders: Sequence[Claim]
    ) -> Claim:
        now = self.clock()
        if verb.lease is not None:
            self.guard.allow(self.ledger.spent(now))
        else:
            self.guard.running()
        change = {"summary": found.change.summary, "do": found.change.do}
        # Later holders take over how it was before the first of them: undone in any order,
        # the last one leads back to there.
        undo = holders[0].change["undo"] if holders else found.change.undo
        claim = Claim(
            key=effect_key(started["run"], found.step, ITERATION, found.target.name),
            run=started["run"],
            step=found.step,
            action=verb.name,
            target=found.target.name,
            arguments=dict(found.target.arguments),
            change={**change, "undo": undo},
            playbook=started["plan"]["playbook"]["name"],
            actor=started["actor"],
            reason=started["reason"],
            alert=started["alert"],
            state="intended",
            since=iso(now),
            until=iso(now + timedelta(seconds=found.seconds)),
        )
        with self.journal.write() as writer:
            writer.record("effect.intended", claim.run, now, step=claim.step, claim=claim.as_dict())
            if verb.lease is not None:
                self.ledger.put(claim)
        return claim

    def _again(self, verb: Action, claim: Claim) -> Result:
        """Go on with an effect that was intended before the program stopped."""
        too_late = "the lease ran out before the run was resumed"
        if claim.state == "expired":
            return self._failed(claim.run, claim.step, too_late)
        if claim.state != "intended":
            return self._failed(claim.run, claim.step, f"{claim.resource} is {claim.state}")
        try:
            self.guard.running()
            self.guard.check(parsed(claim.action, claim.arguments))
        except Refused as error:
            return self._trouble(verb, claim, error)
        if verb.lease is not None and claim.request(self.clock()).seconds == 0:
            self.release(claim, "engine", how="expired")
            return self._failed(claim.run, claim.step, too_late)
        return self._carry_out(verb, claim)

    def _carry_out(self, verb: Action, claim: Claim, *, as_planned: bool = False) -> Result:
        """Make the change, unless it is made already; `as_planned`: the very one agreed to."""
        try:
            if verb.verify is None:
                # A second copy, after a crash, is the same to the last byte: its time too.
                change, begun = claim.planned(), parse_iso(claim.since)
                target = parsed(claim.action, claim.arguments)
                request = Request(target, 0, begun, claim.key, claim.reason)
                verb.apply(request, change, self.ports[verb.capability])
                return self._done(claim.run, claim.step, change.summary, {})
            if not self._verified(verb, claim, self.clock()):
                agreed = claim.planned() if as_planned else None
                self._hold(verb, [*self.ledger.holders(claim.resource), claim], agreed)
        except SocError as error:
            return self._trouble(verb, claim, error)
        outputs = {name: claim.until for name in verb.outputs if name == "until"}
        outcome = verb.verify(claim.request(self.clock()), self.views[verb.capability])
        return self._held(claim, outcome.detail, {**outputs, **outcome.outputs})

    def _held(self, claim: Claim, detail: str, outputs: Mapping[str, str]) -> Result:
        with self.journal.write() as writer:
            self.ledger.move(claim, "in_force")
            writer.record(
                "effect.done",
                claim.run,
                self.clock(),
                step=claim.step,
                key=claim.key,
                detail=detail,
                outputs=dict(outputs),
            )
        return Result(True, detail, outputs)

    def _trouble(self, verb: Action, claim: Claim, error: SocError) -> Result:
        """Say what holds after a change that failed: nothing, or nobody knows."""
        if verb.verify is None:
            return self._failed(claim.run, claim.step, str(error))
        try:
            holds = self._verified(verb, claim, self.clock())
            if not holds:
                self._let_go(claim)  # half of it may be there: a mark that the device does not heed
        except SocError:
            return self._failed(claim.run, claim.step, f"{error}; it may be in force", claim)
        if holds:
            return self._held(claim, f"in force, although: {error}", {})
        return self._failed(claim.run, claim.step, f"{error}; it is not in force", claim, gone=True)

    def _done(self, run: str, step: str, detail: str, outputs: Mapping[str, str]) -> Result:
        with self.journal.write() as writer:
            writer.record(
                "effect.done", run, self.clock(), step=step, detail=detail, outputs=dict(outputs)
            )
        return Result(True, detail, outputs)

    def _failed(
        self, run: str, step: str, detail: str, claim: Claim | None = None, *, gone: bool = False
    ) -> Result:
        with self.journal.write() as writer:
            if claim:
                self.ledger.move(claim, "failed" if gone else "unknown")
            writer.record("effect.failed", run, self.clock(), step=step, detail=detail)
        return Result(False, detail)

    def _finish(self, run: str, end: Finished) -> None:
        with self.journal.write() as writer:
            writer.record("run.finished", run, self.clock(), status=end.status, detail=end.detail)


def effect_key(run: str, step: str, iteration: int, target: str) -> str:
    """Return the idempotency key of an effect, 32 hexadecimal digits."""
    text = "\0".join((run, step, str(iteration), target))
    return hashlib.sha256(text.encode()).hexdigest()[:32]
