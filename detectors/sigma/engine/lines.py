"""Evaluation of JSON lines: an event is decoded only as far as it takes to rule it out.

First the routing fields, then the fields that the plan scans, then those that its candidates look
at; the whole event only for a finding. Escapes in a line cannot hide text: values are compared
decoded, and lines in which an escape could hide a keyword are decoded as a whole.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

import msgspec
import orjson

from detectors.sigma.engine import routing
from detectors.sigma.engine.access import ABSENT, Reader, gather_attributes
from detectors.sigma.engine.formula import Slot
from detectors.sigma.engine.plan import Plan
from soc.model.event import flatten
from soc.model.finding import Finding

if TYPE_CHECKING:
    from detectors.sigma.engine.engine import Engine

_Scalar = int | str | None
Decode = Callable[[bytes], Any]


class _Shape:
    """A decoder for some fields of a flat JSON object, and readers for slots made of them.

    It raises ValidationError where a field is no plain value, or where the object is nested so
    that a field might be inside.
    """

    def __init__(self, slots: Iterable[Slot]) -> None:
        names = list(dict.fromkeys(name for slot in slots for name in slot))
        tops = {name.partition(".")[0] for name in names if "." in name}
        keys = {f"f{number}": name for number, name in enumerate(names)}
        fields: list[tuple[str, Any, Any]] = [(key, _Scalar, ABSENT) for key in keys]
        for number, name in enumerate(sorted(_parents(names) | tops)):
            if name not in keys.values():
                keys[f"p{number}"] = name
                fields.append((f"p{number}", msgspec.UnsetType, msgspec.UNSET))
        struct = msgspec.defstruct("Fields", fields, rename=keys, gc=False)
        self.decode: Decode = msgspec.json.Decoder(struct).decode
        self.attribute = {name: key for key, name in keys.items()}


def _parents(names: list[str]) -> set[str]:
    found = set()
    for name in names:
        while "." in name:
            name = name.rpartition(".")[0]
            found.add(name)
    return found


class _LinePlan:
    """A plan as it is applied to lines."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self._whole: tuple[Decode, Reader] | None = None
        self._prepare()

    def _prepare(self) -> None:
        plan = self.plan
        self.generation = plan.generation
        shape = _Shape((*plan.scanner.slots, *plan.always_slots))
        self.decode = shape.decode
        self.parts = gather_attributes(plan.scanner.slots, shape.attribute, plan.scanner.marks)
        self.always = gather_attributes(plan.always_slots, shape.attribute)

    def values(self, line: bytes) -> tuple[Any, ...]:
        """Return the values of all slots of the plan."""
        if self._whole is None:
            shape = _Shape(self.plan.slots)
            self._whole = shape.decode, gather_attributes(self.plan.slots, shape.attribute)
        decode, read = self._whole
        return read(decode(line))

    def evaluate(self, line: bytes) -> list[Finding]:
        """Return the findings of a line; raise msgspec's errors for one that is not flat."""
        plan = self.plan
        if self.generation != plan.generation:
            self._prepare()
        fields = self.decode(line)
        found = plan.candidates(self.parts(fields), self.always(fields) if plan.decided else ())
        if found is not None and plan.words is not None:
            found = None if _hiding(line) else found | plan.in_line(line)
        if found is None:
            return plan.evaluate(_event(line))
        if plan.learning:
            plan.learn(self.values(line))
        if not found:
            return []
        holding = plan.holding(found, self.values(line))
        if holding is None:
            return plan.evaluate(_event(line))
        return plan.findings(holding, _event(line)) if holding else []


def _hiding(line: bytes) -> bool:
    r"""Tell whether a line has escapes (`\u`, `\/`) of characters that need none."""
    if b"\\u" not in line and b"\\/" not in line:
        return False
    rest = line.replace(b"\\\\", b"")
    return b"\\u" in rest or b"\\/" in rest


def _event(line: bytes) -> dict[str, Any]:
    document: dict[str, Any] = orjson.loads(line)
    return flatten(document) if dict in map(type, document.values()) else document


class Lines:
    """Evaluates JSON lines with an engine's plans. `unread` counts lines that are no object."""

    def __init__(self, engine: "Engine") -> None:
        self._engine = engine
        self._shape = _Shape(engine.router.slots)
        self._key = gather_attributes(engine.router.slots, self._shape.attribute)
        self._plans: dict[tuple[Any, ...], _LinePlan | None] = {}
        self._by_plan: dict[int, _LinePlan] = {}
        self.unread = 0

    def evaluate(self, lines: Sequence[bytes]) -> list[list[Finding]]:
        """Return the findings of each line."""
        decode, key, plans = self._shape.decode, self._key, self._plans
        results: list[list[Finding]] = []
        for line in lines:
            try:
                found = key(decode(line))
                try:
                    plan = plans[found]
                except KeyError:
                    plan = self._plan(found, line)
                results.append([] if plan is None else plan.evaluate(line))
            except (msgspec.MsgspecError, UnicodeDecodeError):
                results.append(self._nested(line))
        return results

    def _nested(self, line: bytes) -> list[Finding]:
        try:
            document = orjson.loads(line)
        except orjson.JSONDecodeError:
            document = None
        if not isinstance(document, dict):
            self.unread += 1
            return []
        return self._engine.evaluate(flatten(document))

    def _plan(self, key: tuple[Any, ...], line: bytes) -> _LinePlan | None:
        plan = self._engine.plan_of(_event(line))
        if len(self._plans) >= routing.MAX_KEYS or len(self._by_plan) >= routing.MAX_PLANS:
            self._plans.clear()
            self._by_plan.clear()
        found = None
        if plan is not None:
            found = self._by_plan.get(id(plan))
            if found is None:
                found = self._by_plan[id(plan)] = _LinePlan(plan)
        if routing.is_short(key):
            self._plans[key] = found
        return found
