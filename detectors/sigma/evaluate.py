"""Whether a rule matches an event, and why: the meaning of Sigma, plainly written."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final

from detectors.sigma.many import MANY, candidates
from detectors.sigma.patterns import Exists, FieldRef, Null, Pattern, Text
from detectors.sigma.rule import Condition, Group, Item, Rule
from detectors.sigma.values import Field, Value, View
from soc.model.reason import Reason
from soc.text import shorten

Names = Callable[[str], tuple[str, ...]]
"""Sigma field -> event fields, the best first (`Source.names`)."""
MAX_SHOWN: Final = 1_000
"""Characters of a value that a reason repeats."""
MAX_LISTED: Final = 5
LABELS: Final = {"and": "all of these", "or": "any of these"}


def matches(rule: Rule, view: View, names: Names) -> bool:
    """Tell whether a rule's condition holds for an event."""
    return _condition(rule.condition, rule, view, names)


def _condition(node: Condition, rule: Rule, view: View, names: Names) -> bool:
    if node.kind == "selection":
        return _selection(rule.selections[node.label], view, names)
    results = (_condition(child, rule, view, names) for child in node.children)
    if node.kind == "and":
        return all(results)
    return any(results) if node.kind == "or" else not any(results)


def _selection(node: Group | Item, view: View, names: Names) -> bool:
    if isinstance(node, Item):
        return _item(node, view, names)
    results = (_selection(child, view, names) for child in node.children)
    return all(results) if node.kind == "and" else any(results)


def _item(item: Item, view: View, names: Names) -> bool:
    field = _field(item, view, names)[1]
    if item.every:
        return all(holds(p, field, view, names) for p in item.patterns) != item.negated
    return (_first(item, field, view, names) is not None) != item.negated


def _first(item: Item, field: Field, view: View, names: Names) -> Pattern | None:
    """Return the first pattern of a line that holds for a field, None when none does."""
    patterns: Iterable[Pattern] = item.patterns
    if len(item.patterns) >= MANY:
        patterns = candidates(item.patterns, field)
    return next((pattern for pattern in patterns if holds(pattern, field, view, names)), None)


def _field(item: Item, view: View, names: Names) -> tuple[str, Field]:
    if item.field is None:
        return "", view.keywords
    return view.field(names(item.field))


def holds(pattern: Pattern, field: Field, view: View, names: Names) -> bool:
    """Tell whether a pattern holds for a field: for a list, whether it does for any element."""
    if isinstance(pattern, Null):
        return not field.items
    if isinstance(pattern, Exists):
        return field.present == pattern.expected
    if not field.items:
        return False
    if isinstance(pattern, Text) and len(field.items) == 1:
        return pattern.matches(field.items[0])
    if isinstance(pattern, Text):
        texts = field.index(cased=pattern.cased)
        known = texts.any(pattern.glob)
        if known is not None:
            return known
        return any(pattern.matches(field.items[n]) for n in texts.holding(pattern.needle))
    return next(_fitting(pattern, field, view, names), None) is not None


def _fitting(pattern: Pattern, field: Field, view: View, names: Names) -> Iterator[Value]:
    """Yield the values that fit a pattern."""
    if isinstance(pattern, FieldRef):
        others = view.field(names(pattern.field))[1].items
        yield from pattern.related(field.items, others)
    elif isinstance(pattern, Null | Exists):
        return
    else:
        yield from (value for value in field.items if pattern.matches(value))


def explain(rule: Rule, view: View, names: Names) -> Reason:
    """Return the whole tree: every selection and line, whether it matched or not."""
    return _explain_condition(rule.condition, rule, view, names)


def _explain_condition(node: Condition, rule: Rule, view: View, names: Names) -> Reason:
    if node.kind == "selection":
        inner = _explain_selection(rule.selections[node.label], view, names)
        children = inner.children if inner.label == LABELS["and"] else (inner,)
        return Reason("selection", node.label, inner.matched, children)
    children = tuple(_explain_condition(child, rule, view, names) for child in node.children)
    return Reason(node.kind, node.label, _verdict(node.kind, children), children)


def _verdict(kind: str, children: tuple[Reason, ...]) -> bool:
    results = (child.matched for child in children)
    if kind == "and":
        return all(results)
    return any(results) if kind == "or" else not any(results)


def _explain_selection(node: Group | Item, view: View, names: Names) -> Reason:
    if isinstance(node, Item):
        return _explain_item(node, view, names)
    children = tuple(_explain_selection(child, view, names) for child in node.children)
    return Reason(node.kind, LABELS[node.kind], _verdict(node.kind, children), children)


def _explain_item(item: Item, view: View, names: Names) -> Reason:
    name, field = _field(item, view, names)
    if item.every:
        leaves = tuple(_leaf(item, pattern, name, field, view, names) for pattern in item.patterns)
        inner = Reason("and", item.label, all(leaf.matched for leaf in leaves), leaves)
    else:
        hit = _first(item, field, view, names)
        inner = _none_of(item, name, field)
        if hit is not None:
            inner = _leaf(item, hit, name, field, view, names)
    return Reason("not", item.label, not inner.matched, (inner,)) if item.negated else inner


def _leaf(
    item: Item, pattern: Pattern, name: str, field: Field, view: View, names: Names
) -> Reason:
    matched = holds(pattern, field, view, names)
    value = next((v.raw for v in _fitting(pattern, field, view, names)), None) if matched else None
    kind = "field" if item.field else "keyword"
    shown = _shown(field.raw if value is None and item.field else value)
    return Reason(kind, item.label, matched, (), name or "*", shown, pattern.source)


def _none_of(item: Item, name: str, field: Field) -> Reason:
    wanted = [pattern.source for pattern in item.patterns[:MAX_LISTED]]
    more = len(item.patterns) - len(wanted)
    text = " or ".join(wanted) + (f" or {more:,} more" if more else "")
    kind = "field" if item.field else "keyword"
    shown = _shown(field.raw) if item.field else None
    return Reason(kind, item.label, False, (), name or "*", shown, text)


def _shown(raw: Any) -> Any:  # noqa: ANN401 - any JSON value
    if isinstance(raw, list):
        return [_shown(item) for item in raw[:MAX_LISTED] if not isinstance(item, list)]
    if isinstance(raw, str):
        return shorten(raw, MAX_SHOWN)
    return shorten(str(raw), MAX_SHOWN) if isinstance(raw, dict) else raw


def decided(reason: Reason) -> Reason:
    """Return the tree without the branches that the result does not rest on.

    Of what a `not` excludes only the name stays.
    """
    kind, children = reason.kind, reason.children
    if kind == "or" or (kind == "and" and not reason.matched) or kind == "selection":
        same = tuple(child for child in children if child.matched == reason.matched)
        children = same or children
    if kind == "or" and reason.matched:
        children = children[:MAX_LISTED]
    if kind == "not":
        kept = tuple(Reason(child.kind, child.label, child.matched) for child in children)
    else:
        kept = tuple(decided(child) for child in children)
    return Reason(
        kind,
        reason.label,
        reason.matched,
        kept,
        reason.field,
        reason.value,
        reason.pattern,
    )


def because_condition(node: Condition, rule: Rule, view: View, names: Names) -> Reason | None:
    """Return `decided(explain(...))` of a part of the condition, None when it does not hold.

    In one go: of a match only what matched is kept, so whatever fails needs no tree.
    """
    if node.kind == "selection":
        inner = _because_selection(rule.selections[node.label], view, names)
        if inner is None:
            return None
        children = inner.children if inner.label == LABELS["and"] else (inner,)
        return Reason("selection", node.label, True, children)
    if node.kind == "not":
        if any(_condition(child, rule, view, names) for child in node.children):
            return None
        bare = tuple(Reason(child.kind, child.label, False) for child in node.children)
        return Reason("not", node.label, True, bare)
    found = (because_condition(child, rule, view, names) for child in node.children)
    kept = _kept(node.kind, found)
    return None if kept is None else Reason(node.kind, node.label, True, kept)


def _kept(kind: str, found: Iterator[Reason | None]) -> tuple[Reason, ...] | None:
    """Return what a match rests on: all children, or the first ones of any that matched."""
    kept: list[Reason] = []
    for child in found:
        if child is not None:
            kept.append(child)
            if kind == "or" and len(kept) == MAX_LISTED:
                break
        elif kind == "and":
            return None
    return tuple(kept) if kept or kind == "and" else None


def _because_selection(node: Group | Item, view: View, names: Names) -> Reason | None:
    if isinstance(node, Item):
        return because_item(node, view, names)
    found = (_because_selection(child, view, names) for child in node.children)
    kept = _kept(node.kind, found)
    return None if kept is None else Reason(node.kind, LABELS[node.kind], True, kept)


def because_item(item: Item, view: View, names: Names) -> Reason | None:
    """Return why a line of a selection holds, None when it does not."""
    if item.negated:
        if not _item(item, view, names):
            return None
        kind = "field" if item.field else "keyword"
        bare = Reason("and" if item.every else kind, item.label, False)
        return Reason("not", item.label, True, (bare,))
    name, field = _field(item, view, names)
    if item.every:
        return _explain_item(item, view, names) if _item(item, view, names) else None
    if len(field.items) == 1 and len(item.patterns) < MANY:
        return _because_value(item, name, field, view, names)
    hit = _first(item, field, view, names)
    return None if hit is None else _leaf(item, hit, name, field, view, names)


def _because_value(item: Item, name: str, field: Field, view: View, names: Names) -> Reason | None:
    """The same for a field with one value; most patterns fail by text that is not there."""
    value = field.items[0]
    text, folded = value.text, value.folded
    for pattern in item.patterns:
        if isinstance(pattern, Text):
            if pattern.needle not in (text if pattern.cased else folded):
                continue
            found = pattern.matches(value)
        else:
            found = holds(pattern, field, view, names)
        if found:
            if isinstance(pattern, Null | Exists):
                return _leaf(item, pattern, name, field, view, names)
            kind, shown = "field" if item.field else "keyword", _shown(value.raw)
            return Reason(kind, item.label, True, (), name or "*", shown, pattern.source)
    return None
