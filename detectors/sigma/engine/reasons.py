"""Reasons of rules that are known to match, made by functions prepared once for each rule.

An event is only asked which lines matched, by which of their patterns, and for the values; the
same answer has the same form of reason, which the reference makes once. Whatever is not plain text
under a field is left to the reference, line by line. What a match excludes is not looked at again.
"""

from collections.abc import Callable
from typing import Any, Final

from detectors.sigma import evaluate
from detectors.sigma.evaluate import MAX_LISTED, MAX_SHOWN, Names
from detectors.sigma.patterns import Text
from detectors.sigma.rule import Condition, Group, Item, Rule
from detectors.sigma.text import Glob
from detectors.sigma.values import View, text_of
from soc.model.event import Event
from soc.model.finding import about
from soc.model.reason import Form, Reason, Told
from soc.text import shorten

Because = Callable[[Event], Reason | Told | None]
_Step = Callable[[Event, list[Any], list[Any]], bool]
"""Event, marks, values -> whether it holds; appends how it holds, and the values of that."""
_Steps = list[_Step]
"""Steps of which all must hold."""
MAX_FORMS: Final = 256
"""Forms that are remembered of a rule."""


def prepared(rule: Rule, names: Names) -> Because:
    """Return a function that explains why the rule matches an event on which it does."""
    steps = _condition(rule.condition, rule, names, sure=True)
    forms: dict[tuple[Any, ...], Form] = {}
    fixed = about(rule.info)

    def because(event: Event) -> Reason | Told | None:
        marks: list[Any] = []
        values: list[Any] = []
        for step in steps:
            if not step(event, marks, values):
                return None
        key = tuple(marks)
        form = forms.get(key)
        if form is not None:
            return Told(form, values)
        tree = evaluate.because_condition(rule.condition, rule, View(event), names)
        if tree is not None:
            if len(forms) >= MAX_FORMS:
                forms.clear()
            forms[key] = Form(tree.open(), fixed)
        return tree

    return because


def _condition(node: Condition, rule: Rule, names: Names, *, sure: bool) -> _Steps:
    if node.kind == "selection":
        return _selection(rule.selections[node.label], names, sure=sure)
    if node.kind == "not":
        return [] if sure else [_excluded(node, rule, names)]
    alone = node.kind == "and" or len(node.children) == 1
    found = [_condition(child, rule, names, sure=sure and alone) for child in node.children]
    return [step for steps in found for step in steps] if alone else [_some(found)]


def _excluded(node: Condition, rule: Rule, names: Names) -> _Step:
    def step(event: Event, marks: list[Any], values: list[Any]) -> bool:
        return evaluate.because_condition(node, rule, View(event), names) is not None

    return step


def _selection(node: Group | Item, names: Names, *, sure: bool) -> _Steps:
    if isinstance(node, Item):
        return _item(node, names, sure=sure)
    alone = node.kind == "and" or len(node.children) == 1
    found = [_selection(child, names, sure=sure and alone) for child in node.children]
    return [step for steps in found for step in steps] if alone else [_some(found)]


def _some(children: list[_Steps]) -> _Step:
    """Return the step of `or`: the numbers of the first children that hold, then -1."""

    def step(event: Event, marks: list[Any], values: list[Any]) -> bool:
        left = MAX_LISTED
        for number, steps in enumerate(children):
            before, taken = len(marks), len(values)
            marks.append(number)
            for one in steps:
                if not one(event, marks, values):
                    del marks[before:], values[taken:]
                    break
            else:
                left -= 1
                if not left:
                    break
        marks.append(-1)
        return left < MAX_LISTED

    return step


def _item(item: Item, names: Names, *, sure: bool) -> _Steps:
    def plainly(event: Event, marks: list[Any], values: list[Any]) -> bool:
        found = evaluate.because_item(item, View(event), names)
        if found is None:
            return False
        marks.append(found.open())
        values.extend(found.values())
        return True

    if item.negated and sure:
        return []
    texts = [p for p in item.patterns if isinstance(p, Text)]
    if item.field is None or item.negated or len(texts) != len(item.patterns):
        return [plainly]
    slot = names(item.field)
    test = None
    if not sure or (len(texts) > 1 and not item.every):
        test = _all(texts) if item.every else _first(texts)
    return [_line(slot, test, len(texts) if item.every else 1, plainly)]


_Test = Callable[[str], int]
"""Text -> the number of the pattern that it fits first, negative for none."""


def _first(texts: list[Text]) -> _Test:
    tests = [(n, p.cased, p.needle, _rest(p.glob)) for n, p in enumerate(texts)]

    def test(text: str) -> int:
        folded = text.casefold()
        for number, cased, needle, matches in tests:
            own = text if cased else folded
            if needle in own and (matches is None or matches(own)):
                return number
        return -1

    return test


def _rest(glob: Glob) -> Callable[[str], bool] | None:
    """Return what is left to ask of a text that holds the needle, None for nothing."""
    parts = [part for part in (glob.head, *glob.middle, glob.tail) if part is not None]
    if len(parts) != 1 or parts[0].regex is not None:
        return glob.matches
    needle = glob.needle
    if glob.whole:
        return needle.__eq__
    if glob.tail is not None:
        return lambda text: text.endswith(needle)
    return None if glob.head is None else lambda text: text.startswith(needle)


def _all(texts: list[Text]) -> _Test:
    tests = [(p.cased, p.glob.matches) for p in texts]

    def test(text: str) -> int:
        folded = text.casefold()
        return 0 if all(matches(text if cased else folded) for cased, matches in tests) else -1

    return test


def _line(slot: tuple[str, ...], test: _Test | None, shown: int, plainly: _Step) -> _Step:
    """Return the step of a line of plain text whose value the reason shows so often."""
    only = slot[0] if len(slot) == 1 else None

    def step(event: Event, marks: list[Any], values: list[Any]) -> bool:
        value: Any
        if only is not None:
            value = event.get(only)
        else:
            name, value = _value(event, slot)
            marks.append(name)
        kind = value.__class__
        if kind is not str and kind is not int and kind is not bool:
            return plainly(event, marks, values)
        if test is not None:
            number = test(value if kind is str else text_of(value))
            if number < 0:
                return False
            marks.append(number)
        if kind is str and len(value) > MAX_SHOWN:
            value = shorten(value, MAX_SHOWN)
        values.extend((value,) * shown) if shown > 1 else values.append(value)
        return True

    return step


def _value(event: Event, slot: tuple[str, ...]) -> tuple[str, Any]:
    for name in slot:
        value = event.get(name)
        if value is not None:
            return name, value
    return slot[0], None
