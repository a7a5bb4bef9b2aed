"""The JSON form that the evtx library and evtx_dump give a Windows event.

XML elements become objects: attributes stand under `#attributes` (or beside it as
`NAME_attributes`), the text under `#text` when there are attributes too.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from collectors.parsers._windows import as_text

Pairs = Iterator[tuple[str, Any]]
# The library writes GUIDs bare and in capitals, Windows and Sigma rules write {GUID}.
_GUID: Final = re.compile(r"[0-9A-F]{8}(?:-[0-9A-F]{4}){3}-[0-9A-F]{12}")


def event_of_tree(document: Mapping[str, Any]) -> tuple[dict[str, str], Pairs]:
    """Return System and data of `{"Event": {"System": ...}}`; ValueError when it is none."""
    tree = document.get("Event")
    system = tree.get("System") if isinstance(tree, dict) else None
    if not isinstance(tree, dict) or not isinstance(system, dict):
        raise ValueError("a Windows event has an Event with a System part")
    return _system(system), _data(tree)


def _system(system: Mapping[str, Any]) -> dict[str, str]:
    found: dict[str, str] = {}
    for name, value in system.items():
        if name.endswith("_attributes") and isinstance(value, dict):
            name, value = name[: -len("_attributes")], {"#attributes": value}
        attributes = value.get("#attributes") if isinstance(value, dict) else None
        for attribute, content in (attributes or {}).items():
            if (shown := as_text(_braced(content))) is not None:
                found[f"{name}_{attribute}"] = shown
        if (shown := as_text(_content(value))) is not None:
            found[name] = shown
    return found


def _data(tree: Mapping[str, Any]) -> Pairs:
    data = tree.get("EventData")
    if isinstance(data, dict):
        for name, value in data.items():
            if name == "Data":
                yield from _listed(value)
            elif not name.startswith("#") and not name.endswith("_attributes"):
                yield name, _braced(_content(value))
    user = tree.get("UserData")
    if isinstance(user, dict):
        for wrapper in user.values():
            if isinstance(wrapper, dict):
                yield from leaves(wrapper)


def _listed(value: Any) -> Pairs:  # noqa: ANN401
    """Yield `Data` elements: texts, or objects with a Name attribute."""
    content = _content(value)
    for item in content if isinstance(content, list) else [content]:
        name = item.get("@Name") or item.get("Name") if isinstance(item, dict) else ""
        yield (name if isinstance(name, str) else ""), _braced(_content(item))


def leaves(tree: Mapping[str, Any]) -> Pairs:
    """Yield the leaves of nested objects; the names of inner levels are joined with `_`."""
    stack = [("", iter(tree.items()))]
    while stack:
        path, items = stack[-1]
        for name, value in items:
            if name.startswith("#") or name.endswith("_attributes"):
                continue
            inner = _content(value)
            if isinstance(inner, dict):
                stack.append((f"{path[:256]}{name}_", iter(inner.items())))
                break
            yield f"{path}{name}", _braced(inner)
        else:
            stack.pop()


def _content(value: Any) -> Any:  # noqa: ANN401
    """Return an element's text (or list, or object) without its attributes."""
    if not isinstance(value, dict):
        return value
    if "#text" in value:
        return value["#text"]
    return {k: v for k, v in value.items() if k not in ("#attributes", "@Name")} or None


def _braced(value: Any) -> Any:  # noqa: ANN401
    return f"{{{value}}}" if isinstance(value, str) and _GUID.fullmatch(value) else value
