"""A match: what a correlation sees of an event on which a rule matched. Plain JSON values only.

Matches are made where the event is (`Extractor`) and counted elsewhere (`Correlator`): between the
two they can be sorted, stored and sent.
"""

import hashlib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import islice, product
from math import isfinite
from typing import Any, Final

from detectors.sigma.correlation.rule import Correlation
from detectors.sigma.pipeline import Pipelines, Source
from detectors.sigma.rule import Rule
from detectors.sigma.values import View, text_of
from soc.model.event import Event
from soc.model.happened import CARRIED
from soc.model.time import parse_iso

Scalar = str | int | float | bool

MAX_ELEMENTS: Final = 100
"""Elements of a list of an event, and combinations of group values, that are looked at."""
MAX_TEXT: Final = 1024
"""Characters of a value; a longer one is its beginning and a hash of the whole."""
_EXCERPT: Final = ("@timestamp", "ecs.version", "event.id", "event.dataset", *CARRIED)
_NUMBER: Final = re.compile(r"[+-]?[0-9]{1,64}(\.[0-9]{1,64})?([eE][+-]?[0-9]{1,2})?")
_BEYOND: Final = 1 << 63
"""Numbers that JSON does not carry everywhere are kept as text."""
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Match:
    """A rule (or an inner correlation) matched.

    `base`: the rule whose event it was. `time`: microseconds since 1970 at which it counts. `id`:
    what is counted once: the event, or the firing of an inner correlation. `event`: the fields
    that a finding repeats. `fields`: what correlations group by and count. `fired`: false for an
    inner correlation that is still true but does not fire again. `under`: the events, by their ids,
    that an inner correlation rests on beside this one.
    """

    rule: str
    base: str
    time: int
    id: str
    event: Event
    fields: Mapping[str, Sequence[Scalar]]
    fired: bool = True
    under: tuple[str, ...] = ()

    def as_list(self) -> list[Any]:
        """Return the match as plain JSON values."""
        return [
            self.rule,
            self.base,
            self.time,
            self.id,
            self.event,
            dict(self.fields),
            self.fired,
            self.under,
        ]

    @classmethod
    def of(cls, values: Sequence[Any]) -> "Match":
        """Return the match that `as_list` wrote."""
        rule, base, time, identifier, event, fields, fired, under = values
        return cls(rule, base, time, identifier, event, fields, fired, tuple(under))


class Extractor:
    """Makes matches of findings: looks up what the correlations want to know of the event."""

    def __init__(
        self, correlations: Sequence[Correlation], rules: Sequence[Rule], pipelines: Pipelines
    ) -> None:
        known = {rule.id: rule for rule in rules}
        self._wanted: dict[str, tuple[str, ...]] = {}
        self._sources: dict[str, tuple[Source, ...]] = {}
        for identifier, names in wanted(correlations).items():
            if rule := known.get(identifier):
                route = pipelines.route(rule.logsource)
                self._wanted[identifier] = names
                self._sources[identifier] = route.sources if route else ()

    def wants(self, rule_id: str) -> bool:
        """Tell whether a correlation is about this rule."""
        return rule_id in self._wanted

    def match(self, rule_id: str, event: Event) -> Match:
        """Return the match of a rule on an event; ValueError when the event has no time."""
        view = View(event)
        sources = [s for s in self._sources[rule_id] if s.delivers(view)]
        found: dict[str, Sequence[Scalar]] = {}
        for name in self._wanted[rule_id]:
            if values := _values(view, sources, name):
                found[name] = values
        time = event.get("@timestamp")
        if not isinstance(time, str):
            raise ValueError("the event has no @timestamp")
        identifier = str(event.get("event.id", ""))
        return Match(rule_id, rule_id, micros(time), identifier, excerpt(event), found)


def wanted(correlations: Sequence[Correlation]) -> dict[str, tuple[str, ...]]:
    """Return the fields that are needed of each base rule's events, chains included.

    Inner correlations stand before those that refer to them; nothing comes through a parked one.
    """
    bases: dict[str, frozenset[str]] = {}
    found: dict[str, dict[str, None]] = {}
    for one in correlations:
        if one.parked:
            bases[one.id] = frozenset()
            continue
        under = frozenset().union(*(bases.get(rule, frozenset({rule})) for rule in one.rules))
        bases[one.id] = under
        names = dict.fromkeys((*one.group_by, *one.fields))
        for alias, mapping in (one.aliases or {}).items():
            if alias in names:
                names |= dict.fromkeys(mapping.values())
        for rule in under:
            found.setdefault(rule, {}).update(names)
    return {rule: tuple(names) for rule, names in found.items()}


def _values(view: View, sources: Sequence[Source], name: str) -> list[Scalar]:
    for source in sources:
        _, field = view.field(source.names(name))
        if field.items:
            return [_short(value.raw) for value in field.items[:MAX_ELEMENTS]]
    return []


def _short(raw: Scalar) -> Scalar:
    if isinstance(raw, str) and len(raw) > MAX_TEXT:
        digest = hashlib.sha256(raw.casefold().encode("utf-8", "surrogatepass")).hexdigest()
        return f"{raw[:MAX_TEXT]}...{digest[:20]}"
    if isinstance(raw, int) and not -_BEYOND <= raw < _BEYOND:
        return text_of(raw)[:MAX_TEXT]
    if isinstance(raw, float) and not isfinite(raw):
        return text_of(raw)
    return raw


def excerpt(event: Event) -> Event:
    """Return what a finding repeats of an event, long texts cut."""
    found: Event = {name: event[name] for name in _EXCERPT if name in event}
    for name, value in found.items():
        if isinstance(value, str) and len(value) > MAX_TEXT:
            found[name] = value[:MAX_TEXT]
    return found


def micros(timestamp: str) -> int:
    """Return a time stamp as microseconds since 1970; ValueError when it is none."""
    return (parse_iso(timestamp) - _EPOCH) // _MICROSECOND


def groups(one: Correlation, match: Match) -> Iterator[tuple[Scalar, ...]]:
    """Yield the group values of a match; none when a group-by field is absent.

    A list puts the event into the group of each of its elements.
    """
    values = [
        match.fields.get(one.field_of(name, match.rule, match.base), ()) for name in one.group_by
    ]
    yield from islice(product(*values), MAX_ELEMENTS)


def key_of(values: Sequence[Scalar]) -> str:
    """Return values as canonical text: the same text is the same group or counted value.

    Types count (1, "1" and true differ), the case of text does not, 1.0 is 1.
    """
    return json.dumps([_plain(value) for value in values], ensure_ascii=False)


def _plain(value: Scalar) -> Scalar:
    if isinstance(value, str):
        return value.casefold()
    return int(value) if isinstance(value, float) and value.is_integer() else value


def numbers(values: Sequence[Scalar]) -> list[int | float]:
    """Return the numbers among values; decimal text is a number, true and NaN are none."""
    found: list[int | float] = []
    for value in values:
        if isinstance(value, bool):
            continue
        if isinstance(value, str):
            text = value.strip()
            if form := _NUMBER.fullmatch(text):
                found.append(float(text) if form[1] or form[2] else int(text))
        elif isinstance(value, int) or isfinite(value):
            found.append(value)
    return found
