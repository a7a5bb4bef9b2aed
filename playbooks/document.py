"""A playbook file as plain JSON values, with the line of everything: YAML or JSON, bounded.

YAML is read as YAML 1.2's core schema reads it (only true and false are booleans, times are
text). Anchors, aliases, tags, doubled keys and a second document are refused: what a person reads
is what is executed.
"""

import re
from dataclasses import dataclass, field
from typing import Any, Final

import yaml
from yaml.events import (
    AliasEvent,
    DocumentEndEvent,
    DocumentStartEvent,
    Event,
    MappingStartEvent,
    ScalarEvent,
    SequenceStartEvent,
    StreamEndEvent,
    StreamStartEvent,
)

from soc.errors import ContentError

MAX_BYTES: Final = 1 << 20
MAX_DEPTH: Final = 16

Path = tuple[str | int, ...]

_INTEGER: Final = re.compile(r"-?(?:0|[1-9][0-9]{0,15})")
_SURROGATE: Final = re.compile("[\ud800-\udfff]")
_CONSTANTS: Final[dict[str, bool | None]] = {"": None, "null": None, "true": True, "false": False}


@dataclass(slots=True)
class Document:
    """The values of a file, and the line (from 1) on which each of them begins."""

    source: str
    values: dict[str, Any]
    lines: dict[Path, int] = field(default_factory=dict)

    def where(self, path: Path = ()) -> str:
        """Return `file:line` of a value, or of the nearest thing around it."""
        while path and path not in self.lines:
            path = path[:-1]
        return f"{self.source}:{self.lines.get(path, 1)}"

    def problem(self, message: str, path: Path = (), hint: str = "") -> ContentError:
        """Return an error about a place in the file."""
        return ContentError(message, where=self.where(path), hint=hint)


def read(text: str, source: str) -> Document:
    """Return the one document of a text; raise ContentError with its line when it is not one."""
    if len(text.encode("utf-8", "surrogatepass")) > MAX_BYTES:
        raise ContentError(f"the file is larger than {MAX_BYTES} bytes", where=source)
    builder = _Builder(Document(source, {}))
    try:
        for event in yaml.parse(text, Loader=yaml.SafeLoader):
            builder.take(event)
    except (yaml.YAMLError, ValueError, OverflowError) as error:  # it converts numbers unchecked
        mark = getattr(error, "problem_mark", None)
        place = f"{source}:{mark.line + 1}" if mark else source
        raise ContentError(
            f"this is not YAML: {getattr(error, 'problem', None) or error}", where=place
        ) from error
    if not isinstance(builder.root, dict):
        raise ContentError("a playbook is a map of keys and values", where=f"{source}:1")
    builder.document.values = builder.root
    return builder.document


class _Builder:
    def __init__(self, document: Document) -> None:
        self.document = document
        self.root: Any = None
        self._open: list[tuple[dict[str, Any] | list[Any], Path]] = []
        self._key: str | None = None
        self._seen = False

    def take(self, event: Event) -> None:
        """Add what an event says."""
        if isinstance(event, DocumentStartEvent):
            if self._seen:
                raise self._wrong(event, "a playbook is one document", "remove the second ---")
            self._seen = True
        elif isinstance(event, StreamStartEvent | StreamEndEvent | DocumentEndEvent):
            pass
        elif isinstance(event, AliasEvent):
            raise self._wrong(event, "aliases are not allowed in a playbook", "write it out")
        elif isinstance(event, ScalarEvent):
            self._scalar(event)
        elif isinstance(event, MappingStartEvent | SequenceStartEvent):
            self._begin(event)
        else:
            self._open.pop()

    def _scalar(self, event: ScalarEvent) -> None:
        self._plain(event)
        if not event.value.isascii() and _SURROGATE.search(event.value):
            raise self._wrong(event, "this is not Unicode text: half of a surrogate pair")
        if self._open and isinstance(self._open[-1][0], dict) and self._key is None:
            container, path = self._open[-1]
            if event.value in container:
                raise self._wrong(event, f"the key {event.value[:80]!r} stands here twice")
            self._key = event.value
            self.document.lines[(*path, event.value)] = _line(event)
            return
        self._put(_value(event), event)

    def _begin(self, event: MappingStartEvent | SequenceStartEvent) -> None:
        self._plain(event)
        if self._open and isinstance(self._open[-1][0], dict) and self._key is None:
            raise self._wrong(event, "a key must be text")
        if len(self._open) >= MAX_DEPTH:
            raise self._wrong(event, f"nested deeper than {MAX_DEPTH} levels")
        container: dict[str, Any] | list[Any] = {} if isinstance(event, MappingStartEvent) else []
        path = self._put(container, event)
        self._open.append((container, path))

    def _put(self, value: Any, event: Event) -> Path:  # noqa: ANN401 - any JSON value
        if not self._open:
            self.root = value
            return ()
        container, path = self._open[-1]
        if isinstance(container, list):
            place: Path = (*path, len(container))
            container.append(value)
            self.document.lines[place] = _line(event)
            return place
        key = self._key or ""
        container[key] = value
        self._key = None
        return (*path, key)

    def _plain(self, event: Any) -> None:  # noqa: ANN401 - node events share no typed base
        if event.anchor is not None:
            raise self._wrong(event, "anchors are not allowed in a playbook", "write it out")
        if event.tag is not None and event.tag != "!":
            raise self._wrong(event, "tags are not allowed in a playbook", "remove it")

    def _wrong(self, event: Event, message: str, hint: str = "") -> ContentError:
        where = f"{self.document.source}:{_line(event)}"
        return ContentError(message, where=where, hint=hint)


def _line(event: Event) -> int:
    return event.start_mark.line + 1 if event.start_mark else 1


def _value(event: ScalarEvent) -> str | int | bool | None:
    text: str = event.value
    if event.style is not None:
        return text
    if text in _CONSTANTS:
        return _CONSTANTS[text]
    return int(text) if _INTEGER.fullmatch(text) else text
