"""What an event says under a field name: the values that patterns are compared with."""

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from itertools import accumulate
from typing import Any, Final

from detectors.sigma.text import Glob
from soc.model.event import Event

MAX_ELEMENTS: Final = 10_000
"""Elements of one array that are looked at; more do not fit into any honest record."""
_MAX_BITS: Final = 4_096
_SEPARATOR: Final = "\0"


class Value:
    """One value of an event as text: `text` as it is, `folded` for comparison without case."""

    __slots__ = ("_folded", "raw", "text")

    def __init__(self, raw: str | float | bool) -> None:
        self.raw = raw
        self.text = text_of(raw)
        self._folded: str | None = None

    @property
    def folded(self) -> str:
        """Return the text, case-folded."""
        if self._folded is None:
            self._folded = self.text.casefold()
        return self._folded


def text_of(raw: str | float | bool) -> str:
    """Return a value as Sigma compares it: everything is text, booleans are true and false."""
    if isinstance(raw, bool):
        return "true" if raw else "false"
    if isinstance(raw, int) and raw.bit_length() > _MAX_BITS:
        return hex(raw)  # decimal text of a huge number takes quadratic time
    return raw if isinstance(raw, str) else str(raw)


class Texts:
    """The texts of a long array, looked through once for many patterns instead of once for each."""

    def __init__(self, texts: list[str]) -> None:
        self._texts = texts

    @cached_property
    def joined(self) -> str:
        """Return all texts, one after the other."""
        return _SEPARATOR.join(self._texts)

    @cached_property
    def _set(self) -> frozenset[str]:
        return frozenset(self._texts)

    @cached_property
    def _sorted(self) -> list[str]:
        return sorted(self._texts)

    @cached_property
    def _reversed(self) -> list[str]:
        return sorted(text[::-1] for text in self._texts)

    def any(self, glob: Glob) -> bool | None:
        """Tell whether a pattern fits any text; None when only a look at each can tell."""
        needle = glob.needle
        if glob.simple:
            if glob.whole:
                return needle in self._set
            if glob.head is not None:
                return _begins(self._sorted, needle)
            return _begins(self._reversed, needle[::-1])
        if needle not in self.joined:
            return False
        alone = len(glob.middle) == 1 and glob.head is None and glob.tail is None
        return True if alone and glob.middle[0].regex is None and _SEPARATOR not in needle else None

    def holding(self, needle: str) -> Iterator[int]:
        """Yield the places of the texts that have this text in them (and perhaps of others)."""
        if not needle or _SEPARATOR in needle:
            yield from range(len(self._texts))
            return
        found = self.joined.find(needle)
        while found >= 0:
            place = bisect_right(self._starts, found) - 1
            yield place
            if place + 1 == len(self._starts):
                return
            found = self.joined.find(needle, self._starts[place + 1])

    @cached_property
    def _starts(self) -> list[int]:
        lengths = (len(text) + len(_SEPARATOR) for text in self._texts)
        return list(accumulate(lengths, initial=0))[:-1]


def _begins(ordered: list[str], head: str) -> bool:
    place = bisect_left(ordered, head)
    return place < len(ordered) and ordered[place].startswith(head)


class Field:
    """A field of an event: whether it is there, and its plain values (none when it is null)."""

    def __init__(self, raw: object, *, present: bool = True, deep: bool = False) -> None:
        self.raw = raw
        self.present = present
        if isinstance(raw, str):
            self.items = [Value(raw)]
        else:
            self.items = [Value(item) for item in _distinct(_scalars(raw, deep=deep))]

    def index(self, *, cased: bool) -> Texts:
        """Return the texts of all values, case-folded unless `cased`."""
        return self._as_written if cased else self._folded

    @cached_property
    def _as_written(self) -> Texts:
        return Texts([value.text for value in self.items])

    @cached_property
    def _folded(self) -> Texts:
        return Texts([value.folded for value in self.items])

    @property
    def folded(self) -> str:
        """Return the case-folded text of all values, one after the other."""
        return self._folded.joined


def _distinct(items: Iterator[str | float | bool]) -> Iterator[str | float | bool]:
    seen: set[tuple[type, object]] = set()
    for item in items:
        key = (type(item), item)
        if key not in seen:
            if len(seen) >= MAX_ELEMENTS:
                return
            seen.add(key)
            yield item


def _scalars(raw: object, *, deep: bool) -> Iterator[str | float | bool]:
    """Yield the plain values in order: lists are walked, objects only when `deep`, null is none."""
    stack: list[Any] = [raw]
    while stack:
        node = stack.pop()
        if isinstance(node, str | int | float):
            yield node
        elif isinstance(node, Mapping):
            if deep:
                stack.extend(reversed(list(node.values())))
        elif isinstance(node, Sequence):
            stack.extend(reversed(node))


_ABSENT: Final = Field(None, present=False)


class View:
    """An event as rules see it: fields by name, each looked up once."""

    def __init__(self, event: Event) -> None:
        self.event = event
        self._fields: dict[tuple[str, ...], tuple[str, Field]] = {}

    def field(self, names: tuple[str, ...]) -> tuple[str, Field]:
        """Return the first of these fields that has a value, and its name.

        Without one: the first that is there at all (null, an empty list), else an absent field.
        """
        found = self._fields.get(names)
        if found is None:
            found = self._fields[names] = self._lookup(names)
        return found

    def _lookup(self, names: tuple[str, ...]) -> tuple[str, Field]:
        empty: tuple[str, Field] | None = None
        for name in names:
            raw, present = lookup(self.event, name)
            if raw is not None and raw != []:
                return name, Field(raw)
            if present and empty is None:
                empty = name, Field(raw)
        return empty or (names[0], _ABSENT)

    @cached_property
    def keywords(self) -> Field:
        """Return every value of the record itself, the raw record included."""
        own = [value for name, value in self.event.items() if not is_envelope(name)]
        return Field(own, deep=True)


def lookup(event: Event, name: str) -> tuple[Any, bool]:
    """Return a field's value and whether it is there; `a.b.c` also looks into lists of objects."""
    if name in event:
        return event[name], True
    cut = name.rfind(".")
    while cut > 0:
        inner = event.get(name[:cut])
        if isinstance(inner, list | dict):
            found = list(_inside(inner, name[cut + 1 :]))
            return found, bool(found)
        cut = name.rfind(".", 0, cut)
    return None, False


def _inside(node: Any, path: str) -> Iterator[Any]:  # noqa: ANN401 - any JSON value
    stack: list[tuple[Any, str]] = [(node, path)]
    while stack:
        inner, rest = stack.pop()
        if isinstance(inner, list):
            stack.extend((item, rest) for item in reversed(inner))
        elif isinstance(inner, Mapping):
            if rest in inner:
                yield inner[rest]
                continue
            head, _, tail = rest.partition(".")
            if tail and head in inner:
                stack.append((inner[head], tail))


_OWN_EVENT_FIELDS: Final = frozenset(
    {"event.original", "event.code", "event.provider", "event.reason"}
)


def is_envelope(name: str) -> bool:
    """Tell whether a field was added on the way and is not part of the record."""
    if name.startswith("event."):
        return name not in _OWN_EVENT_FIELDS
    return name in ("@timestamp", "organization.unit", "tags") or name.startswith(
        ("ecs.", "log.", "observer.", "soc.")
    )
