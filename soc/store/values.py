"""What a stored value means to a query: the one place where text, numbers and addresses compare.

Shared by the parser (the literal in the query), the predicate (the value in the event) and the
index (the token of both), so that the three cannot disagree.
"""

import re
from collections.abc import Callable, Iterator
from functools import cache, lru_cache
from socket import AF_INET, AF_INET6, inet_pton
from typing import Any, Final, Literal

from soc.model.alert import MUTABLE
from soc.model.ecs import lookup, table
from soc.model.event import Event
from soc.model.time import iso, parse_iso

Kind = Literal["keyword", "text", "number", "boolean", "ip", "date", "object"]
Number = int | float

UNSEARCHABLE: Final = ("event.original", "soc.original_base64", "soc.reason")
"""Stored and shown, never searched; what lies below them neither."""

WORDLESS: Final = frozenset({*UNSEARCHABLE, "event.id", *MUTABLE})
"""Fields whose text a bare word does not look at (dates neither)."""

_KINDS: Final[dict[str, Kind]] = {
    **dict.fromkeys(("text", "match_only_text"), "text"),
    **dict.fromkeys(("long", "integer", "short", "byte", "unsigned_long"), "number"),
    **dict.fromkeys(("float", "double", "half_float", "scaled_float"), "number"),
    **dict.fromkeys(("object", "nested", "geo_point"), "object"),
    "boolean": "boolean",
    "ip": "ip",
    "date": "date",
}
_V4_MAPPED: Final = 0xFFFF << 32
_WORD: Final = re.compile(r"\w+")


@lru_cache(maxsize=65536)
def kind(field: str) -> Kind:
    """Return how a field's values compare; unknown fields are keywords."""
    found = lookup(field)
    return _KINDS.get(found.type, "keyword") if found else "keyword"


@cache
def source(field: str) -> str:
    """Return the field that holds the values: `process.command_line` for its multi-field `.text`.

    ECS gives some keywords a second, word by word view; it is not in the document.
    """
    parent = field.removesuffix(".text")
    return parent if parent != field and {field, parent} <= table().keys() else field


@lru_cache(maxsize=65536)
def searchable(field: str) -> bool:
    """Tell whether a field may be named in a query."""
    return not any(field == name or field.startswith(name + ".") for name in UNSEARCHABLE)


def fold(text: str) -> str:
    """Return text as it compares: Unicode case folding, nothing else."""
    return text.casefold()


def words(text: str) -> list[str]:
    r"""Return the words of a text: runs of `\w`, case-folded."""
    return words_of_folded(text.casefold())


words_of_folded: Final[Callable[[str], list[str]]] = _WORD.findall


def text_of(value: Any) -> str:  # noqa: ANN401 - any JSON scalar
    """Return a scalar as the text that a keyword field compares (not folded)."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def number(value: Any) -> Number | None:  # noqa: ANN401
    """Return a scalar as a number (text is read as one), None when it is not; no NaN, no bool.

    A whole float becomes an int, so that equal numbers have one spelling.
    """
    if isinstance(value, bool):
        return None
    if isinstance(value, str):
        value = _number(value)
    if isinstance(value, float):
        if value != value:  # NaN
            return None
        return int(value) if value.is_integer() else value
    return value if isinstance(value, int) else None


def _number(text: str) -> Number | None:
    if len(text) > 64 or "_" in text:
        return None
    for read in (int, float):
        try:
            return read(text)
        except ValueError:
            continue
    return None


def boolean(value: Any) -> bool | None:  # noqa: ANN401
    """Return true or false (also as text, as JSON spells it), None for anything else."""
    if isinstance(value, bool):
        return value
    return {"true": True, "false": False}.get(value) if isinstance(value, str) else None


def address(value: Any) -> int | None:  # noqa: ANN401
    """Return an IP address as a 128-bit number, IPv4 as ::ffff:a.b.c.d; None for anything else."""
    if not isinstance(value, str) or len(value) > 64:
        return None
    try:
        # The C library reads an address in a tenth of `ipaddress`'s time, and as strictly.
        if ":" in value:
            return int.from_bytes(inet_pton(AF_INET6, value))
        return int.from_bytes(inet_pton(AF_INET, value)) | _V4_MAPPED
    except (OSError, ValueError):
        return None


def network(text: str) -> tuple[int, int] | None:
    """Return the lowest and highest address of a CIDR block, None when it is not one."""
    base, slash, length = text.partition("/")
    low = address(base)
    if not slash or low is None or not re.fullmatch(r"[0-9]{1,3}", length, re.ASCII):
        return None
    bits = int(length) + (0 if ":" in base else 96)
    if bits > 128:
        return None
    span = (1 << (128 - bits)) - 1
    return low & ~span, low | span


def instant(value: Any) -> str | None:  # noqa: ANN401
    """Return a date as comparable text (`soc.model.time.iso`), None when it is not one."""
    if not isinstance(value, str):
        return None
    try:
        return iso(parse_iso(value))
    except (ValueError, OverflowError):
        return None


def leaves(event: Event) -> Iterator[tuple[str, Any]]:
    """Yield (dotted path, scalar) of everything in an event, lists and objects in them opened."""
    stack: list[tuple[str, Any]] = list(event.items())
    stack.reverse()
    while stack:
        path, value = stack.pop()
        if isinstance(value, list):
            stack.extend((path, element) for element in reversed(value))
        elif isinstance(value, dict):
            stack.extend((f"{path}.{key}", inner) for key, inner in reversed(value.items()))
        elif value is not None:
            yield path, value


def reader(field: str) -> Callable[[Event], list[Any]]:
    """Return a function from an event to the scalars under a dotted path."""
    name = source(field)
    cuts = [i for i, char in enumerate(name) if char == "."]
    parents = [(name[:i], name[i + 1 :]) for i in cuts]

    def read(event: Event) -> list[Any]:
        value = event.get(name)
        found = [] if value is None else [value]
        if type(value) is list or type(value) is dict:
            found = [leaf for path, leaf in leaves({name: value}) if path == name]
        for parent, rest in parents:
            outer = event.get(parent)
            if type(outer) is list or type(outer) is dict:
                found += _below(outer, rest)
        return found

    return read


def _below(outer: Any, path: str) -> list[Any]:  # noqa: ANN401
    wanted = "." + path
    return [leaf for name, leaf in leaves({"": outer}) if name == wanted]
