"""The condition of a correlation: comparisons with a number, or an expression of rule names."""

import re
from collections.abc import Mapping as Map
from collections.abc import Sequence as Seq
from dataclasses import dataclass
from typing import Final, cast

from detectors.sigma import metadata
from detectors.sigma.condition import ConditionError, parse
from detectors.sigma.correlation.rule import (
    COUNTS,
    OPERATORS,
    TEMPORAL,
    Bounds,
    Correlation,
    Kind,
    Operator,
)
from detectors.sigma.document import DocumentError, Mapping, Scalar, Sequence, Value
from detectors.sigma.rule import Condition

MAX_COUNT: Final = 100_000
"""Things that a group may have to hold before its condition is decided."""
MAX_ORDERED: Final = 10
"""Rules of a temporal_ordered correlation: any subset of them may be a way to fulfil it."""
_WORD: Final = re.compile(r"[^\s()]+")


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a correlation compares: the condition, the fields it counts, the percentile."""

    condition: Bounds | Condition
    fields: tuple[str, ...] = ()
    percentile: int | float = 50


def words(text: str) -> list[str]:
    """Return the rule names in a boolean condition, each once."""
    found = (word for word in _WORD.findall(text) if word not in ("and", "or", "not"))
    return list(dict.fromkeys(found))


def condition(body: Mapping, kind: Kind, references: Seq[str], warn: metadata.Warn) -> Wanted:
    """Return what the correlation compares; raise DocumentError."""
    value = body.items.get("condition")
    if value is None:
        if kind in TEMPORAL:
            return Wanted(Bounds((("gte", len(references)),)))
        raise DocumentError("condition is missing", body.line, "condition: {gte: 10}")
    if isinstance(value, Mapping):
        fields = _fields(value, kind, warn)
        return Wanted(_bounds(value), fields, _percentile(value, kind, warn))
    if not isinstance(value, Scalar) or not isinstance(value.value, str):
        raise DocumentError("condition is a map, or text", body.lines["condition"])
    if kind not in TEMPORAL:
        raise DocumentError(
            f"a condition of rule names does not apply to {kind}", value.line, "{gte: 10}"
        )
    return Wanted(_expression(value, references))


def _bounds(value: Mapping) -> Bounds:
    tests: list[tuple[Operator, int | float]] = []
    for key, item in value.items.items():
        if key in OPERATORS:
            tests.append((cast(Operator, key), _number(item, key)))
        elif key not in ("field", "percentile"):
            raise DocumentError(
                f"condition has no key {key!r}",
                value.lines[key],
                f"{', '.join(OPERATORS)}, field, percentile",
            )
    if not tests:
        raise DocumentError("condition compares with nothing", value.line, "gte: 10")
    return Bounds(tuple(tests))


def _fields(value: Mapping, kind: Kind, warn: metadata.Warn) -> tuple[str, ...]:
    fields = names(value, "field")
    if kind in ("event_count", *TEMPORAL):
        if fields:
            warn(value.lines["field"], f"{kind} uses no field; it is left out")
        return ()
    if not fields:
        raise DocumentError(f"{kind} needs a field", value.line, "condition: {field: User, gte: 5}")
    if kind != "value_count" and len(fields) > 1:
        raise DocumentError(f"{kind} takes one field", value.lines["field"], "value_count")
    return fields


def _percentile(value: Mapping, kind: Kind, warn: metadata.Warn) -> int | float:
    if "percentile" not in value.items:
        if kind == "value_percentile":
            warn(value.line, "no percentile is named: 50, the median, is compared")
        return 50
    line = value.lines["percentile"]
    percentile = _number(value.items["percentile"], "percentile")
    if not 0 <= percentile <= 100:
        raise DocumentError("percentile lies between 0 and 100", line)
    if kind != "value_percentile":
        warn(line, f"{kind} uses no percentile; it is left out")
        return 50
    return percentile


def _number(item: Value, key: str) -> int | float:
    value = item.value if isinstance(item, Scalar) else None
    if isinstance(value, bool) or not isinstance(value, int | float) or abs(value) > 1e300:
        raise DocumentError(f"{key} needs a number", item.line, f"{key}: 10, without quotes")
    return value


def _expression(value: Scalar, names: Seq[str]) -> Condition:
    words = _WORD.findall(value.text)
    if "of" in words:
        raise DocumentError("`of` is not part of a correlation's condition", value.line, "and, or")
    for name in names:
        if name not in words:
            raise DocumentError(f"the condition does not use {name!r}", value.line)
    try:
        tree = parse(value.text, names)
    except ConditionError as error:
        raise DocumentError(f"condition: {error.reason}", value.line, error.hint) from error
    return _numbered(tree, {name: str(position) for position, name in enumerate(names)})


def _numbered(node: Condition, positions: Map[str, str]) -> Condition:
    if node.kind == "selection":
        return Condition("selection", positions[node.label])
    return Condition(
        node.kind, node.label, tuple(_numbered(child, positions) for child in node.children)
    )


def names(body: Mapping, key: str) -> tuple[str, ...]:
    """Return a text or a list of texts, spaces removed as in all names of fields."""
    value = body.items.get(key)
    if value is None:
        return ()
    items = value.items if isinstance(value, Sequence) else [value]
    names = []
    for item in items:
        if not isinstance(item, Scalar) or item.value is None or not item.text.strip():
            raise DocumentError(f"{key} is a field or a list of fields", item.line)
        names.append(item.text.replace(" ", ""))
    return tuple(dict.fromkeys(names))


def check(one: Correlation, body: Mapping, warn: metadata.Warn) -> None:
    """Warn of what can never be true; raise DocumentError for what cannot be counted."""
    line = body.lines.get("condition", body.line)
    if isinstance(one.condition, Bounds):
        if one.kind in COUNTS and one.condition.enough > MAX_COUNT:
            raise DocumentError(
                f"counts beyond {MAX_COUNT:,} are not kept", line, "a shorter timespan"
            )
        counts = one.kind in COUNTS or one.temporal
        most = len(one.rules) if one.temporal else one.condition.enough + 1
        if counts and not any(one.condition.holds(n) for n in range(1, most + 1)):
            warn(line, f"{one.condition.label} is never true: only what occurs is counted")
    elif len(one.negated) == len(one.rules):
        warn(line, "the condition is never true: nothing that occurs can fulfil it")
    elif not one.rising and len(one.rules) <= MAX_ORDERED:
        masks = range(1, 1 << len(one.rules))
        if not any(one.holds_for(mask) for mask in masks):
            warn(line, "the condition is never true")
