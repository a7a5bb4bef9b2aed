"""Which fields an event may have, and of which type: the ECS table and our own fields.

`fields/ecs.tsv` is made from Elastic's ECS 9.5 field list (Apache-2.0: names, types and arity);
`fields/own.tsv` lists what we add, with a sentence each. A name ending in `.*` is a family;
`fields/named.tsv` lists those of its members that pipelines and rules name.
"""

import difflib
import ipaddress
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from math import isfinite
from typing import Any, Final

from soc.model.event import REQUIRED, Event
from soc.model.time import iso, parse_iso


@dataclass(frozen=True, slots=True)
class Field:
    """A field's name, Elasticsearch type, whether it is always a list, and what it means."""

    name: str
    type: str
    array: bool
    description: str = ""


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong with one field of an event, and what to do about it."""

    field: str
    expected: str
    got: str
    hint: str

    def __str__(self) -> str:
        """Return one line for a person."""
        return f"{self.field}: expected {self.expected}, got {self.got} | try: {self.hint}"


@cache
def table() -> dict[str, Field]:
    """Return every known field by name; our own additions win over ECS."""
    return {one.name: one for name in ("ecs.tsv", "named.tsv", "own.tsv") for one in _read(name)}


@cache
def named() -> frozenset[str]:
    """Return the members of families that pipelines and rules name."""
    return frozenset(one.name for one in _read("named.tsv"))


def _read(file: str) -> Iterator[Field]:
    for line in (files("soc.model") / "fields" / file).read_text("utf-8").splitlines():
        if line and not line.startswith("#"):
            name, kind, arity, *rest = line.split("\t")
            yield Field(name, kind, arity == "list", rest[0] if rest else "")


@cache
def _families() -> tuple[Field, ...]:
    return tuple(f for f in table().values() if f.name.endswith(".*"))


def lookup(name: str) -> Field | None:
    """Return the field or the family that a name belongs to, None when it is unknown."""
    if found := table().get(name):
        return found
    return next((f for f in _families() if name.startswith(f.name[:-1])), None)


def field_type(name: str) -> str:
    """Return a field's type; unknown fields are keywords, as the store maps them."""
    found = lookup(name)
    return found.type if found else "keyword"


def check(event: Event) -> list[Problem]:
    """Return everything that is wrong with an event; an empty list is the good answer."""
    return [*_missing(event), *_wrong(event)]


def _missing(event: Event) -> Iterator[Problem]:
    for name in REQUIRED:
        if event.get(name) in (None, ""):
            yield Problem(name, "a value", "nothing", "every event has this field")


def _wrong(event: Event) -> Iterator[Problem]:
    for name, value in event.items():
        found = lookup(name)
        if found is None:
            yield Problem(name, "a field of the table", "an unknown name", _nearest(name))
            continue
        if found.array != isinstance(value, list):
            wanted, hint = ("a list", f"[{value!r}]") if found.array else ("one value", "the first")
            yield Problem(name, wanted, type(value).__name__, hint)
            continue
        accepts, expected = _TYPES[found.type]
        for element in value if isinstance(value, list) else [value]:
            if not accepts(element):
                got = f"{type(element).__name__} {str(element)[:40]!r}"
                yield Problem(name, expected, got, f"{found.type} fields hold {expected}")
                break


def _nearest(name: str) -> str:
    close = difflib.get_close_matches(name, table(), n=1)
    return close[0] if close else "add it to soc/model/fields/own.tsv"


def _is_text(value: Any) -> bool:  # noqa: ANN401 - any JSON value may stand in an event
    return isinstance(value, str)


def _is_int(value: Any) -> bool:  # noqa: ANN401
    return isinstance(value, int) and not isinstance(value, bool) and -(2**63) <= value < 2**63


def _is_number(value: Any) -> bool:  # noqa: ANN401
    # NaN and the infinities are no JSON.
    return isinstance(value, int | float) and not isinstance(value, bool) and isfinite(value)


def _is_bool(value: Any) -> bool:  # noqa: ANN401
    return isinstance(value, bool)


def _is_ip(value: Any) -> bool:  # noqa: ANN401
    try:
        ipaddress.ip_address(value)
    except ValueError:
        return False
    return isinstance(value, str) and "%" not in value  # no store takes a zone such as %eth0


def _is_date(value: Any) -> bool:  # noqa: ANN401
    try:
        return isinstance(value, str) and iso(parse_iso(value)) == value
    except ValueError:
        return False


def _is_object(value: Any) -> bool:  # noqa: ANN401
    return isinstance(value, dict)


_TEXT: Final = (_is_text, "text")
_NUMBER: Final = (_is_number, "a number")
_TYPES: Final[dict[str, tuple[Callable[[Any], bool], str]]] = {
    "keyword": _TEXT,
    "constant_keyword": _TEXT,
    "wildcard": _TEXT,
    "text": _TEXT,
    "match_only_text": _TEXT,
    "version": _TEXT,
    "long": (_is_int, "a whole number"),
    "integer": (_is_int, "a whole number"),
    "short": (_is_int, "a whole number"),
    "byte": (_is_int, "a whole number"),
    "unsigned_long": (_is_int, "a whole number"),
    "float": _NUMBER,
    "double": _NUMBER,
    "half_float": _NUMBER,
    "scaled_float": _NUMBER,
    "boolean": (_is_bool, "true or false"),
    "ip": (_is_ip, "an IP address"),
    "date": (_is_date, "UTC as 2026-11-22T08:15:30.000000Z"),
    "object": (_is_object, "an object"),
    "nested": (_is_object, "an object"),
    "flattened": (_is_object, "an object"),
    "geo_point": (_is_object, "an object with lat and lon"),
}
