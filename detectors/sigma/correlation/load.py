"""Correlation documents, read one by one; `resolve` joins them to the rules they refer to."""

import difflib
import re
from collections.abc import Mapping as Map
from dataclasses import dataclass, field
from typing import Final, cast, get_args

from detectors.sigma import metadata
from detectors.sigma.correlation.condition import MAX_ORDERED, check, condition, names, words
from detectors.sigma.correlation.rule import TEMPORAL, Correlation, Kind
from detectors.sigma.document import DocumentError, Mapping, Scalar, Sequence

MAX_RULES: Final = 64
_SECONDS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
_TIMESPAN: Final = re.compile(r"([0-9]{1,6})([smhdw])")
_KEYS: Final = (
    "type",
    "rules",
    "aliases",
    "group-by",
    "timespan",
    "condition",
    "generate",
)


@dataclass(frozen=True, slots=True)
class Reference:
    """A rule's id or name as a correlation wrote it, with its line."""

    text: str
    line: int


@dataclass(frozen=True, slots=True)
class Draft:
    """A correlation that does not know its rules yet."""

    correlation: Correlation
    path: str
    line: int
    references: tuple[Reference, ...]
    aliases: Map[str, Map[str, tuple[int, str]]] = field(default_factory=dict)


def build(document: Mapping, path: str, warn: metadata.Warn) -> Draft:
    """Return the correlation of a document; raise DocumentError."""
    info = metadata.info(document, path, warn)
    body = document.items["correlation"]
    if not isinstance(body, Mapping):
        raise DocumentError("correlation must be a map", document.lines["correlation"])
    for key in body.items:
        if key not in _KEYS:
            warn(body.lines[key], f"correlation has no key {key!r}; it is left out")
    kind = _kind(body)
    references = _references(body, kind)
    wanted = condition(body, kind, [one.text for one in references], warn)
    correlation = Correlation(
        info=info,
        kind=kind,
        rules=tuple(reference.text for reference in references),
        titles=(),
        timespan=_timespan(body),
        condition=wanted.condition,
        group_by=names(body, "group-by"),
        fields=wanted.fields,
        percentile=wanted.percentile,
        generate=_generate(body),
        name=metadata.text(document, "name"),
        status=metadata.status(document, warn),
        where=f"{path}:{document.line}",
    )
    check(correlation, body, warn)
    aliases = _aliases(body)
    for alias in aliases:
        if alias in (*correlation.group_by, *correlation.fields):
            continue
        warn(body.lines["aliases"], f"neither group-by nor field uses the alias {alias!r}")
    return Draft(correlation, path, document.line, references, aliases)


def _kind(body: Mapping) -> Kind:
    text = metadata.required(body, "type", f"type: one of {', '.join(get_args(Kind))}")
    if text not in get_args(Kind):
        near = difflib.get_close_matches(text, get_args(Kind), n=1)
        hint = near[0] if near else ", ".join(get_args(Kind))
        raise DocumentError(f"correlation type {text!r} does not exist", body.lines["type"], hint)
    return cast(Kind, text)


def _timespan(body: Mapping) -> int:
    text = metadata.required(body, "timespan", "timespan: 10m")
    found = _TIMESPAN.fullmatch(text)
    if found is None or int(found[1]) == 0:
        raise DocumentError(
            f"timespan {text!r} is no time span",
            body.lines["timespan"],
            "a number above 0 and one of s, m, h, d, w: 90m",
        )
    return int(found[1]) * _SECONDS[found[2]]


def _generate(body: Mapping) -> bool:
    value = body.items.get("generate")
    if value is None:
        return False
    if not isinstance(value, Scalar) or not isinstance(value.value, bool):
        raise DocumentError("generate is true or false", body.lines["generate"])
    return value.value


def _references(body: Mapping, kind: Kind) -> tuple[Reference, ...]:
    value = body.items.get("rules")
    if value is None:
        text = body.items.get("condition")
        if kind in TEMPORAL and isinstance(text, Scalar):
            found = [Reference(word, text.line) for word in words(text.text)]
            return _bounded(found, kind, text.line)
        raise DocumentError(
            "rules is missing", body.lines.get("rules", body.line), "rules: a list of rule names"
        )
    items = value.items if isinstance(value, Sequence) else [value]
    found = []
    for item in items:
        if not isinstance(item, Scalar) or not item.text.strip():
            raise DocumentError("rules is a list of rule ids or names", item.line)
        if any(reference.text == item.text for reference in found):
            raise DocumentError(
                f"rules names {item.text!r} twice", item.line, "event_count counts repetitions"
            )
        found.append(Reference(item.text, item.line))
    return _bounded(found, kind, value.line)


def _bounded(found: list[Reference], kind: Kind, line: int) -> tuple[Reference, ...]:
    most = MAX_ORDERED if kind == "temporal_ordered" else MAX_RULES
    if not 0 < len(found) <= most:
        raise DocumentError(
            f"{len(found)} rules; {kind} takes 1 to {most}", line, "chain several correlations"
        )
    return tuple(found)


def _aliases(body: Mapping) -> dict[str, dict[str, tuple[int, str]]]:
    value = body.items.get("aliases")
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise DocumentError("aliases is a map", body.lines["aliases"], "alias: {rule: field}")
    found: dict[str, dict[str, tuple[int, str]]] = {}
    for alias, mapping in value.items.items():
        if not isinstance(mapping, Mapping):
            raise DocumentError(
                f"alias {alias!r} is a map of rule: field", value.lines[alias], "rule: field"
            )
        inner = found.setdefault(alias.replace(" ", ""), {})
        for rule, name in mapping.items.items():
            if not isinstance(name, Scalar) or not name.text.strip():
                raise DocumentError(f"alias {alias!r}: a field is text", mapping.lines[rule])
            inner[rule] = (mapping.lines[rule], name.text.replace(" ", ""))
    return found
