"""Pipelines: which events a log source of Sigma means, and where its fields are.

A file of `rules/pipelines/` lists log sources with the events that deliver them and the names
that Sigma's fields have in these events.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from detectors.sigma.document import DocumentError, Scalar, Value, documents
from detectors.sigma.document import Mapping as Map
from detectors.sigma.document import Sequence as List
from detectors.sigma.load import rule_files
from detectors.sigma.rule import LogSource, Rule
from detectors.sigma.text import Glob, Wild, glob, joined
from detectors.sigma.values import View
from soc.errors import ContentError

_FILE_KEYS: Final = ("title", "description", "logsources", "fields", "prefix")
_ENTRY_KEYS: Final = ("logsource", "events", "fields")
_LOGSOURCE_KEYS: Final = ("product", "category", "service")

FieldTable = Mapping[str, tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class Test:
    """All of these fields must have one of these values (without case; `*` at the ends)."""

    wanted: tuple[tuple[str, tuple[Glob, ...]], ...]

    def holds(self, view: View) -> bool:
        """Tell whether an event passes."""
        return all(self._fits(view, name, globs) for name, globs in self.wanted)

    @staticmethod
    def _fits(view: View, name: str, globs: tuple[Glob, ...]) -> bool:
        _, field = view.field((name,))
        return any(g.matches(value.folded) for value in field.items for g in globs)


@dataclass(frozen=True, eq=False)
class Source:
    """An entry of a pipeline: a log source, the events that deliver it, and its field names."""

    logsource: LogSource
    events: tuple[Test, ...]
    fields: FieldTable
    prefix: str
    where: str

    def delivers(self, view: View) -> bool:
        """Tell whether an event belongs to the log source."""
        return any(test.holds(view) for test in self.events)

    def names(self, field: str) -> tuple[str, ...]:
        """Return the event fields of a Sigma field, the best first."""
        named = self.fields.get(field)
        if named is not None:
            return named
        return (self.prefix + field, field) if self.prefix else (field,)


@dataclass(frozen=True, slots=True)
class Route:
    """The entries that serve a log source."""

    sources: tuple[Source, ...]


class Pipelines:
    """All pipelines together."""

    def __init__(self, sources: Sequence[Source]) -> None:
        self.sources = tuple(sources)

    @classmethod
    def load(cls, paths: Sequence[Path]) -> "Pipelines":
        """Load every pipeline of these files and folders; raise ContentError for any mistake."""
        found: list[Source] = []
        for path in rule_files(paths, _unreadable):
            try:
                found.extend(_file(path))
            except DocumentError as error:
                raise ContentError(
                    error.reason, where=f"{path}:{error.line}", hint=error.hint
                ) from error
        return cls(found)

    @property
    def tested(self) -> tuple[str, ...]:
        """Return the event fields that decide which log source an event belongs to."""
        names = {name for s in self.sources for test in s.events for name, _ in test.wanted}
        return tuple(sorted(names))

    def route(self, logsource: LogSource) -> Route | None:
        """Return the entries that serve a log source, None when there is none."""
        found = tuple(s for s in self.sources if logsource.covers(s.logsource))
        return Route(found) if found else None

    def unserved(self, rules: Sequence[Rule]) -> list[Rule]:
        """Return the rules that never fire because no event source delivers their log source."""
        return [rule for rule in rules if self.route(rule.logsource) is None]


def _unreadable(error: OSError) -> None:
    raise ContentError(f"the folder cannot be read: {error.strerror}", where=str(error.filename))


def _file(path: Path) -> Iterator[Source]:
    try:
        text = path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise DocumentError(f"cannot be read: {error}", 1) from error
    for document in documents(text):
        if isinstance(document, DocumentError):
            raise document
        top = _keys(document, _FILE_KEYS, "a pipeline")
        fields = _fields(top.items.get("fields"))
        prefix = _text(top.items["prefix"], "prefix") if "prefix" in top.items else ""
        entries = _list(top.items.get("logsources"), "logsources", top.line)
        for entry in entries:
            yield _source(entry, fields, prefix, path)


def _source(node: Value, fields: FieldTable, prefix: str, path: Path) -> Source:
    entry = _keys(node, _ENTRY_KEYS, "a log source")
    named = entry.items.get("logsource")
    if named is None:
        raise DocumentError("logsource is missing", entry.line)
    parts = _keys(named, _LOGSOURCE_KEYS, "logsource")
    logsource = LogSource(**{key: _text(value, key) for key, value in parts.items.items()})
    events = _list(entry.items.get("events"), "events", entry.line)
    own = _fields(entry.items.get("fields"))
    return Source(
        logsource=logsource,
        events=tuple(_test(event) for event in events),
        fields={**fields, **own},
        prefix=prefix,
        where=f"{path}:{entry.line}",
    )


def _test(node: Value) -> Test:
    if not isinstance(node, Map) or not node.items:
        raise DocumentError("an entry of events is a map of field: value", node.line)
    wanted = []
    for name, value in node.items.items():
        values = value.items if isinstance(value, List) else [value]
        if not values:
            raise DocumentError(f"{name}: the list is empty", node.lines[name])
        wanted.append((name, tuple(_glob(_text(item, name)) for item in values)))
    return Test(tuple(wanted))


def _glob(text: str) -> Glob:
    return glob(joined(Wild.ANY if char == "*" else char for char in text.casefold()))


def _fields(node: Value | None) -> FieldTable:
    if node is None:
        return {}
    if not isinstance(node, Map):
        raise DocumentError("fields is a map of SigmaName: [event fields]", node.line)
    table = {}
    for name, value in node.items.items():
        names = _list(value, name, node.lines[name])
        table[name.replace(" ", "")] = tuple(_text(item, name) for item in names)
    return table


def _keys(node: Value, allowed: tuple[str, ...], what: str) -> Map:
    if not isinstance(node, Map):
        raise DocumentError(f"{what} is a map", node.line, f"keys: {', '.join(allowed)}")
    for key in node.items:
        if key not in allowed:
            raise DocumentError(
                f"unknown key {key!r} in {what}", node.lines[key], f"keys: {', '.join(allowed)}"
            )
    return node


def _list(node: Value | None, name: str, line: int) -> list[Value]:
    if not isinstance(node, List) or not node.items:
        raise DocumentError(f"{name} must be a list that is not empty", node.line if node else line)
    return node.items


def _text(node: Value, name: str) -> str:
    if not isinstance(node, Scalar) or not node.text:
        raise DocumentError(f"{name} must be text", node.line)
    return node.text
