"""What stands in the inverted index: tokens of a document, and of a query the same ones.

One *exact* token for every (field, value), `user.name=root`: any field's equality is one lookup.
One *word* token for every word of every text, without its field: for bare words and text fields.
The index only proposes; `soc.store.predicate` decides on the document. So tokens may be cut short
and may collide, but a matching document must never be missed: both sides come from this module.
"""

import re
from collections.abc import Callable
from functools import lru_cache
from math import isfinite
from typing import Any, Final

from soc.model.event import Event
from soc.store.predicate import wordy
from soc.store.values import (
    address,
    boolean,
    fold,
    kind,
    leaves,
    number,
    searchable,
    text_of,
    words_of_folded,
)

VALUE_LENGTH: Final = 64
WORD_LENGTH: Final = 40
ID_LENGTH: Final = 24
"""An id's time and 44 random bits: enough to propose one document."""
MAX_TEXT: Final = 1 << 16
OVERFLOW: Final = "="
"""The only token of a document with too much text to index: every query proposes it."""

_BREAKS: Final = re.compile(r"[\x00-\x20\x7f]")
_SCALARS: Final = (str, int, float, bool)
_MAX_FIELDS: Final = 2_000
_CACHE_SIZE: Final = 50_000
_CACHE_VALUE: Final = 200
_UNIQUE: Final = frozenset({"event.id", "message"})


Encode = Callable[[Any], str]


def exact(field: str, text: str) -> str:
    """Return the token of a field's value; `text` is folded."""
    limit = ID_LENGTH if field == "event.id" else VALUE_LENGTH
    token = f"{field[:VALUE_LENGTH]}={text[:limit]}"
    if token.isprintable() and " " not in token:  # a fifth of the time of the expression
        return token
    return _BREAKS.sub("·", token)


def word(text: str) -> str:
    """Return the token of a folded word."""
    return text[:WORD_LENGTH]


def spelled(field: str, value: Any) -> str | None:  # noqa: ANN401 - any JSON scalar
    """Return the one spelling of a field's value that equality looks up; None: none can equal."""
    match kind(field):
        case "number":
            found = number(value)
            return None if found is None else str(found)
        case "boolean":
            truth = boolean(value)
            return None if truth is None else text_of(truth)
        case "ip":
            at = address(value)
            return None if at is None else digits(at)
        case "keyword" | "object":
            return fold(text_of(value))
    return None


def digits(at: int) -> str:
    """Return an address in hexadecimal: a CIDR block is a prefix of it."""
    return f"{at & 0xFFFFFFFF:08x}" if at >> 32 == 0xFFFF else f"{at:032x}"


class Tokens:
    """Turns documents into the text that is indexed; remembers the values that keep coming back.

    Not to be shared by threads.
    """

    def __init__(self) -> None:
        self._fields: dict[str, tuple[Encode, dict[str, str] | None]] = {}
        self._remembered = 0

    def of(self, event: Event) -> str:
        """Return the tokens of an event, separated by spaces; ValueError: a value is not JSON."""
        fields, parts = self._fields, []
        for field, value in event.items():
            if type(value) is list and len(value) == 1:
                value = value[0]
            if type(value) is str:
                encode, known = fields.get(field) or self._meet(field)
                if known is None:
                    parts.append(encode(value))
                elif (part := known.get(value)) is not None:
                    parts.append(part)
                else:
                    parts.append(self._learn(encode, known, value))
            elif type(value) is list or type(value) is dict:
                parts.extend(_encoder(path)(leaf) for path, leaf in leaves({field: value}))
            elif value is not None:
                parts.append(_encoder(field)(value))
        text = " ".join(parts)
        return text if len(text) <= MAX_TEXT else OVERFLOW

    def _meet(self, field: str) -> tuple[Encode, dict[str, str] | None]:
        if len(self._fields) >= _MAX_FIELDS:
            self._fields.clear()
        encode = _encoder(field)
        known: dict[str, str] = {}
        met = (encode, None if encode is _checked or field in _UNIQUE else known)
        self._fields[field] = met
        return met

    def _learn(self, encode: Encode, known: dict[str, str], value: str) -> str:
        part = encode(value)
        if len(value) <= _CACHE_VALUE:
            self._remembered += 1
            if self._remembered > _CACHE_SIZE:  # rather all at once than a queue to keep
                self._fields.clear()
                self._remembered = 0
            known[value] = part
        return part


@lru_cache(maxsize=65536)
def _encoder(field: str) -> Encode:
    """Return the function from a scalar of a field to its tokens; made once a field, for speed."""
    if not searchable(field) or kind(field) == "date":
        return _checked
    by_word = wordy(field)
    plain, numeric = kind(field) == "keyword", kind(field) == "number"

    def encode(value: Any) -> str:  # noqa: ANN401
        if type(value) is not str:
            _checked(value)
            spelling = str(value) if numeric and type(value) is int else spelled(field, value)
            return "" if spelling is None else exact(field, spelling)
        folded = value.casefold()
        spelling = folded if plain else spelled(field, value)
        part = "" if spelling is None else exact(field, spelling)
        if not by_word:
            return part
        found = words_of_folded(folded)
        if len(folded) > WORD_LENGTH:
            found = [word(one) for one in found]
        return f"{part} {' '.join(found)}"

    return encode


def _checked(value: Any) -> str:  # noqa: ANN401
    if type(value) not in _SCALARS or (type(value) is float and not isfinite(value)):
        raise ValueError(f"{value!r:.40} is not a JSON value")
    return ""
