"""Sigma filters: documents that narrow rules (specification of filters 2.1.0).

The filter's condition is joined to the rule's with AND, as pySigma does; so a suppression is
written `condition: not selection`. (The specification's example says `condition: selection` and
means the opposite; a filter without any `not` gets a warning.)
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from detectors.sigma import detection, metadata
from detectors.sigma.document import DocumentError, Scalar, Value
from detectors.sigma.document import Mapping as Map
from detectors.sigma.document import Sequence as List
from detectors.sigma.modifiers import Placeholders
from detectors.sigma.rule import Condition, Group, Item, LogSource, Rule

_RULES_HINT: Final = "a list of rule ids, or any"


@dataclass(frozen=True, slots=True)
class Filter:
    """A filter: `rules` are ids or names, empty means every rule of the log source."""

    title: str
    logsource: LogSource
    rules: tuple[str, ...]
    condition: Condition
    selections: Mapping[str, Group | Item]
    path: str
    line: int

    def applies_to(self, rule: Rule) -> bool:
        """Tell whether the filter narrows this rule."""
        named = not self.rules or any(rule.is_called(name) for name in self.rules)
        return named and self.logsource.covers(rule.logsource)


def build(document: Map, path: str, placeholders: Placeholders, warn: metadata.Warn) -> Filter:
    """Return the filter of a document; raise DocumentError."""
    title = metadata.required(document, "title", "title: what the filter leaves out")
    body = document.items["filter"]
    if not isinstance(body, Map):
        raise DocumentError("filter must be a map", document.lines["filter"])
    selections = detection.selections(
        body, detection.Context(placeholders, warn), ("condition", "rules")
    )
    condition = detection.condition(body, selections)
    if isinstance(body.items.get("condition"), Scalar) and not _negates(condition):
        warn(
            body.lines["condition"],
            f"the filter keeps only events that fit `{condition.label}`; "
            f"to leave them out write `condition: not {condition.label}`",
        )
    return Filter(
        title=title,
        logsource=metadata.logsource(document),
        rules=_rules(body),
        condition=condition,
        selections=selections,
        path=path,
        line=document.line,
    )


def _negates(condition: Condition) -> bool:
    return condition.kind == "not" or any(_negates(child) for child in condition.children)


def _rules(body: Map) -> tuple[str, ...]:
    """Return the names that a filter lists, none for `any`: a slip must never mean every rule."""
    value: Value | None = body.items.get("rules")
    if isinstance(value, Scalar) and value.text.lower() == "any":
        return ()
    if value is None:
        raise DocumentError("filter.rules is missing", body.line, _RULES_HINT)
    items = value.items if isinstance(value, List) else [value]
    names = [item.text for item in items if isinstance(item, Scalar) and item.value is not None]
    if not names or len(names) < len(items):
        reason = "filter.rules names rules by id or name, or is `any`"
        raise DocumentError(reason, body.lines["rules"], _RULES_HINT)
    return tuple(names)


def applied(rule: Rule, filters: Sequence[Filter]) -> Rule:
    """Return the rule narrowed by every filter that applies to it."""
    mine = [found for found in filters if found.applies_to(rule)]
    if not mine:
        return rule
    selections = dict(rule.selections)
    conditions = [rule.condition]
    for number, found in enumerate(mine, 1):
        prefix = f"filter {number} ({found.title}): "
        selections |= {prefix + name: value for name, value in found.selections.items()}
        conditions.append(_renamed(found.condition, prefix))
    label = " and ".join(f"({condition.label})" for condition in conditions)
    joint = Condition("and", label, tuple(conditions))
    return replace(rule, condition=joint, selections=selections)


def _renamed(condition: Condition, prefix: str) -> Condition:
    children = tuple(_renamed(child, prefix) for child in condition.children)
    return Condition(condition.kind, prefix + condition.label, children)
