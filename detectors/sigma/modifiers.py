"""The modifiers of Sigma 2.1.0: one small function each, applied in the order written.

A function takes one pattern and what the line says so far, and returns the patterns that replace
it; it raises ModifierError where the specification gives the combination no meaning.
"""

import ipaddress
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import product
from typing import Final, Literal

from detectors.sigma.encoding import ModifierError, base64, base64offset, utf16
from detectors.sigma.patterns import (
    Boolean,
    Cidr,
    Compare,
    Exists,
    FieldRef,
    Network,
    Null,
    Number,
    Operator,
    Pattern,
    Regex,
    Text,
    TimePart,
    Unit,
)
from detectors.sigma.text import DASHES, Token, Wild, joined, parse

Placeholders = Mapping[str, Sequence[str]]
"""Name of a placeholder, without percent signs -> its values, as Sigma strings."""
MAX_PATTERNS: Final = 100_000


@dataclass(frozen=True, slots=True)
class Line:
    """The line of a selection that a modifier stands in: its field and the modifiers before."""

    field: str | None
    before: tuple[str, ...]
    placeholders: Placeholders


Modifier = Callable[[Pattern, Line], list[Pattern]]


def _text(pattern: Pattern, name: str) -> Text:
    if isinstance(pattern, Number | Boolean):
        return Text.of(pattern.source)  # every value is text, as the rule wrote it
    if not isinstance(pattern, Text):
        raise ModifierError(f"`{name}` applies to text, not to {_kind(pattern)}", _QUOTE)
    return pattern


_QUOTE: Final = "put the value in quotes if it is meant as text"
_SURROUND: Final = ("startswith", "endswith", "contains")
_How = Literal["startswith", "endswith", "contains"]


def _kind(pattern: Pattern) -> str:
    return {"Null": "null", "Regex": "a regular expression", "Cidr": "a network"}.get(
        type(pattern).__name__, f"a {type(pattern).__name__.lower()}"
    )


def _first(name: str, line: Line) -> None:
    if line.before:
        raise ModifierError(f"`{name}` must be the first modifier, `{line.before[0]}` is before it")


def _surround(how: _How, pattern: Pattern, line: Line) -> list[Pattern]:
    if any(other in line.before for other in _SURROUND):
        raise ModifierError("startswith, endswith and contains exclude each other")
    if isinstance(pattern, FieldRef):
        return [replace(pattern, how=how)]
    if isinstance(pattern, Regex):
        raise ModifierError(f"`{how}` does not apply to a regular expression", "use ^ and $ in it")
    text = _text(pattern, how)
    head = () if how == "startswith" else (Wild.ANY,)
    tail = () if how == "endswith" else (Wild.ANY,)
    return [replace(text, tokens=joined((*head, *text.tokens, *tail)))]


def _cased(pattern: Pattern, line: Line) -> list[Pattern]:
    if isinstance(pattern, FieldRef):
        return [replace(pattern, cased=True)]
    return [replace(_text(pattern, "cased"), cased=True)]


def _windash(pattern: Pattern, line: Line) -> list[Pattern]:
    text = _text(pattern, "windash")
    if text.binary or "base64" in line.before or "base64offset" in line.before:
        raise ModifierError("windash must come before an encoding")
    tokens: list[Token] = []
    for token in text.tokens:
        chars = token if isinstance(token, str) else (token,)
        tokens.extend(Wild.DASH if char in DASHES_SET else char for char in chars)
    return [replace(text, tokens=joined(tokens))]


DASHES_SET: Final = frozenset(DASHES)


def _re(pattern: Pattern, line: Line) -> list[Pattern]:
    _first("re", line)
    if not isinstance(pattern, Text | Number):
        raise ModifierError(f"`re` applies to text, not to {_kind(pattern)}", _QUOTE)
    return [Regex(pattern.source)]


def _flag(flag: str, pattern: Pattern, line: Line) -> list[Pattern]:
    if not isinstance(pattern, Regex):
        raise ModifierError(f"`{flag}` applies to a regular expression", f"write |re|{flag}")
    return [replace(pattern, flags=pattern.flags + flag)]


def _base64(pattern: Pattern, line: Line) -> list[Pattern]:
    return [*base64(_text(pattern, "base64"))]


def _base64offset(pattern: Pattern, line: Line) -> list[Pattern]:
    return [*base64offset(_text(pattern, "base64offset"))]


def _utf16(codec: str, mark: bool, pattern: Pattern, line: Line) -> list[Pattern]:
    return [utf16(_text(pattern, "utf16"), codec, mark=mark)]


def _compare(operator: Operator, pattern: Pattern, line: Line) -> list[Pattern]:
    if isinstance(pattern, TimePart) and pattern.operator == "eq":
        return [replace(pattern, operator=operator)]
    if not isinstance(pattern, Number):
        raise ModifierError(
            f"`{operator}` applies to a number, not to {_kind(pattern)}", "no quotes around numbers"
        )
    return [Compare(pattern.source, operator, pattern.value)]


_RANGES: Final[Mapping[Unit, tuple[int, int]]] = {
    "minute": (0, 59),
    "hour": (0, 23),
    "day": (1, 31),
    "week": (1, 53),
    "month": (1, 12),
    "year": (1, 9999),
}


def _time_part(unit: Unit, pattern: Pattern, line: Line) -> list[Pattern]:
    _first(unit, line)
    if not isinstance(pattern, Number):
        raise ModifierError(f"`{unit}` applies to a number", "no quotes around numbers")
    low, high = _RANGES[unit]
    if not low <= pattern.value <= high:
        raise ModifierError(f"a {unit} lies between {low} and {high}")
    return [TimePart(pattern.source, unit, "eq", pattern.value)]


def _cidr(pattern: Pattern, line: Line) -> list[Pattern]:
    _first("cidr", line)
    source = _text(pattern, "cidr").source
    try:
        return [Cidr(source, _network(source))]
    except ValueError as error:
        raise ModifierError(f"no network: {error}", "such as 10.0.0.0/8 or 2001:db8::/32") from None


def _network(source: str) -> Network:
    """Return a network; one of mapped addresses (::ffff:a.b.c.d) as IPv4, as addresses are."""
    network = ipaddress.ip_network(source)
    mapped = getattr(network.network_address, "ipv4_mapped", None)
    if mapped is None or network.prefixlen < _MAPPED:
        return network
    return ipaddress.ip_network(f"{mapped}/{network.prefixlen - _MAPPED}")


_MAPPED: Final = 96
"""Bits before the IPv4 address in a mapped one."""


def _exists(pattern: Pattern, line: Line) -> list[Pattern]:
    _first("exists", line)
    if line.field is None:
        raise ModifierError("`exists` needs a field")
    if not isinstance(pattern, Boolean):
        raise ModifierError("`exists` takes true or false", "without quotes")
    return [Exists(pattern.source, pattern.value)]


def _fieldref(pattern: Pattern, line: Line) -> list[Pattern]:
    _first("fieldref", line)
    text = _text(pattern, "fieldref")
    if line.field is None:
        raise ModifierError("`fieldref` needs a field")
    if any(not isinstance(token, str) for token in text.tokens) or not text.tokens:
        raise ModifierError("a field reference is a field's name, without wildcards")
    return [FieldRef(text.source, "".join(map(str, text.tokens)).replace(" ", ""))]


_PLACEHOLDER: Final = re.compile(r"(?<!\\)%([^%]+)%")


def _expand(pattern: Pattern, line: Line) -> list[Pattern]:
    if "re" in line.before or not isinstance(pattern, Text) or pattern.binary:
        raise ModifierError("`expand` applies to plain text")
    if any(name not in _SURROUND for name in line.before):
        raise ModifierError("`expand` comes first, or after startswith, endswith, contains")
    choices: list[Sequence[tuple[Token, ...]]] = []
    for token in pattern.tokens:
        choices.extend(_choices(token, line.placeholders))
    count = 1
    for choice in choices:
        count *= len(choice)
        if count > MAX_PATTERNS:
            raise ModifierError(f"placeholders make more than {MAX_PATTERNS:,} values")
    return [
        replace(pattern, tokens=joined(token for part in parts for token in part))
        for parts in product(*choices)
    ]


def _choices(token: Token, known: Placeholders) -> Iterator[Sequence[tuple[Token, ...]]]:
    if not isinstance(token, str):
        yield [(token,)]
        return
    pieces = _PLACEHOLDER.split(token)
    for index, piece in enumerate(pieces):
        if index % 2 == 0:
            yield [(piece.replace("\\%", "%"),)]
        elif not known.get(piece):
            raise ModifierError(f"placeholder %{piece}% has no values", "give it a list of values")
        else:
            yield [parse(value) for value in known[piece]]


def _same(pattern: Pattern, line: Line) -> list[Pattern]:
    return [pattern]


def _neq(pattern: Pattern, line: Line) -> list[Pattern]:
    if isinstance(pattern, Exists):
        raise ModifierError("`neq` does not apply to exists", "write the other truth value")
    return [pattern]


MODIFIERS: Final[Mapping[str, Modifier]] = {
    "all": _same,
    "neq": _neq,
    "startswith": partial(_surround, "startswith"),
    "endswith": partial(_surround, "endswith"),
    "contains": partial(_surround, "contains"),
    "exists": _exists,
    "cased": _cased,
    "windash": _windash,
    "re": _re,
    "i": partial(_flag, "i"),
    "m": partial(_flag, "m"),
    "s": partial(_flag, "s"),
    "base64": _base64,
    "base64offset": _base64offset,
    "utf16le": partial(_utf16, "utf-16-le", False),
    "wide": partial(_utf16, "utf-16-le", False),
    "utf16be": partial(_utf16, "utf-16-be", False),
    "utf16": partial(_utf16, "utf-16-le", True),
    "lt": partial(_compare, "lt"),
    "lte": partial(_compare, "lte"),
    "gt": partial(_compare, "gt"),
    "gte": partial(_compare, "gte"),
    **{unit: partial(_time_part, unit) for unit in _RANGES},
    "cidr": _cidr,
    "expand": _expand,
    "fieldref": _fieldref,
}
"""Every modifier by name. `all` and `neq` change the line, see `detectors.sigma.detection`."""


def apply(names: Sequence[str], pattern: Pattern, line: Line) -> list[Pattern]:
    """Return the patterns of one value after all modifiers; raise ModifierError."""
    patterns = [pattern]
    for index, name in enumerate(names):
        here = replace(line, before=tuple(n for n in names[:index] if n not in ("all", "neq")))
        if isinstance(pattern, Null) and name != "neq":
            raise ModifierError(
                f"`{name}` does not apply to null", "null means the field is absent"
            )
        patterns = [new for old in patterns for new in MODIFIERS[name](old, here)]
    for final in patterns:
        if isinstance(final, Regex):
            _check(final)
    return patterns


def _check(regex: Regex) -> None:
    try:
        regex.compile()
    except ValueError as error:
        raise ModifierError(
            f"regular expression {regex.source!r}: {error}",
            "RE2 has no lookaround, no backreference and at most 1,000 repetitions",
        ) from error
