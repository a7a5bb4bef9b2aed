"""Fields that the events of a rule's log source do not have, or that nothing maps."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from detectors.sigma.patterns import FieldRef
from detectors.sigma.pipeline import Source
from detectors.sigma.rule import Group, Item, Rule
from soc.model.ecs import lookup

Known = Mapping[str, frozenset[str]]
"""`product/category` -> the names that its events have; what is not listed may have any."""


def known_fields(path: Path) -> Known:
    """Return the table of a file: log source, tab, names."""
    found: dict[str, frozenset[str]] = {}
    common: frozenset[str] = frozenset()
    for line in path.read_text("utf-8").splitlines():
        if not line or line.startswith("#"):
            continue
        source, names = line.split("\t")
        if source == "*":
            common = frozenset(names.split())
        else:
            found[source] = frozenset(names.split()) | common
    return found


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


def unknown(field: str, source: Source, known: Known) -> bool:
    """Tell whether the events of a source never have a field."""
    names = known.get(str(source.logsource))
    return names is not None and field not in names and not _mapped(field, source)


def unmapped(field: str, source: Source) -> bool:
    """Tell whether a field has neither a place in the pipeline nor one in ECS."""
    return not source.prefix and not _mapped(field, source)


def _mapped(field: str, source: Source) -> bool:
    return field in source.fields or lookup(field) is not None


def single(field: str, sources: Sequence[Source]) -> bool:
    """Tell whether a field holds one value at most in the events of all these sources."""
    return bool(sources) and all(
        _one(name) for source in sources for name in source.names(field)[:1]
    )


def _one(name: str) -> bool:
    found = lookup(name)
    return found is not None and not found.array
