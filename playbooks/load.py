"""From a file to a playbook: what cannot be executed is refused with file and line."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from playbooks import shape
from playbooks.document import Document, read
from playbooks.extension import DEFINITION, EXTENSION, PLAYBOOK_KEYS
from playbooks.lint import lint
from playbooks.model import Playbook
from playbooks.steps import step
from playbooks.variables import NAME, TYPES, Variable, typed
from soc.errors import ContentError, InputError, UsageError
from soc.model.event import Event, values

LIBRARY = Path(__file__).parent / "library"


def load(path: Path) -> Playbook:
    """Return the playbook of a file; raise ContentError for the first thing that is wrong."""
    return _first(*examine_file(path))


def loads(text: str, source: str) -> Playbook:
    """Return the playbook of a text; raise ContentError for the first thing that is wrong."""
    return _first(*examine(text, source))


def from_values(content: Mapping[str, Any], source: str) -> Playbook:
    """Return the playbook of a document that was loaded before; raise ContentError."""
    return _first(*examine_values(content, source))


def find(name: str, folder: Path = LIBRARY) -> Playbook:
    """Return a playbook by its file's name or path; raise UsageError naming the known ones."""
    path = Path(name)
    if path.suffix in (".yml", ".yaml", ".json"):
        return load(path)
    known = {path.stem: path for path in shipped(folder)}
    if name not in known:
        raise UsageError(f"no playbook is called {name!r}", hint=", ".join(known))
    return load(known[name])


def shipped(folder: Path = LIBRARY) -> list[Path]:
    """Return the files of the playbooks in a folder, in name order."""
    return sorted(folder.glob("*.yml"))


def answering(alert: Event, folder: Path = LIBRARY) -> list[str]:
    """Return the names of the playbooks that answer an alert: by its rule, then by technique."""
    rule = {str(alert.get("rule.id"))}
    techniques = {str(each) for each in values(alert.get("threat.technique.id"))}
    known = {path.stem: set(load(path).answers) for path in shipped(folder)}
    by_rule = [name for name, answers in known.items() if answers & rule]
    by_technique = [name for name, answers in known.items() if answers & techniques]
    return list(dict.fromkeys([*by_rule, *by_technique]))


def examine_file(path: Path) -> tuple[Playbook | None, list[ContentError]]:
    """Return the playbook of a file, None if its shape is wrong, and everything wrong with it."""
    try:
        text = path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        return None, [ContentError(f"the playbook cannot be read: {error}", where=str(path))]
    return examine(text, str(path))


def examine(text: str, source: str) -> tuple[Playbook | None, list[ContentError]]:
    """Return the playbook, None if its shape is wrong, and everything that is wrong with it."""
    try:
        document = read(text, source)
    except ContentError as error:
        return None, [error]
    return _examine(document)


def examine_values(
    content: Mapping[str, Any], source: str
) -> tuple[Playbook | None, list[ContentError]]:
    """Do the same for a document that is JSON values already."""
    return _examine(Document(source, dict(content)))


def _first(playbook: Playbook | None, problems: list[ContentError]) -> Playbook:
    if problems or playbook is None:
        raise problems[0]
    return playbook


def _examine(document: Document) -> tuple[Playbook | None, list[ContentError]]:
    problems = _shape(document)
    if problems:
        return None, problems
    playbook, problems = _compile(document)
    if problems:
        return None, problems
    return playbook, lint(playbook, document)


def _shape(document: Document) -> list[ContentError]:
    content = document.values
    problems = shape.check_map(document, content, (), shape.PLAYBOOK, shape.REQUIRED)
    if problems:
        return problems
    if content["type"] != "playbook" or content["spec_version"] != "cacao-2.0":
        return [document.problem("this is not a playbook of CACAO 2.0", ("type",))]
    if content.get("revoked"):
        problems.append(document.problem("this playbook is revoked", ("revoked",)))
    for name, variable in content.get("playbook_variables", {}).items():
        path = ("playbook_variables", name)
        if NAME.fullmatch(name) is None:
            problems.append(document.problem("a variable is named __name__", path))
        if not isinstance(variable, dict):
            problems.append(document.problem("a variable is a map with a type", path))
        else:
            problems += shape.check_map(document, variable, path, shape.VARIABLE, ("type",))
    for name, fields in content["workflow"].items():
        problems += _step_shape(document, name, fields)
    return problems


def _step_shape(document: Document, name: str, fields: Any) -> list[ContentError]:  # noqa: ANN401
    path = ("workflow", name)
    found = shape.IDENTIFIER.fullmatch(name)
    kind = fields.get("type") if isinstance(fields, dict) else None
    if found is None or not isinstance(kind, str) or found[1] != kind:
        message = "a step is called TYPE--UUID and its `type` says the same"
        return [document.problem(message, path)]
    if kind in shape.NOT_EXECUTED:
        return [document.problem(shape.NOT_EXECUTED[kind], path)]
    if kind not in shape.STEPS:
        return [document.problem(f"there is no step type {kind!r}", path)]
    return shape.check_map(document, fields, path, shape.STEPS[kind])


def _compile(document: Document) -> tuple[Playbook, list[ContentError]]:
    content, problems = document.values, list[ContentError]()
    ours = _extension(document, problems)
    variables = {}
    for name, fields in content.get("playbook_variables", {}).items():
        variables[name] = _variable(document, name, fields, problems)
    steps = {}
    for name in content["workflow"]:
        try:
            steps[name] = step(document, name)
        except ContentError as error:
            problems.append(error)
    definitions = {**content.get("extension_definitions", {}), EXTENSION: DEFINITION}
    playbook = Playbook(
        id=content["id"],
        name=content["name"],
        description=content.get("description", ""),
        modified=content["modified"],
        start=content["workflow_start"],
        exception=content.get("workflow_exception", ""),
        steps=steps,
        variables=variables,
        inputs=ours.get("inputs", {}),
        answers=tuple(ours.get("answers", ())),
        texts=ours.get("texts", {}),
        valid=(content.get("valid_from", ""), content.get("valid_until", "")),
        document={**content, "extension_definitions": definitions},
        source=document.source,
    )
    return playbook, problems


def _variable(
    document: Document, name: str, fields: Mapping[str, Any], problems: list[ContentError]
) -> Variable:
    path = ("playbook_variables", name)
    variable = Variable(
        name,
        fields["type"],
        fields.get("value"),
        fields.get("constant", False),
        fields.get("external", False),
        fields.get("description", ""),
    )
    if variable.type not in TYPES:
        hint = f"known: {', '.join(TYPES)}"
        problems.append(document.problem(f"the type {variable.type!r} is unknown", path, hint))
    elif variable.value is not None:
        try:
            typed(variable.type, variable.value)
        except InputError as error:
            problems.append(document.problem(f"{name}: {error.message}", path, error.hint))
    elif variable.constant:
        problems.append(document.problem(f"{name} is constant but has no value", path))
    return variable


def _extension(document: Document, problems: list[ContentError]) -> Mapping[str, Any]:
    path = ("playbook_extensions", EXTENSION)
    ours = document.values.get("playbook_extensions", {}).get(EXTENSION, {})
    known: Mapping[str, shape.Check] = {
        "approval": shape.is_number,
        "inputs": lambda value: shape.is_map(value) and all(map(shape.is_text, value.values())),
        "answers": shape.is_texts,
        "texts": lambda value: shape.is_map(value) and all(map(_is_language, value.values())),
    }
    assert tuple(known) == PLAYBOOK_KEYS  # noqa: S101 - the published list is this one
    if not isinstance(ours, dict):
        problems.append(document.problem("the extension is a map", path))
        return {}
    wrong = shape.check_map(document, ours, path, known)
    if ours.get("approval", 1) != 1:
        message = "only the approval of one person (approval: 1) is executed"
        wrong.append(document.problem(message, (*path, "approval")))
    problems += wrong
    return {} if wrong else ours


def _is_language(value: object) -> bool:
    """Return whether a value is name, description and the steps' names in one language."""
    if not isinstance(value, dict):
        return False
    steps = value.get("steps", {})
    texts = [text for key, text in value.items() if key != "steps"]
    return (
        set(value) <= {"name", "description", "steps"}
        and isinstance(steps, dict)
        and all(map(shape.is_text, [*texts, *steps.values()]))
    )
