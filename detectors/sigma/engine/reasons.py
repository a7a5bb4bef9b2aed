"""Findings of rules that are known to match, made by functions written once for each rule.

An event is only asked which lines matched, by which of their patterns, and for the values; the
same answer has the same form of reason, which the reference makes once. Whatever is not plain text
or a number under a field is left to the reference. What a match excludes is not looked at again.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final

from detectors.sigma import evaluate
from detectors.sigma.engine.formula import Slot
from detectors.sigma.engine.predicate import Writer
from detectors.sigma.evaluate import MAX_LISTED, MAX_SHOWN, Names
from detectors.sigma.many import MANY
from detectors.sigma.patterns import Text
from detectors.sigma.rule import Condition, Group, Item, Rule
from detectors.sigma.values import View, text_of
from soc.model.event import Event
from soc.model.finding import Finding, about
from soc.model.reason import Form, Reason, Told
from soc.text import shorten

Report = Callable[[Event], Finding | None]
"""Makes the finding of a rule that is known to match the event."""
MAX_FORMS: Final = 256
"""Forms that are remembered of a rule."""
_Part = Callable[["_Function", int, str], None]
"""Writes a part of a rule into a function, at an indentation, with the statement for failing."""


def prepared(rule: Rule, names: Names) -> Report:
    """Return a function that makes the rule's finding, with its reason, on an event it matches."""
    forms: dict[tuple[Any, ...], Form] = {}
    fixed = about(rule.info)

    def whole(event: Event) -> Finding | None:
        tree = evaluate.because_condition(rule.condition, rule, View(event), names)
        return None if tree is None else Finding(rule.info, (event,), tree)

    def first(event: Event, key: tuple[Any, ...]) -> Finding | None:
        found = whole(event)
        if found is not None:
            if len(forms) >= MAX_FORMS:
                forms.clear()
            forms[key] = Form(found.reason.open(), fixed)
        return found

    parts = _condition(rule.condition, rule, names, sure=True)
    space = {"INFO": rule.info, "forms": forms, "whole": whole, "first": first}
    return _Function(parts, space).report


class _Function:
    """Writes a function and compiles it; `marks` and `values` are what it has to tell so far."""

    def __init__(self, parts: Iterable[_Part], space: dict[str, Any]) -> None:
        self.slots: dict[Slot, int] = {}
        self.writer = Writer(self.slots)
        self.space = self.writer.space
        self.space |= {"Finding": Finding, "Told": Told, "shorten": shorten, "text_of": text_of}
        self.space |= space
        self.lines: list[str] = []
        self.marks: list[str] = []
        self.values: list[str] = []
        for part in parts:
            part(self, 1, "return whole(event)")
        named = [f"n{number}" for slot, number in self.slots.items() if len(slot) > 1]
        body = [
            f" key = ({''.join(f'{mark}, ' for mark in (*named, *self.marks))})",
            " form = forms.get(key)",
            " if form is None: return first(event, key)",
            f" why = Told(form, ({''.join(f'{value}, ' for value in self.values)}))",
            " return Finding(INFO, (event,), why)",
        ]
        text = "\n".join(["def report(event):", *self._reading(), *self.lines, *body])
        exec(compile(text, "<reason>", "exec"), self.space)  # noqa: S102 - our own text
        self.report: Report = self.space["report"]

    def _reading(self) -> list[str]:
        """Return the lines that take values out of the event: raw, as text, folded, shown."""
        lines = [" get = event.get"] if self.slots else []
        for slot, n in self.slots.items():
            lines.append(f" r{n} = get({slot[0]!r})")
            if len(slot) > 1:
                lines.append(f" n{n} = 0")
            for place, name in enumerate(slot[1:], 1):
                lines.append(f" if r{n} is None: n{n} = {place}; r{n} = get({name!r})")
            lines += [
                f" t{n} = r{n}",
                f" if r{n}.__class__ is str:",
                f"  if len(r{n}) > {MAX_SHOWN}: r{n} = shorten(r{n}, {MAX_SHOWN})",
                f" elif r{n} is None: t{n} = A",
                f" elif r{n}.__class__ is int or r{n}.__class__ is bool: t{n} = text_of(r{n})",
                " else: return whole(event)",
            ]
            if n in self.writer.folded:
                lines.append(f" f{n} = t{n}.casefold()")
        return lines

    def slot(self, slot: Slot) -> int:
        """Return the number of a slot."""
        return self.slots.setdefault(slot, len(self.slots))

    def new(self, letter: str) -> str:
        """Return a name that nothing else has."""
        return f"{letter}_{len(self.lines)}"

    def add(self, indent: int, text: str) -> None:
        """Add a line."""
        self.lines.append(" " * indent + text)


def _condition(node: Condition, rule: Rule, names: Names, *, sure: bool) -> list[_Part]:
    if node.kind == "selection":
        return _selection(rule.selections[node.label], names, sure=sure)
    if node.kind == "not":
        return [] if sure else [_excluded(node, rule, names)]
    alone = node.kind == "and" or len(node.children) == 1
    found = [_condition(child, rule, names, sure=sure and alone) for child in node.children]
    return [part for parts in found for part in parts] if alone else [_some(found)]


def _selection(node: Group | Item, names: Names, *, sure: bool) -> list[_Part]:
    if isinstance(node, Item):
        return _item(node, names, sure=sure)
    alone = node.kind == "and" or len(node.children) == 1
    found = [_selection(child, names, sure=sure and alone) for child in node.children]
    return [part for parts in found for part in parts] if alone else [_some(found)]


def _excluded(node: Condition, rule: Rule, names: Names) -> _Part:
    def holds(event: Event) -> bool:
        return evaluate.because_condition(node, rule, View(event), names) is not None

    def part(function: _Function, indent: int, fail: str) -> None:
        function.add(indent, f"if not {function.writer.name(holds)}(event): {fail}")

    return part


def _some(children: list[list[_Part]]) -> _Part:
    """Return the part of `or`: the first children that hold, each by its number and its marks."""

    def part(function: _Function, indent: int, fail: str) -> None:
        marks, values, count = (function.new(letter) for letter in "mvc")
        kept, told = function.marks, function.values
        function.add(indent, f"{marks} = {values} = ()")
        bounded = len(children) > MAX_LISTED
        if bounded:
            function.add(indent, f"{count} = 0")
        for number, parts in enumerate(children):
            function.marks, function.values = [], []
            function.add(indent, f"while {count} < {MAX_LISTED}:" if bounded else "while True:")
            for one in parts:
                one(function, indent + 1, "break")
            own = "".join(f"{mark}, " for mark in function.marks)
            function.add(indent + 1, f"{marks} += ({number}, {own})")
            if function.values:
                own = "".join(f"{value}, " for value in function.values)
                function.add(indent + 1, f"{values} += ({own})")
            if bounded:
                function.add(indent + 1, f"{count} += 1")
            function.add(indent + 1, "break")
        function.add(indent, f"if not {marks}: {fail}")
        function.marks, function.values = [*kept, marks], [*told, f"*{values}"]

    return part


def _item(item: Item, names: Names, *, sure: bool) -> list[_Part]:
    if item.negated and sure:
        return []
    texts = [p for p in item.patterns if isinstance(p, Text)]
    plain = len(texts) == len(item.patterns) and len(texts) < MANY  # it is quick with long lists
    if item.field is None or item.negated or not plain:
        return [_by_reference(item, names)]
    return [_line(names(item.field), texts, every=item.every, sure=sure)]


def _by_reference(item: Item, names: Names) -> _Part:
    def told(event: Event) -> Reason | None:
        return evaluate.because_item(item, View(event), names)

    def part(function: _Function, indent: int, fail: str) -> None:
        tree = function.new("x")
        function.add(indent, f"{tree} = {function.writer.name(told)}(event)")
        function.add(indent, f"if {tree} is None: {fail}")
        function.marks.append(f"{tree}.open()")
        function.values.append(f"*{tree}.values()")

    return part


def _line(slot: Slot, texts: Sequence[Text], *, every: bool, sure: bool) -> _Part:
    """Return the part of a line of plain text."""

    def part(function: _Function, indent: int, fail: str) -> None:
        index = function.slot(slot)
        function.values += [f"r{index}"] * (len(texts) if every else 1)
        if len(texts) > 1 and not every:
            which = function.new("w")
            function.add(indent, f"{which} = -1")
            function.add(indent, "while True:")
            for number, text in enumerate(texts):
                holds = function.writer.texts_of([text], index)
                function.add(indent + 1, f"if {holds}: {which} = {number}; break")
            function.add(indent + 1, "break")
            function.marks.append(which)
            holds = f"{which} >= 0"
        elif sure:
            holds = f"t{index} is not A"
        else:
            holds = " and ".join(function.writer.texts_of([text], index) for text in texts)
        function.add(indent, f"if not ({holds}): {fail}")

    return part
