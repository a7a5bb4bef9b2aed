r"""Regular expressions: RE2 in any case -> Lucene on folded text.

What is not surely the same (characters beyond ASCII, odd braces, negated classes inside classes)
is not translated: then the server proposes every document that has the field.
"""

import re
from functools import lru_cache
from typing import Final

_CLASSES: Final = {"d": "0-9", "w": "a-z0-9_", "s": "\\\t\\\n\\\f\\\r\\ "}
_PARTS: Final = re.compile(
    r"(?P<escape>\\[\x00-\x7f])|(?P<group>\[\^?\]?(?:\\.|[^\]\\])*\])|(?P<repeat>\{\d+(?:,\d*)?\})"
    r"|(?P<sign>[.?*+|()])|(?P<plain>[^\\\[\]{}^$\x80-\U0010ffff])",
    re.DOTALL,
)
_ITEM: Final = re.compile(r"(\\?[\x00-\x7f])(?:-(\\?[^\]\\]))?", re.DOTALL)
_SIGNS: Final = frozenset('.?+*|{}[]()"\\#@&<>~^$-')


class _Unknown(Exception):
    """A part that has no sure translation."""


@lru_cache(maxsize=256)
def translated(pattern: str) -> str | None:
    """Return the pattern for Lucene (flags NONE), None when it has no sure translation."""
    parts, at = [], 0
    try:
        while at < len(pattern):
            found = _PARTS.match(pattern, at)
            if found is None:
                return None
            parts.append(_part(found))
            at = found.end()
    except _Unknown:
        return None
    return "".join(parts)


def _part(found: "re.Match[str]") -> str:
    if escape := found["escape"]:
        letter = escape[1]
        if letter in _CLASSES:
            return f"[{_CLASSES[letter]}]"
        if letter.lower() in _CLASSES:
            return f"[^{_CLASSES[letter.lower()]}]"
        if letter.isalnum():
            raise _Unknown
        return _literal(letter)
    if group := found["group"]:
        return _group(group)
    if plain := found["plain"]:
        return _literal(plain)
    return found["repeat"] or found["sign"]


def _literal(letter: str) -> str:
    return "\\" + letter if letter in _SIGNS else letter.lower()


def _group(group: str) -> str:
    """Return a class of characters; capitals are as good as small letters."""
    negated = group.startswith("[^")
    body = group[2 if negated else 1 : -1]
    if not body or body[0] == "]" or not body.isascii():
        raise _Unknown
    items, at = [], 0
    while at < len(body):
        found = _ITEM.match(body, at)
        if found is None:
            raise _Unknown
        items.append(_item(found[1], found[2]))
        at = found.end()
    return f"[{'^' if negated else ''}{''.join(items)}]"


def _item(first: str, last: str | None) -> str:
    if len(first) == 2 and first[1].isalnum():
        if last is not None or first[1] not in _CLASSES:
            raise _Unknown
        return _CLASSES[first[1]]
    low = first[-1]
    if last is None:
        return _escaped(low)
    high = last[-1]
    if len(last) == 2 or low > high:
        raise _Unknown
    spans = [(low, high)]
    capitals = max(low, "A"), min(high, "Z")
    if capitals[0] <= capitals[1]:
        spans.append((capitals[0].lower(), capitals[1].lower()))
    return "".join(
        f"\\{a}-\\{b}" if not a.isalnum() else f"{a}-\\{b}" if not b.isalnum() else f"{a}-{b}"
        for a, b in spans
    )


def _escaped(letter: str) -> str:
    return letter.lower() if letter.isalnum() else "\\" + letter
