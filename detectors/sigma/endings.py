"""Texts that end in each other: so many of them would be found at each place of a long run."""

from collections.abc import Iterable
from typing import AnyStr, Final

DEEPEST: Final = 4
"""Texts that may end at one place, each the end of the next one."""


def shallow(texts: Iterable[AnyStr]) -> dict[AnyStr, AnyStr]:
    """Return for each text what is looked for in its place: itself, or another that it ends in.

    That one is there whenever the text is. Else `a`, `aa`, `aaa`, ... would all be found at every
    byte of a long run of `a`.
    """
    found: dict[AnyStr, AnyStr] = {}
    inside: list[AnyStr] = []
    for turned in sorted(text[::-1] for text in texts):
        while inside and not turned.startswith(inside[-1]):
            inside.pop()
        if len(inside) < DEEPEST:
            inside.append(turned)
        found[turned[::-1]] = inside[-1][::-1]
    return found
