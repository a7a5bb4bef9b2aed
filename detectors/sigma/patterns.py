"""What a rule wants of a value: text, expression, number, network, time part, absence."""

import ipaddress
import operator
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property, lru_cache
from typing import Any, Final, Literal

import re2

from detectors.sigma.text import Glob, Token, parse
from detectors.sigma.text import glob as matcher
from detectors.sigma.values import Value

Operator = Literal["eq", "lt", "lte", "gt", "gte"]
OPERATORS: Final[Mapping[Operator, Callable[[float, float], bool]]] = {
    "eq": operator.eq,
    "lt": operator.lt,
    "lte": operator.le,
    "gt": operator.gt,
    "gte": operator.ge,
}
Unit = Literal["minute", "hour", "day", "week", "month", "year"]
_NUMBER: Final = re.compile(r"[+-]?[0-9]{1,64}(\.[0-9]{1,64})?([eE][+-]?[0-9]{1,2})?")
_MAX_ADDRESS: Final = 64
MAX_REFERENCED: Final = 100
"""Elements of a referenced list that startswith, endswith and contains compare with."""
_MAX_TIMESTAMP: Final = 64


@dataclass(frozen=True)
class Text:
    """Text with wildcards, fitting the whole value; without case unless `cased`.

    `source` is what the rule wrote. `binary`: the text stands for bytes, one character each.
    """

    source: str
    tokens: tuple[Token, ...]
    cased: bool = False
    binary: bool = False

    @cached_property
    def glob(self) -> Glob:
        """Return the matcher; most patterns of a rule set never need theirs."""
        return matcher(self.folded)

    @cached_property
    def needle(self) -> str:
        """Return text that every matching value contains (folded unless `cased`)."""
        return self.glob.needle

    @classmethod
    def of(cls, source: str) -> "Text":
        """Return the pattern of a string in a rule."""
        return cls(source, parse(source))

    @property
    def folded(self) -> tuple[Token, ...]:
        """Return the tokens as they are compared: case-folded unless `cased`."""
        if self.cased:
            return self.tokens
        return tuple(t.casefold() if isinstance(t, str) else t for t in self.tokens)

    @property
    def only(self) -> str | None:
        """Return the one text that fits, without regard to case, None when several do."""
        if not self.tokens:
            return ""
        first, *more = self.tokens
        return first if isinstance(first, str) and not more else None

    def matches(self, value: Value) -> bool:
        """Tell whether the value fits."""
        return self.glob.matches(value.text if self.cased else value.folded)


@dataclass(frozen=True, slots=True)
class Number:
    """A number: equal as a number, or as the text that the rule wrote, without case."""

    source: str
    value: int | float

    def matches(self, value: Value) -> bool:
        """Tell whether the value is this number."""
        raw = value.raw
        if isinstance(raw, int | float) and not isinstance(raw, bool):
            return raw == self.value
        return value.folded in (self.source.casefold(), str(self.value))


@dataclass(frozen=True, slots=True)
class Word:
    """A number, true or false as a keyword: it stands on its own, not inside another word."""

    source: str

    def matches(self, value: Value) -> bool:
        """Tell whether the word stands somewhere in the value."""
        text, word = value.folded, self.source.casefold()
        start = text.find(word)
        while start >= 0:
            end = start + len(word)
            if not _wordlike(text[start - 1 : start]) and not _wordlike(text[end : end + 1]):
                return True
            start = text.find(word, end)
        return False


def _wordlike(char: str) -> bool:
    return char.isalnum() or char == "_"


@dataclass(frozen=True, slots=True)
class Boolean:
    """`true` or `false`, as JSON boolean or as text."""

    source: str
    value: bool

    def matches(self, value: Value) -> bool:
        """Tell whether the value says so."""
        return value.folded == ("true" if self.value else "false")


@dataclass(frozen=True, slots=True)
class Null:
    """The field is absent or null, or an empty list."""

    source: str = "null"


@dataclass(frozen=True, slots=True)
class Exists:
    """The field is there, whatever its value, or is not."""

    source: str
    expected: bool


@dataclass(frozen=True, slots=True)
class FieldRef:
    """The value equals (or starts with, ends with, contains) the value of another field."""

    source: str
    field: str
    how: Literal["equals", "startswith", "endswith", "contains"] = "equals"
    cased: bool = False

    def related(self, values: list[Value], others: list[Value]) -> Iterator[Value]:
        """Yield the values that relate as wanted to any of the other field's values."""
        if self.how == "equals":
            equal = {self._form(other) for other in others}
            yield from (value for value in values if self._form(value) in equal)
            return
        wanted = [self._form(other) for other in others[:MAX_REFERENCED]]
        for value in values:
            if any(self._relates(self._form(value), other) for other in wanted):
                yield value

    def _form(self, value: Value) -> str:
        return value.text if self.cased else value.folded

    def _relates(self, mine: str, other: str) -> bool:
        if self.how == "startswith":
            return mine.startswith(other)
        return mine.endswith(other) if self.how == "endswith" else other in mine


def _options() -> Any:  # noqa: ANN401 - the library has no types
    options = re2.Options()
    options.log_errors = False
    options.never_capture = True  # nobody asks for groups, and finding them takes 100 times longer
    return options


@lru_cache(maxsize=8192)
def _compiled(expression: str) -> Any:  # noqa: ANN401 - the library has no types
    return re2.compile(expression, _options())


@dataclass(frozen=True, slots=True)
class Regex:
    """A regular expression (RE2, linear time) that is searched anywhere in the value, with case."""

    source: str
    flags: str = ""

    @property
    def expression(self) -> str:
        """Return the expression with its flags inside."""
        return f"(?{self.flags}){self.source}" if self.flags else self.source

    def compile(self) -> None:
        """Raise ValueError saying what is wrong with the expression."""
        try:
            _compiled(self.expression)
        except re2.error as error:
            text = error.args[0] if error.args else error
            raise ValueError(text.decode() if isinstance(text, bytes) else str(text)) from error

    def matches(self, value: Value) -> bool:
        """Tell whether the expression is found; `$` also stands before a final line break."""
        search = _compiled(self.expression).search
        raw = value.text.encode("utf-8", "replace")
        return bool(search(raw)) or (raw.endswith(b"\n") and bool(search(raw[:-1])))


Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Address = ipaddress.IPv4Address | ipaddress.IPv6Address


@lru_cache(maxsize=4096)
def _address(text: str) -> Address | None:
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address


@dataclass(frozen=True, slots=True)
class Cidr:
    """The value is an address inside this network; ::ffff:a.b.c.d counts as a.b.c.d."""

    source: str
    network: Network

    def matches(self, value: Value) -> bool:
        """Tell whether the value is an address of the network."""
        text = value.text.strip() if len(value.text) <= _MAX_ADDRESS else ""
        address = _address(text)
        return address is not None and address in self.network


@dataclass(frozen=True, slots=True)
class Compare:
    """The value is a number (or text that is one) and smaller or greater than this one."""

    source: str
    operator: Operator
    value: int | float

    def matches(self, value: Value) -> bool:
        """Tell whether the comparison holds."""
        number = _number(value)
        return number is not None and OPERATORS[self.operator](number, self.value)


def _number(value: Value) -> int | float | None:
    raw = value.raw
    if isinstance(raw, bool):
        return None
    if isinstance(raw, int | float):
        return raw
    text = raw.strip() if len(raw) <= 2 * 64 else ""
    found = _NUMBER.fullmatch(text)
    if found is None:
        return None
    return float(text) if found.group(1) or found.group(2) else int(text)


@dataclass(frozen=True, slots=True)
class TimePart:
    """A part of the value's time stamp, as written there (no conversion of zones), compared."""

    source: str
    unit: Unit
    operator: Operator
    value: int | float

    def matches(self, value: Value) -> bool:
        """Tell whether the value is an ISO 8601 time whose part compares as wanted."""
        if len(value.text) > _MAX_TIMESTAMP:
            return False
        try:
            moment = datetime.fromisoformat(value.text.strip())
        except ValueError:
            return False
        part = moment.isocalendar().week if self.unit == "week" else getattr(moment, self.unit)
        return OPERATORS[self.operator](part, self.value)


Pattern = (
    Text | Number | Word | Boolean | Null | Exists | FieldRef | Regex | Cidr | Compare | TimePart
)
