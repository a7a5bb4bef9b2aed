"""Fields that the events of a rule's log source do not have, or that nothing maps."""

import difflib
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from operator import or_
from pathlib import Path
from typing import Final

from detectors.sigma.patterns import FieldRef
from detectors.sigma.pipeline import Source
from detectors.sigma.rule import Group, Item, Rule
from soc.model.ecs import lookup

_NUMBER: Final = re.compile(r"[0-9]+")


@dataclass(frozen=True, slots=True)
class Names:
    """The fields that some events have; where they are not `whole` there may be more.

    `#` in a name stands for any number.
    """

    known: frozenset[str]
    whole: bool = True

    def lack(self, field: str) -> bool:
        """Tell whether the events have no such field, for sure: or one spelt in another case."""
        shapes = {field, _NUMBER.sub("#", field)}
        if shapes & self.known:
            return False
        folded = {name.casefold() for name in self.known}
        return self.whole or any(shape.casefold() in folded for shape in shapes)

    def near(self, field: str) -> str:
        """Return the name that a field was probably meant to be, "" when none is like it."""
        folded = {name.casefold(): name for name in self.known}
        found = difflib.get_close_matches(field.casefold(), folded, n=1, cutoff=0.88)
        return folded[found[0]] if found else ""

    def __or__(self, other: "Names") -> "Names":
        """Return the fields that these or those events have."""
        return Names(self.known | other.known, self.whole and other.whole)


Known = Mapping[str, Names]
"""`product/category` -> the fields of its events; what is not listed may have any.

`product/service:origin` (in small letters) is about the events of one provider, or the audit
records of one type.
"""


def known_fields(path: Path) -> Known:
    """Return the table of a file: log source, tab, names (the head of the file says more)."""
    found: dict[str, Names] = {}
    for line in path.read_text("utf-8").splitlines():
        if line and not line.startswith("#"):
            source, _, names = line.partition("\t")
            mine = found.get(source) or found.get("*") or Names(frozenset())
            for name in names.split():
                mine |= _row(name, found)
            found[source] = mine
    return found


def _row(name: str, found: Known) -> Names:
    if name == "...":
        return Names(frozenset(), whole=False)
    return found[name[1:]] if name.startswith("@") else Names(frozenset({name}))


def items(rule: Rule) -> Iterator[Item]:
    """Yield the lines of all selections."""
    stack: list[Group | Item] = list(rule.selections.values())
    while stack:
        node = stack.pop()
        if isinstance(node, Item):
            yield node
        else:
            stack.extend(reversed(node.children))


def named(item: Item) -> Iterator[str]:
    """Yield the fields that a line is about."""
    if item.field is not None:
        yield item.field
    yield from (one.field for one in item.patterns if isinstance(one, FieldRef))


def names_of(source: Source, origins: Collection[str], known: Known) -> Names | None:
    """Return the fields that the events of a source have, None when they may have any.

    `origins`: the only providers, or record types, that are asked for; none when all are.
    """
    whole = str(source.logsource)
    rows = [known.get(f"{whole}:{one.casefold()}") for one in origins]
    listed = [row for row in rows if row is not None]
    if not listed or len(listed) < len(rows):
        return known.get(whole)
    return reduce(or_, listed)


def unknown(field: str, source: Source, names: Names | None) -> bool:
    """Tell whether the events of a source, which have these names, never have a field."""
    return names is not None and names.lack(field) and not _mapped(field, source)


def unmapped(field: str, source: Source) -> bool:
    """Tell whether a field has neither a place in the pipeline nor one in ECS."""
    return not source.prefix and not _mapped(field, source)


def _mapped(field: str, source: Source) -> bool:
    return field in source.fields or lookup(field) is not None


def single(field: str, sources: Sequence[Source]) -> bool:
    """Tell whether a field holds one value at most in the events of all these sources."""
    return bool(sources) and all(
        _one(name)
        for source in sources
        for name in source.fields.get(field, source.names(field)[:1])
    )


def _one(name: str) -> bool:
    found = lookup(name)
    return found is not None and not found.array
