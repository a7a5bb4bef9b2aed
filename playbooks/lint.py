"""What is wrong with a playbook as a whole: references, cycles, branches, variables."""

from collections.abc import Iterator
from typing import Final

from playbooks import condition
from playbooks.document import Document
from playbooks.effect import action
from playbooks.model import Act, End, If, Playbook, Start, Step
from playbooks.variables import NAME, REFERENCE, Variable
from soc.errors import ContentError, InputError

Problems = Iterator[ContentError]
_KEYS: Final = {"next": "on_completion", "failure": "on_failure"}


def lint(playbook: Playbook, document: Document) -> list[ContentError]:
    """Return everything that is wrong; an empty list is the good answer."""
    problems = list(_dangling(playbook, document))
    if problems:
        return problems
    problems += _agents(playbook, document)
    problems += _cycles(playbook, document)
    if not problems:
        problems += _scopes(playbook, document)
    problems += _variables(playbook, document)
    return problems


def successors(step: Step) -> dict[str, str]:
    """Return the steps that may follow: key -> id, absent ones left out."""
    if isinstance(step, End):
        return {}
    found = {"on_completion": step.next}
    if isinstance(step, Act | If):
        found["on_failure"] = step.failure
    if isinstance(step, If):
        found |= {"on_true": step.on_true, "on_false": step.on_false}
    return {key: name for key, name in found.items() if name}


def _dangling(playbook: Playbook, document: Document) -> Problems:
    steps = playbook.steps
    roots = {"workflow_start": playbook.start, "workflow_exception": playbook.exception}
    for key, name in roots.items():
        if name and name not in steps:
            yield document.problem(f"{key} names no step", (key,))
    if isinstance(steps.get(playbook.start), Act | If | End):
        yield document.problem("workflow_start must name a start step", ("workflow_start",))
    for step in steps.values():
        for key, name in successors(step).items():
            place = ("workflow", step.id, key)
            if name not in steps:
                yield document.problem(f"{key} names no step of this playbook", place)
            elif isinstance(steps[name], Start):
                yield document.problem(f"{key} leads back to a start step", place)
    for name in playbook.texts.values():
        for step_id in name.get("steps", {}):
            if step_id not in steps:
                yield document.problem(f"texts name no step: {step_id}", ("playbook_extensions",))


def _agents(playbook: Playbook, document: Document) -> Problems:
    workflow = document.values["workflow"]
    for kind, key in (("agent_definitions", "agent"), ("target_definitions", "targets")):
        known = {**document.values.get("agent_definitions", {}), **document.values.get(kind, {})}
        for name, fields in workflow.items():
            named = fields.get(key, [])
            for wanted in [named] if isinstance(named, str) else named:
                if wanted not in known:
                    place = ("workflow", name, key)
                    yield document.problem(f"{key} names nothing in {kind}", place)


def _cycles(playbook: Playbook, document: Document) -> Problems:
    done: set[str] = set()
    for root in playbook.steps:
        trail: dict[str, Iterator[str]] = {}
        pending = [root]
        while pending:
            name = pending[-1]
            if name in done:
                pending.pop()
                continue
            if name not in trail:
                trail[name] = iter(successors(playbook.steps[name]).values())
            following = next(trail[name], None)
            if following is None:
                done.add(pending.pop())
                del trail[name]
            elif following in trail:
                message = "the steps form a cycle: a run would not end"
                yield document.problem(message, ("workflow", name))
                return
            else:
                pending.append(following)


def _scopes(playbook: Playbook, document: Document) -> Problems:
    """Every branch has steps of its own and an end of its own; every step belongs to one."""
    owner: dict[str, str] = {}
    roots = [("the main path", playbook.start)]
    if playbook.exception:
        roots.append(("the exception path", playbook.exception))
    while roots:
        scope, root = roots.pop(0)
        pending, seen = [root], set[str]()
        while pending:
            name = pending.pop()
            if name in seen:
                continue
            seen.add(name)
            if owner.setdefault(name, scope) != scope:
                message = f"the step belongs to {owner[name]} and to {scope}"
                hint = "a branch needs steps and an end of its own"
                yield document.problem(message, ("workflow", name), hint)
                continue
            step = playbook.steps[name]
            following = successors(step)
            pending += [following[key] for key in _KEYS.values() if key in following]
            if isinstance(step, If):
                branches = [(key, following.get(key)) for key in ("on_true", "on_false")]
                roots += [(f"{key} of {step.name}", to) for key, to in branches if to]
    for name in playbook.steps:
        if name not in owner:
            yield document.problem("no path leads to this step", ("workflow", name))


def _variables(playbook: Playbook, document: Document) -> Problems:
    known = playbook.variables
    read: set[str] = set()
    written: set[str] = set()
    for step in playbook.steps.values():
        if isinstance(step, If):
            read |= condition.names(step.condition)
            try:
                condition.check(step.condition, known)
            except InputError as error:
                place = ("workflow", step.id, "condition")
                yield document.problem(error.message, place, error.hint)
        elif isinstance(step, Act):
            read |= _arguments(step)
            written |= set(step.results)
    for step in playbook.steps.values():
        if isinstance(step, Act):
            yield from _act(step, written, document)
    for name in sorted(read | written | set(playbook.inputs)):
        if name not in known:
            yield document.problem(f"the variable {name} is not defined", _place(playbook, name))
    for variable in known.values():
        yield from _variable(variable, read, written, document)
    for name in playbook.inputs:
        if name in known and not known[name].external:
            yield document.problem(f"{name} is an input but not external", _place(playbook, name))


def _variable(
    variable: Variable, read: set[str], written: set[str], document: Document
) -> Problems:
    name = variable.name
    place = ("playbook_variables", name)
    if name not in read | written:
        yield document.problem(f"the variable {name} is not used", place)
    elif name in read - written and variable.value is None and not variable.external:
        hint = "give it a value, or `external: true`"
        yield document.problem(f"nothing gives {name} a value", place, hint)
    if variable.constant and (name in written or variable.external):
        yield document.problem(f"{name} is constant but something sets it", place)


def _act(step: Act, written: set[str], document: Document) -> Problems:
    place = ("workflow", step.id)
    for name in sorted(_arguments(step) & written):
        message = f"{name} comes from another step: what an effect hits must be known before"
        yield document.problem(message, place)
    literal = {name: text for name, text in step.arguments.items() if not REFERENCE.fullmatch(text)}
    if len(literal) == len(step.arguments):
        try:
            action(step.action).target(literal)
        except InputError as error:
            yield document.problem(error.message, place, error.hint)


def _arguments(step: Act) -> set[str]:
    return {found[1] for text in step.arguments.values() if (found := REFERENCE.fullmatch(text))}


def _place(playbook: Playbook, name: str) -> tuple[str, ...]:
    if name in playbook.inputs:
        return ("playbook_extensions",)
    for step in playbook.steps.values():
        if isinstance(step, Act) and name in _arguments(step) | set(step.results):
            return ("workflow", step.id)
    return ("playbook_variables",) if NAME.fullmatch(name) else ()
