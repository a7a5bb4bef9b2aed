"""From the CACAO keys of one step to the step that is executed."""

from collections.abc import Mapping
from typing import Any, Final

from playbooks import condition, shape
from playbooks.document import Document, Path
from playbooks.effect import Action, action
from playbooks.extension import COMMAND, EXTENSION, TIERS
from playbooks.model import Act, End, If, Start, Step
from playbooks.variables import NAME, REFERENCE
from soc.errors import ContentError, InputError

_COMMAND_KEYS: Final[Mapping[str, shape.Check]] = {
    "type": shape.is_text,
    "description": shape.is_text,
    "version": shape.is_text,
    "playbook_activity": shape.is_text,
    "external_references": shape.is_list,
}


def _is_texts(value: object) -> bool:
    return isinstance(value, dict) and all(map(shape.is_text, value.values()))


_EXTENSION_KEYS: Final[Mapping[str, shape.Check]] = {
    "action": shape.is_text,
    "arguments": _is_texts,
    "lease": shape.is_number,
    "tier": lambda value: value in TIERS,
    "undo": lambda value: value in ("revert", "none"),
    "results": _is_texts,
}


def step(document: Document, name: str) -> Step:
    """Return the step of a name; raise ContentError for what cannot be executed."""
    fields: Mapping[str, Any] = document.values["workflow"][name]
    path: Path = ("workflow", name)
    label = fields.get("name", name)
    if fields["type"] == "end":
        return End(name, label)
    following, failure = _next(document, fields, path)
    if fields["type"] == "start":
        return Start(name, label, following)
    if fields["type"] == "action":
        return _act(document, path, fields, label, (following, failure))
    for key in ("condition", "on_true"):
        if key not in fields:
            raise document.problem(f"{key} is missing", path)
    try:
        parsed = condition.parse(fields["condition"])
    except InputError as error:
        raise document.problem(error.message, (*path, "condition"), error.hint) from error
    return If(
        id=name,
        name=label,
        next=following,
        failure=failure,
        condition=parsed,
        text=fields["condition"],
        on_true=fields["on_true"],
        on_false=fields.get("on_false", ""),
    )


def _next(document: Document, fields: Mapping[str, Any], path: Path) -> tuple[str, str]:
    either, success = fields.get("on_completion"), fields.get("on_success")
    if either and (success or "on_failure" in fields):
        message = "on_completion excludes on_success and on_failure"
        raise document.problem(message, (*path, "on_completion"))
    if not (either or success):
        raise document.problem("the step has no on_completion and no on_success", path)
    return either or success or "", fields.get("on_failure", "")


def _act(
    document: Document,
    path: Path,
    fields: Mapping[str, Any],
    label: str,
    following: tuple[str, str],
) -> Act:
    if "agent" not in fields:
        raise document.problem("agent is missing", path)
    _command(document, path, fields)
    place: Path = (*path, "step_extensions", EXTENSION)
    ours = fields.get("step_extensions", {}).get(EXTENSION)
    if not isinstance(ours, dict):
        hint = "see playbooks/extension.py"
        raise document.problem("the step does not say which action it is", path, hint)
    if problems := shape.check_map(document, ours, place, _EXTENSION_KEYS, ("action",)):
        raise problems[0]
    try:
        found = action(ours["action"])
    except ContentError as error:
        hint = f"known: {error.hint}"
        raise document.problem(error.message, (*place, "action"), hint) from error
    arguments = ours.get("arguments", {})
    _arguments(document, place, found, arguments)
    _references(document, path, fields, arguments)
    results = _results(document, place, fields, found, ours.get("results", {}))
    reversible = _undo(document, place, found, ours)
    tier = ours.get("tier", found.tier)
    if TIERS.index(tier) < TIERS.index(found.tier):
        message = f"{found.name} has the risk tier {found.tier}: a step cannot lower it"
        raise document.problem(message, (*place, "tier"))
    return Act(
        id=path[-1] if isinstance(path[-1], str) else "",
        name=label,
        next=following[0],
        failure=following[1],
        action=found.name,
        arguments=arguments,
        seconds=_seconds(document, place, found, ours),
        tier=tier,
        reversible=reversible,
        results=results,
    )


def _command(document: Document, path: Path, fields: Mapping[str, Any]) -> None:
    place: Path = (*path, "commands")
    commands = fields.get("commands", [])
    if len(commands) != 1 or not isinstance(commands[0], dict):
        raise document.problem("an action step has exactly one command", place)
    kind = commands[0].get("type")
    if kind != COMMAND:
        message = f"commands of type {kind!r} are not executed: only {COMMAND}"
        raise document.problem(message, (*place, 0), "see playbooks/extension.py")
    if problems := shape.check_map(document, commands[0], (*place, 0), _COMMAND_KEYS):
        raise problems[0]


def _arguments(
    document: Document, place: Path, found: Action, arguments: Mapping[str, str]
) -> None:
    known = ", ".join(found.inputs)
    for name in found.inputs:
        if name not in arguments:
            raise document.problem(f"{found.name} needs the argument {name}", place, known)
    for name, text in arguments.items():
        where: Path = (*place, "arguments", name)
        if name not in found.inputs:
            raise document.problem(f"{found.name} has no argument {name!r}", where, known)
        if "__" in text and REFERENCE.fullmatch(text) is None:
            message = "an argument is a text, or one variable written as __name__:value"
            raise document.problem(message, where, "values are never put into the middle of text")


def _references(
    document: Document, path: Path, fields: Mapping[str, Any], arguments: Mapping[str, str]
) -> None:
    used = {found[1] for text in arguments.values() if (found := REFERENCE.fullmatch(text))}
    given = set(fields.get("in_args", ()))
    for name in sorted(used - given):
        raise document.problem(f"{name} is used but is not one of in_args", path)
    for name in sorted(given - used):
        raise document.problem(f"{name} is in in_args but not used", (*path, "in_args"))


def _results(
    document: Document,
    place: Path,
    fields: Mapping[str, Any],
    found: Action,
    results: Mapping[str, str],
) -> Mapping[str, str]:
    for name, output in results.items():
        if NAME.fullmatch(name) is None or output not in found.outputs:
            message = f"{found.name} has no output {output!r} for {name}"
            hint = f"known: {', '.join(found.outputs)}"
            raise document.problem(message, (*place, "results", name), hint)
    if set(results) != set(fields.get("out_args", ())):
        raise document.problem("out_args must name the variables of `results`", place)
    return results


def _undo(document: Document, place: Path, found: Action, ours: Mapping[str, Any]) -> bool:
    wanted = "none" if found.revert is None else "revert"
    if "undo" not in ours:
        raise document.problem(f"undo is missing: say `undo: {wanted}`", place)
    if ours["undo"] != wanted:
        said = "cannot be taken back" if wanted == "none" else "can be taken back"
        raise document.problem(f"{found.name} {said}: say `undo: {wanted}`", (*place, "undo"))
    return wanted == "revert"


def _seconds(document: Document, place: Path, found: Action, ours: Mapping[str, Any]) -> int:
    if found.lease is None:
        if "lease" in ours:
            raise document.problem(f"{found.name} holds nothing: no lease", (*place, "lease"))
        return 0
    seconds: int = ours.get("lease", found.lease.default)
    if not 0 < seconds <= found.lease.longest:
        message = f"the lease of {found.name} is 1 to {found.lease.longest} seconds"
        raise document.problem(message, (*place, "lease"))
    return seconds
