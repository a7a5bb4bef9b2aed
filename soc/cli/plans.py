"""Plans, runs and what is in force, as people read them."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from soc.i18n import _, languages
from soc.model.time import now
from soc.text import safe, safe_json

if TYPE_CHECKING:
    from playbooks.ledger import Claim
    from playbooks.model import Playbook, Step
    from playbooks.plan import Effect, Plan
    from playbooks.runs import Report


def language() -> str:
    """Return the reader's language as two letters, such as `vi`."""
    return (languages() or ["en"])[0][:2]


def plan_lines(plan: "Plan", *, full: bool = False) -> Iterator[str]:
    """Yield a plan for a person: for each effect the state, the change, its end and its undo.

    `full` adds the exact change and the exact undo as JSON.
    """
    name, description = plan.playbook.named(language())
    yield _("Plan: {name}").format(name=safe(name))
    if description:
        yield f"  {safe(description)}"
    for key, value in plan.inputs.items():
        yield f"  {key} = {safe(value)}"
    if not plan.effects:
        yield _("Nothing would be changed.")
    for number, effect in enumerate(plan.effects, 1):
        yield ""
        yield from _effect_lines(number, effect, plan.playbook)
        if full and effect.change.needed:
            yield "   " + _("exactly: {json}").format(json=_json(effect.change.do))
            yield "   " + _("exact undo: {json}").format(json=_json(effect.change.undo))
    yield ""
    yield _("Plan hash: {hash}").format(hash=plan.hash)


def _json(value: object) -> str:
    import orjson

    return safe_json(orjson.dumps(value).decode())


def _effect_lines(number: int, effect: "Effect", playbook: "Playbook") -> Iterator[str]:
    name = step_name(playbook, playbook.steps[effect.step])
    yield f"{number}. {safe(name)}  [{effect.action} {safe(effect.target.name)}]"
    if effect.when:
        yield "   " + _("only when: {when}").format(when=safe(effect.when))
    yield "   " + _("risk: {tier}").format(tier=effect.tier)
    yield "   " + _("now: {state}").format(state=safe(effect.state.summary))
    if not effect.change.needed:
        yield "   " + _("change: none, it is so already")
        return
    yield "   " + _("change: {summary}").format(summary=safe(effect.change.summary))
    if effect.seconds:
        yield "   " + _("ends by itself after {seconds} seconds").format(seconds=effect.seconds)
        yield "   " + _("undo: soc playbook undo RUN")
    else:
        yield "   " + _("undo: impossible")
    for peer in effect.change.cuts_off[:20]:
        yield "   " + _("cuts off: {peer}").format(peer=safe(peer))


def step_name(playbook: "Playbook", step: "Step") -> str:
    """Return a step's name in the reader's language."""
    texts: Mapping[str, Any] = playbook.texts.get(language(), {})
    name: str = texts.get("steps", {}).get(step.id, step.name)
    return name


def report_document(report: "Report") -> dict[str, Any]:
    """Return a run's report as plain JSON values."""
    return {
        "run": report.run,
        "playbook": report.playbook,
        "status": report.status,
        "detail": report.detail,
        "started": report.started,
        "effects": [
            {
                "step": record["step"],
                "ok": record["kind"] == "effect.done",
                "detail": record["detail"],
            }
            for record in report.effects
        ],
        "claims": [claim_document(claim) for claim in report.in_force],
    }


def report_lines(report: "Report") -> Iterator[str]:
    """Yield a run's report for a person."""
    status = {"done": _("done"), "failed": _("failed"), "open": _("open")}[report.status]
    yield f"{report.run}  {safe(report.playbook)}: {status}"
    if report.detail:
        yield f"  {safe(report.detail)}"
    for record in report.effects:
        mark = "+" if record["kind"] == "effect.done" else "!"
        yield f"  {mark} {safe(record['detail'])}"
    moment = now()
    for claim in report.in_force:
        if claim.has_ended(moment):
            continue
        yield "  " + _("in force: {resource} until {until}").format(
            resource=safe(claim.resource), until=claim.until[:19] + "Z"
        )


def claim_document(claim: "Claim") -> dict[str, Any]:
    """Return a claim as plain JSON values, without the exact change."""
    found = claim.as_dict()
    del found["change"], found["arguments"]
    return found
