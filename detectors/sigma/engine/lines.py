"""Evaluation of JSON lines: an event is decoded only as far as it takes to rule it out.

First the routing fields, then the fields that the plan scans, then those that its candidates look
at; the whole event only for a finding. Escapes in a line cannot hide text: values are compared
decoded, and lines in which an escape could hide a keyword are decoded as a whole.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, Final

import msgspec
import orjson

from detectors.sigma.engine import routing
from detectors.sigma.engine.access import ABSENT, Values, gather_attributes
from detectors.sigma.engine.formula import Slot
from detectors.sigma.engine.plan import Plan
from detectors.sigma.engine.words import Words, hiding
from soc.model.event import flatten
from soc.model.finding import Finding

if TYPE_CHECKING:
    from detectors.sigma.engine.engine import Engine

_Scalar = int | str | None
Decode = Callable[[bytes], Any]
_UNREAD: Final = (msgspec.MsgspecError, UnicodeDecodeError, orjson.JSONDecodeError)


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
        shape = _Shape(plan.slots)
        self._decode = shape.decode
        self._read = gather_attributes(plan.slots, shape.attribute)

    def judge(
        self,
        lines: Sequence[bytes],
        places: Sequence[int],
        results: list[list[Finding]],
        *,
        worded: bool,
    ) -> list[int]:
        """Put the findings of the lines at some places into `results`.

        Returns the places of those that are not flat. `worded`: whether a keyword may be in one of
        them, or an escape that could hide one.
        """
        plan, decode, read = self.plan, self._decode, self._read
        worded = worded and plan.words is not None
        flat: list[int] = []
        rows: list[Values] = []
        bits: list[int] = []
        whole: list[int] = []
        odd: list[int] = []
        for place in places:
            line = lines[place]
            if worded and (plan.numeric or hiding(line)):
                whole.append(place)
                continue
            try:
                rows.append(read(decode(line)))
            except _UNREAD:
                odd.append(place)
                continue
            flat.append(place)
            if worded:
                bits.append(plan.in_line(line))
        for number, holding in plan.holding(rows, bits or [plan.base] * len(rows)):
            place = flat[number]
            if holding is None:
                whole.append(place)
                continue
            try:
                results[place] = plan.findings(holding, _event(lines[place]))
            except orjson.JSONDecodeError:
                odd.append(place)
        for place in whole:
            try:
                (results[place],) = plan.evaluate((_event(lines[place]),), worded=worded)
            except orjson.JSONDecodeError:
                odd.append(place)
        return odd


def _event(line: bytes) -> dict[str, Any]:
    document: dict[str, Any] = orjson.loads(line)
    if line.count(b"{") > 1 and dict in map(type, document.values()):
        return flatten(document)
    return document


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
        results: list[list[Finding]] = [[] for _ in lines]
        routed: dict[_LinePlan, list[int]] = defaultdict(list)
        for place, line in enumerate(lines):
            try:
                where = key(decode(line))
                try:
                    plan = plans[where]
                except KeyError:
                    plan = self._plan(where, line)
            except _UNREAD:
                results[place] = self._nested(line)
                continue
            if plan is not None:
                routed[plan].append(place)
        worded: dict[Words, list[bytes]] = defaultdict(list)
        for plan, places in routed.items():
            if plan.plan.words is not None:
                worded[plan.plan.words] += [lines[place] for place in places]
        suspect = {words for words, some in worded.items() if words.may_be_in(b"\n".join(some))}
        for plan, places in routed.items():
            maybe = plan.plan.numeric or plan.plan.words in suspect
            for place in plan.judge(lines, places, results, worded=maybe):
                results[place] = self._nested(lines[place])
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
