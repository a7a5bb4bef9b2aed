"""What a playbook would change, shown before it changes anything, with a hash to agree to.

Planning is handed views, which can only read. The hash covers the playbook, its inputs, what
each effect finds, does and takes back, and its lease and tier: what a person agrees to is what
is done. It does not cover who would be cut off just now; that is news, not part of the decision.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from playbooks import condition
from playbooks.effect import Change, Request, State, Target, Tier, action
from playbooks.guard import Guard
from playbooks.model import Act, If, Playbook, Start, Step, sha256
from playbooks.variables import REFERENCE, typed
from soc.errors import InputError, Refused, SocError
from soc.model.event import Event, values

Views = Mapping[str, Any]
"""Capability -> an object that reads it. The type of each is the matter of its actions."""

FORMAT: Final = 1


@dataclass(frozen=True, slots=True)
class Effect:
    """One effect of a plan; `when` says under which condition it happens ("" is always)."""

    step: str
    name: str
    action: str
    target: Target
    tier: Tier
    seconds: int
    when: str
    state: State
    change: Change

    def as_dict(self) -> dict[str, Any]:
        """Return what the plan's hash covers, as plain JSON values."""
        return {
            "step": self.step,
            "name": self.name,
            "action": self.action,
            "target": self.target.name,
            "arguments": dict(self.target.arguments),
            "tier": self.tier,
            "lease": self.seconds,
            "when": self.when,
            "present": self.state.summary,
            "needed": self.change.needed,
            "change": self.change.summary,
            "do": self.change.do,
            "undo": self.change.undo,
        }


@dataclass(frozen=True, slots=True)
class Plan:
    """What a playbook would do with these inputs."""

    playbook: Playbook
    inputs: Mapping[str, str]
    effects: tuple[Effect, ...]

    @property
    def hash(self) -> str:
        """Return SHA-256 of the canonical JSON of all that matters, in hexadecimal."""
        return sha256(self._body())

    def as_dict(self) -> dict[str, Any]:
        """Return the whole plan as plain JSON values, with its hash and who would be cut off."""
        body = self._body()
        for listed, effect in zip(body["effects"], self.effects, strict=True):
            listed["cuts_off"] = list(effect.change.cuts_off)
        return {"hash": self.hash, **body}

    def _body(self) -> dict[str, Any]:
        return {
            "format": FORMAT,
            "playbook": {
                "id": self.playbook.id,
                "name": self.playbook.name,
                "modified": self.playbook.modified,
                "digest": self.playbook.digest,
            },
            "inputs": dict(self.inputs),
            "effects": [effect.as_dict() for effect in self.effects],
        }


def make(
    playbook: Playbook, inputs: Mapping[str, str], views: Views, guard: Guard, now: datetime
) -> Plan:
    """Return the plan; raise Refused for what is never touched, InputError for a bad input."""
    given = complete(playbook, inputs)
    _valid(playbook, now)
    effects = [
        effect(step, given, when, views, guard, now) for step, when in reachable(playbook, given)
    ]
    return Plan(playbook, given, tuple(effects))


def effect(
    step: Act,
    known: Mapping[str, str],
    when: str,
    views: Views,
    guard: Guard,
    now: datetime,
) -> Effect:
    """Return what one action step would do now; raise what its action or the guard raises."""
    verb = action(step.action)
    if verb.capability not in views:
        message = f"{verb.name} needs {verb.capability}, which is not set up on this machine"
        raise Refused(message, where=step.name, hint="see docs/playbooks.md")
    try:
        target = verb.target(arguments(step, known))
        guard.check(target)
        state = verb.observe(target, views[verb.capability])
        change = verb.plan(Request(target, step.seconds, now), state)
    except SocError as error:
        error.where = error.where or step.name
        raise
    return Effect(
        step.id, step.name, verb.name, target, step.tier, step.seconds, when, state, change
    )


def arguments(step: Act, known: Mapping[str, str]) -> dict[str, str]:
    """Return a step's arguments with the values of the variables they name."""
    found = {}
    for name, text in step.arguments.items():
        reference = REFERENCE.fullmatch(text)
        if reference and reference[1] not in known:
            raise InputError(f"the variable {reference[1]} has no value", where=step.name)
        found[name] = known[reference[1]] if reference else text
    return found


def from_alert(playbook: Playbook, alert: Event) -> dict[str, str]:
    """Return the inputs that an alert gives; raise InputError when it has several values."""
    found = {}
    for name, field in playbook.inputs.items():
        candidates = values(alert.get(field))
        if len(candidates) > 1:
            raise InputError(f"the alert has several values of {field}", hint=f"give {name} itself")
        if candidates:
            found[name] = str(candidates[0])
    return found


def complete(playbook: Playbook, inputs: Mapping[str, str]) -> dict[str, str]:
    """Return the values of all variables that are known before a run; raise InputError."""
    for name in inputs:
        variable = playbook.variables.get(name)
        if variable is None or not variable.external:
            known = ", ".join(v.name for v in playbook.variables.values() if v.external)
            raise InputError(f"{name[:80]!r} is not an input of this playbook", hint=known)
    found = {}
    for variable in playbook.variables.values():
        text = inputs.get(variable.name, variable.value)
        if text is not None:
            typed(variable.type, text)
            found[variable.name] = text
        elif variable.external:
            field = playbook.inputs.get(variable.name)
            hint = f"--input {variable.name}=..."
            hint += f", or --alert with one that has {field}" if field else ""
            raise InputError(f"the input {variable.name} is missing", hint=hint)
    return found


def reachable(playbook: Playbook, known: Mapping[str, str]) -> Iterator[tuple[Act, str]]:
    """Yield every action step that a run may come to, and when; known conditions are decided."""
    written = {
        name for step in playbook.steps.values() if isinstance(step, Act) for name in step.results
    }
    decided = {name: text for name, text in known.items() if name not in written}
    seen: set[str] = set()
    pending = [(playbook.start, "")]
    while pending:
        name, when = pending.pop()
        if not name or name in seen:
            continue
        seen.add(name)
        step = playbook.steps[name]
        if isinstance(step, Act):
            yield step, when
        pending += reversed(_following(step, when, playbook, decided))


def _following(
    step: Step, when: str, playbook: Playbook, decided: Mapping[str, str]
) -> list[tuple[str, str]]:
    if isinstance(step, Start):
        return [(step.next, when)]
    if isinstance(step, Act):
        return [(step.next, when), (step.failure or playbook.exception, f"{step.name} fails")]
    if not isinstance(step, If):
        return []
    before = f"{when} AND " if when else ""
    after = (step.next, when)
    if condition.names(step.condition) <= set(decided):
        holds = condition.evaluate(step.condition, playbook.variables, decided)
        return [(step.on_true if holds else step.on_false, when), after]
    return [
        (step.on_true, f"{before}{step.text}"),
        (step.on_false, f"{before}NOT {step.text}"),
        after,
        (step.failure or playbook.exception, f"{step.name} fails"),
    ]


def _valid(playbook: Playbook, now: datetime) -> None:
    since, until = playbook.valid
    moment = now.isoformat()[:19]
    if (since and moment < since[:19]) or (until and moment >= until[:19]):
        message = f"{playbook.name} is valid from {since or 'ever'} until {until or 'for ever'}"
        raise Refused(message, where=playbook.source)
