"""Reasons of rules that are known to match, made by functions prepared once for each rule.

They are the reference's reasons: whatever is not plain text under a field is left to it, node by
node. What a match excludes is not looked at again.
"""

from collections.abc import Callable
from typing import Final, Literal

from detectors.sigma import evaluate
from detectors.sigma.evaluate import LABELS, MAX_LISTED, MAX_SHOWN, Names
from detectors.sigma.patterns import Text
from detectors.sigma.rule import Condition, Group, Item, Rule
from detectors.sigma.values import View
from soc.model.event import Event
from soc.model.finding import Reason
from soc.text import shorten

Because = Callable[[Event], Reason | None]
_Test = Callable[[str], bool]
_NOTHING: Final[tuple[Reason, ...]] = ()


def prepared(rule: Rule, names: Names) -> Because:
    """Return a function that explains why the rule matches an event on which it does."""
    return _condition(rule.condition, rule, names, sure=True)


def _condition(node: Condition, rule: Rule, names: Names, *, sure: bool) -> Because:
    if node.kind == "selection":
        return _named(node.label, _selection(rule.selections[node.label], names))
    if node.kind == "not":
        if sure:
            bare = tuple(Reason(child.kind, child.label, False) for child in node.children)
            reason = Reason("not", node.label, True, bare)
            return lambda event: reason
        return lambda event: evaluate.because_condition(node, rule, View(event), names)
    sure = sure and node.kind == "and"
    children = [_condition(child, rule, names, sure=sure) for child in node.children]
    return _joined(node.kind, node.label, children)


def _named(name: str, inner: Because) -> Because:
    def because(event: Event) -> Reason | None:
        found = inner(event)
        if found is None:
            return None
        children = found.children if found.label == LABELS["and"] else (found,)
        return Reason("selection", name, True, children)

    return because


def _joined(kind: Literal["and", "or"], label: str, children: list[Because]) -> Because:
    def every(event: Event) -> Reason | None:
        kept = []
        for child in children:
            found = child(event)
            if found is None:
                return None
            kept.append(found)
        return Reason("and", label, True, tuple(kept))

    def some(event: Event) -> Reason | None:
        kept = []
        for child in children:
            found = child(event)
            if found is not None:
                kept.append(found)
                if len(kept) == MAX_LISTED:
                    break
        return Reason("or", label, True, tuple(kept)) if kept else None

    return every if kind == "and" else some


def _selection(node: Group | Item, names: Names) -> Because:
    if isinstance(node, Item):
        return _item(node, names)
    return _joined(node.kind, LABELS[node.kind], [_selection(c, names) for c in node.children])


def _item(item: Item, names: Names) -> Because:
    def plainly(event: Event) -> Reason | None:
        return evaluate.because_item(item, View(event), names)

    texts = [p for p in item.patterns if isinstance(p, Text)]
    if item.field is None or item.negated or len(texts) != len(item.patterns):
        return plainly
    slot = names(item.field)
    return _every(item, texts, slot, plainly) if item.every else _any(item, texts, slot, plainly)


def _value(event: Event, slot: tuple[str, ...]) -> tuple[str, object]:
    for name in slot:
        value = event.get(name)
        if value is not None:
            return name, value
    return slot[0], None


def _any(item: Item, texts: list[Text], slot: tuple[str, ...], plainly: Because) -> Because:
    tests = [(p.cased, p.needle, p.glob.matches, p.source) for p in texts]
    label = item.label

    def because(event: Event) -> Reason | None:
        name, value = _value(event, slot)
        if value.__class__ is not str:
            return plainly(event)
        folded = value.casefold()
        for cased, needle, matches, source in tests:
            text = value if cased else folded
            if needle in text and matches(text):
                shown = value if len(value) <= MAX_SHOWN else shorten(value, MAX_SHOWN)
                return Reason("field", label, True, _NOTHING, name, shown, source)
        return None

    return because


def _every(item: Item, texts: list[Text], slot: tuple[str, ...], plainly: Because) -> Because:
    tests = [(p.cased, p.glob.matches, p.source) for p in texts]
    label = item.label

    def because(event: Event) -> Reason | None:
        name, value = _value(event, slot)
        if value.__class__ is not str:
            return plainly(event)
        folded = value.casefold()
        shown = shorten(value, MAX_SHOWN)
        leaves = []
        for cased, matches, source in tests:
            if not matches(value if cased else folded):
                return None
            leaves.append(Reason("field", label, True, _NOTHING, name, shown, source))
        return Reason("and", label, True, tuple(leaves))

    return because
