"""Generated functions that take the values of some slots out of an event.

A slot's value is that of its first field that has one. `ABSENT` stands for none: it is text, so
that values can be joined without a look at each, and is told from text by identity.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from detectors.sigma.engine.formula import Slot
from detectors.sigma.values import text_of

ABSENT: Final = "\x1f\x1fabsent"
Values = tuple[Any, ...]
Getter = Callable[..., Any]
"""`dict.get` of an event."""
Reader = Callable[[Any], Values]


def gather(slots: Sequence[Slot], marks: Sequence[str] = ()) -> Reader:
    """Return a function from an event's `get` to the values of slots, marks between them."""
    lines = ["def read(get):"]
    for index, names in enumerate(slots):
        for place, name in enumerate(names):
            indent = " " if place == 0 else "  "
            if place:
                lines.append(f" if v{index} is None:")
            default = ", ABSENT" if place == len(names) - 1 else ""
            lines.append(f"{indent}v{index} = get({name!r}{default})")
    return _made(lines, slots, marks)


def gather_attributes(
    slots: Sequence[Slot], attribute: Mapping[str, str], marks: Sequence[str] = ()
) -> Reader:
    """Return the same for an object with attributes; `attribute` gives each field's."""
    lines = ["def read(s):"]
    for index, names in enumerate(slots):
        lines.append(f" v{index} = s.{attribute[names[0]]}")
        for name in names[1:]:
            lines.append(f" if v{index} is ABSENT or v{index} is None:")
            lines.append(f"  v{index} = s.{attribute[name]}")
    return _made(lines, slots, marks)


def _made(lines: list[str], slots: Sequence[Slot], marks: Sequence[str]) -> Reader:
    names = [f"v{index}" for index in range(len(slots))]
    if marks:
        texts = [repr(text) for text in marks]
        names = [texts[0], *(one for pair in zip(names, texts[1:], strict=True) for one in pair)]
    lines.append(f" return ({''.join(f'{name}, ' for name in names)})")
    space: dict[str, Any] = {"ABSENT": ABSENT}
    exec(compile("\n".join(lines), "<slots>", "exec"), space)  # noqa: S102 - our own text
    reader: Reader = space["read"]
    return reader


def plain(values: Values) -> tuple[Values, tuple[str, ...]] | None:
    """Return the values with null made absent, and their texts; None when one is no plain value.

    Lists, objects and floats (whose text depends on how they were written) are left to the
    reference.
    """
    raws: list[Any] = []
    texts: list[str] = []
    for value in values:
        kind = type(value)
        if kind is str:
            raws.append(value)
            texts.append(value)
        elif value is None:
            raws.append(ABSENT)
            texts.append(ABSENT)
        elif kind is int or kind is bool:
            raws.append(value)
            texts.append(text_of(value))
        else:
            return None
    return tuple(raws), tuple(texts)


def prefixes(slots: Sequence[Slot]) -> frozenset[str]:
    """Return the keys under which an event could hold a list of objects with one of the fields."""
    found = set()
    for names in slots:
        for name in names:
            cut = name.rfind(".")
            while cut > 0:
                found.add(name[:cut])
                cut = name.rfind(".", 0, cut)
    return frozenset(found)
