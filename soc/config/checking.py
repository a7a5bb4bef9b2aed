"""Values against their declared types; what is wrong is said with key, expectation and place."""

import json
from collections.abc import Callable, Mapping, Sequence
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, Final, get_args

from soc.config.toml import Key
from soc.errors import ContentError

if TYPE_CHECKING:
    from pydantic import BaseModel
    from pydantic_core import ErrorDetails

_EXPECTED: Final = {
    "string": "text",
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "list": "a list",
    "dict": "a table",
    "model": "a table",
    "tuple": "a list",
    "path": "text",
}
_GOT: Final = {
    str: "text",
    bool: "a truth value",
    int: "a whole number",
    float: "a number",
    list: "a list",
    dict: "a table",
    type(None): "nothing",
}


def schema(sections: Mapping[str, Any]) -> "type[BaseModel]":
    """Return one model that holds every section.

    Where nothing is set a list is empty, `X | None` is None, and all else has its defaults.
    """
    from pydantic import Field, create_model

    from soc.config.options import Options

    fields: dict[str, Any] = {
        name: (kind, Field(default_factory=_nothing_set(kind))) for name, kind in sections.items()
    }
    return create_model("Settings", __base__=Options, **fields)


def _nothing_set(kind: Any) -> Callable[[], Any]:  # noqa: ANN401 - any annotation
    if type(None) in get_args(kind):
        return lambda: None
    return list if get_args(kind) else kind


def is_text(root: "type[BaseModel]", key: Key, text: str) -> bool:
    """Return whether the option takes this text as it stands."""
    from pydantic import TypeAdapter, ValidationError

    model: Any = root
    for name in key:
        found = getattr(model, "model_fields", {}).get(name)
        if found is None:
            return True  # unknown: the check that follows says so
        model = found.annotation
    try:
        TypeAdapter(model).validate_json(json.dumps(text), strict=True)
    except ValidationError as error:
        return any(problem["type"] == "value_error" for problem in error.errors())
    return True


def validate(
    root: "type[BaseModel]", tree: Mapping[str, Any], place: Callable[[Key], str]
) -> "tuple[BaseModel | None, list[ContentError]]":
    """Return the typed values, None where something is wrong, and everything that is."""
    from pydantic import ValidationError

    # JSON mode: strict about types (no "30" for 30), yet text becomes a path or a reference.
    try:
        return root.model_validate_json(json.dumps(tree, default=str), strict=True), []
    except ValidationError as error:
        problems = error.errors(include_url=False)
    return None, [_problem(root, problem, place) for problem in problems]


def _problem(
    root: "type[BaseModel]", problem: "ErrorDetails", place: Callable[[Key], str]
) -> ContentError:
    key, kind, context = problem["loc"], problem["type"], problem.get("ctx", {})
    where = place(key)
    if kind == "extra_forbidden":
        return _unknown(root, key, where)
    if kind == "missing":
        return ContentError(f"{_dotted(key[:-1])} needs a key {str(key[-1])!r}", where=where)
    if kind == "value_error":
        return ContentError(f"{_dotted(key)}: {context['error']}", where=where)
    if kind == "greater_than_equal":
        return ContentError(f"{_dotted(key)} must be at least {context['ge']}", where=where)
    expected = context.get("expected") or _EXPECTED.get(kind.partition("_")[0])
    if kind.endswith(("_type", "_parsing", "_error")) and expected:
        got = _GOT.get(type(problem["input"]), "something else")
        return ContentError(f"{_dotted(key)} must be {expected}, not {got}", where=where)
    return ContentError(f"{_dotted(key)}: {problem['msg']}", where=where)


def _unknown(root: "type[BaseModel]", key: Key, where: str) -> ContentError:
    known = _names(root, key[:-1])
    near = get_close_matches(str(key[-1]), known, n=1)
    table = f" in [{_dotted(key[:-1])}]" if len(key) > 1 else ""
    what = "key" if table else "section or key"
    return ContentError(
        f"unknown {what} {str(key[-1])!r}{table}",
        where=where,
        hint=near[0] if near else "one of " + ", ".join(known),
    )


def _names(root: "type[BaseModel]", key: Key) -> Sequence[str]:
    """Return the names that the table at this key may have."""
    model: Any = root
    for name in key:
        if isinstance(name, int):
            (model,) = get_args(model)
        else:
            model = model.model_fields[name].annotation
    return list(getattr(model, "model_fields", {}))


def _dotted(key: Key) -> str:
    text = ""
    for part in key:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text
