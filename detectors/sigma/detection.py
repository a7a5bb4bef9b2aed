"""From the `detection` map of a document to selections of patterns."""

from collections.abc import Mapping as Map
from dataclasses import dataclass, replace

from detectors.sigma.condition import ConditionError, parse
from detectors.sigma.document import DocumentError, Mapping, Scalar, Sequence, Value
from detectors.sigma.encoding import ModifierError
from detectors.sigma.metadata import Warn
from detectors.sigma.modifiers import MODIFIERS, Line, Placeholders, apply
from detectors.sigma.patterns import Boolean, Null, Number, Pattern, Text, Word
from detectors.sigma.rule import Condition, Group, Item
from detectors.sigma.text import Wild, joined

Selections = dict[str, Group | Item]


@dataclass(frozen=True, slots=True)
class Context:
    """What building a selection needs besides the document."""

    placeholders: Placeholders
    warn: Warn


def selections(detection: Mapping, context: Context, skip: tuple[str, ...]) -> Selections:
    """Return the selections of a detection map by name; raise DocumentError."""
    found: Selections = {}
    for name, value in detection.items.items():
        if name == "timeframe":
            raise DocumentError(
                "`timeframe` (Sigma 1 aggregation) is gone",
                detection.lines[name],
                "write a Sigma correlation rule instead",
            )
        if name not in skip:
            found[name] = _selection(value, detection.lines[name], context)
    if not found:
        raise DocumentError("there is no selection", detection.line, "selection: {Field: value}")
    return found


def _selection(value: Value, line: int, context: Context) -> Group | Item:
    if isinstance(value, Mapping):
        return _map(value, context)
    if isinstance(value, Scalar):
        return _item("", [value], line, context)
    if not value.items:
        raise DocumentError("the list is empty and would never match", line)
    words = [item for item in value.items if isinstance(item, Scalar)]
    children: list[Group | Item] = [_item("", words, line, context)] if words else []
    for item in value.items:
        if isinstance(item, Sequence):
            raise DocumentError("a list inside a list has no meaning in Sigma", item.line)
        if isinstance(item, Mapping):
            children.append(_map(item, context))
    return children[0] if len(children) == 1 else Group("or", tuple(children))


def _map(value: Mapping, context: Context) -> Group | Item:
    if not value.items:
        raise DocumentError("the map is empty and would match everything", value.line)
    children: list[Group | Item] = []
    for key, wanted in value.items.items():
        line = value.lines[key]
        if isinstance(wanted, Mapping):
            raise DocumentError(f"{key}: a map is no value", line, "a value or a list of values")
        values = wanted.items if isinstance(wanted, Sequence) else [wanted]
        children.append(_item(key, values, line, context))
    return children[0] if len(children) == 1 else Group("and", tuple(children))


def _item(key: str, values: list[Value] | list[Scalar], line: int, context: Context) -> Item:
    name, *modifiers = key.split("|")
    field = name.replace(" ", "") or None
    _check_modifiers(key, modifiers, line)
    if not values:
        raise DocumentError(f"{key}: the list is empty and would never match", line)
    if "all" in modifiers and len(values) == 1:
        context.warn(line, f"{key}: `all` has no meaning for one value")
    patterns: list[Pattern] = []
    for value in values:
        if not isinstance(value, Scalar):
            raise DocumentError(f"{key}: a value must be text, number, boolean or null", value.line)
        if value.value is None and (len(values) > 1 or field is None):
            raise DocumentError(
                "null cannot be in a list or a keyword", value.line, "make it its own selection"
            )
        try:
            here = Line(field, (), context.placeholders)
            found = apply(modifiers, _pattern(value), here)
        except ModifierError as error:
            raise DocumentError(f"{key}: {error.reason}", value.line, error.hint) from error
        patterns.extend(found if field else (_keyword(p, modifiers) for p in found))
    label = key or "keywords"
    return Item(label, field, tuple(patterns), "all" in modifiers, "neq" in modifiers)


def _check_modifiers(key: str, modifiers: list[str], line: int) -> None:
    for index, name in enumerate(modifiers):
        if name not in MODIFIERS:
            near = [m for m in MODIFIERS if m == name.lower().strip()]
            hint = f"write {near[0]}" if near else f"known: {', '.join(sorted(MODIFIERS))}"
            raise DocumentError(f"{key}: unknown modifier {name!r}", line, hint)
        if name in modifiers[:index]:
            raise DocumentError(f"{key}: modifier {name!r} stands twice", line)


def _pattern(scalar: Scalar) -> Pattern:
    value = scalar.value
    if value is None:
        return Null()
    if isinstance(value, bool):
        return Boolean(scalar.text, value)
    if isinstance(value, int | float):
        return Number(scalar.text, value)
    return Text.of(value)


def _keyword(pattern: Pattern, modifiers: list[str]) -> Pattern:
    """Return the pattern as one that is found anywhere in the event's text."""
    if isinstance(pattern, Number | Boolean):
        return Word(pattern.source)
    if isinstance(pattern, Text) and not {"startswith", "endswith"} & set(modifiers):
        return replace(pattern, tokens=joined((Wild.ANY, *pattern.tokens, Wild.ANY)))
    return pattern


def condition(detection: Mapping, names: Map[str, object]) -> Condition:
    """Return the parsed condition of a detection map; a list of conditions is an OR."""
    value = detection.items.get("condition")
    if value is None:
        raise DocumentError("there is no condition", detection.line, "condition: selection")
    parts = value.items if isinstance(value, Sequence) else [value]
    parsed: list[Condition] = []
    for part in parts:
        if not isinstance(part, Scalar) or not isinstance(part.value, str):
            raise DocumentError("a condition is text", detection.lines["condition"])
        try:
            parsed.append(parse(part.value, tuple(names)))
        except ConditionError as error:
            raise DocumentError(f"condition: {error.reason}", part.line, error.hint) from error
    if not parsed:
        raise DocumentError("the list of conditions is empty", detection.lines["condition"])
    label = " or ".join(f"({p.label})" for p in parsed)
    return parsed[0] if len(parsed) == 1 else Condition("or", label, tuple(parsed))


def unused(tree: Condition, names: Map[str, object]) -> list[str]:
    """Return the selections that the condition does not name, `_hidden` ones left out."""
    used: set[str] = set()
    stack = [tree]
    while stack:
        node = stack.pop()
        if node.kind == "selection":
            used.add(node.label)
        stack.extend(node.children)
    return [name for name in names if name not in used and not name.startswith("_")]
