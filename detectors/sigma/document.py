"""YAML documents with line numbers, bounded: no recursion, no alias bombs, no duplicate keys.

Values follow the core schema of YAML 1.2 (the version that the Sigma specification names): only
`true` and `false` are booleans, `12:30` and `yes` are text. So are digits after a leading zero.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

import yaml
from yaml.events import (
    AliasEvent,
    DocumentEndEvent,
    DocumentStartEvent,
    Event,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
)

MAX_DEPTH: Final = 32
MAX_NODES: Final = 200_000
"""Nodes of a document after every alias has been expanded."""

_INTEGER: Final = re.compile(r"[-+]?(?:0|[1-9][0-9]{0,299})|0o[0-7]{1,100}|0x[0-9a-fA-F]{1,100}")
_FLOAT: Final = re.compile(
    r"[-+]?(?:\.[0-9]{1,300}|(?:0|[1-9][0-9]{0,299})(?:\.[0-9]{0,300})?)(?:[eE][-+]?[0-9]{1,3})?"
)
_CONSTANTS: Final[dict[str, bool | None]] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}


class DocumentError(Exception):
    """What is wrong with a document, at which line (from 1), and what to do about it."""

    def __init__(self, reason: str, line: int, hint: str = "") -> None:
        super().__init__(reason)
        self.reason = reason
        self.line = line
        self.hint = hint


class _TooMuch(DocumentError):
    """The document is larger than any honest one: the rest of the file is not read."""


@dataclass(frozen=True, slots=True)
class Scalar:
    """A single value; `text` is what stands in the file."""

    text: str
    value: str | int | float | bool | None
    line: int


@dataclass(frozen=True, slots=True)
class Sequence:
    """A list."""

    items: list["Value"] = field(default_factory=list)
    line: int = 0


@dataclass(frozen=True, slots=True)
class Mapping:
    """A map; its keys are text, each with the line it stands on."""

    items: dict[str, "Value"] = field(default_factory=dict)
    lines: dict[str, int] = field(default_factory=dict)
    line: int = 0


Value = Scalar | Sequence | Mapping


def documents(text: str) -> Iterator[Value | DocumentError]:
    """Yield each document of a YAML stream that is not empty, or what is wrong with it.

    A document that breaks a rule of ours costs that document; a syntax error, or a document
    beyond the bounds, also what follows it in the file.
    """
    builder: _Builder | None = None
    error: DocumentError | None = None
    events = _events(text)
    for event in events:
        if isinstance(event, DocumentError):
            yield event
        elif isinstance(event, DocumentStartEvent):
            builder, error = _Builder(), None
        elif isinstance(event, DocumentEndEvent) and builder is not None:
            if error is not None:
                yield error
            elif builder.root is not None and not _is_empty(builder.root):
                yield builder.root
        elif builder is not None and error is None:
            try:
                builder.take(event)
            except _TooMuch as problem:
                yield problem
                return
            except DocumentError as problem:
                error = problem


def _is_empty(root: Value) -> bool:
    return isinstance(root, Scalar) and root.value is None


def _events(text: str) -> Iterator[Event | DocumentError]:
    try:
        yield from yaml.parse(text, Loader=yaml.CSafeLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        yield DocumentError(
            f"not valid YAML: {error.problem or error.context}",
            mark.line + 1 if mark else 1,
            "check the indentation and the quotes around this line",
        )
    except yaml.YAMLError as error:
        yield DocumentError(f"not valid YAML: {error}", 1, "save the file as UTF-8 text")


class _Builder:
    """Builds one document from its events; `take` raises DocumentError."""

    def __init__(self) -> None:
        self.root: Value | None = None
        self._open: list[tuple[Sequence | Mapping, str | None]] = []
        self._keys: list[Scalar | None] = []
        self._sizes: list[int] = [0]
        self._anchors: dict[str, tuple[Value, int]] = {}

    def take(self, event: Event) -> None:
        line = _line(event)
        if isinstance(event, ScalarEvent):
            self._add(_scalar(event, line), event.anchor, 1)
        elif isinstance(event, SequenceStartEvent | MappingStartEvent):
            self._begin(event, line)
        elif isinstance(event, SequenceEndEvent | MappingEndEvent):
            closed, anchor = self._open.pop()
            self._keys.pop()
            self._add(closed, anchor, self._sizes.pop() + 1)
        elif isinstance(event, AliasEvent):
            if event.anchor not in self._anchors:
                raise DocumentError(f"alias *{event.anchor} names no complete node", line)
            node, size = self._anchors[event.anchor]
            self._add(node, None, size)

    def _begin(self, event: SequenceStartEvent | MappingStartEvent, line: int) -> None:
        _check_tag(event.tag, line)
        if len(self._open) >= MAX_DEPTH:
            raise _TooMuch(f"nested deeper than {MAX_DEPTH} levels", line)
        if self._open and isinstance(self._open[-1][0], Mapping) and self._keys[-1] is None:
            raise DocumentError("a key must be text", line, "quote it")
        is_list = isinstance(event, SequenceStartEvent)
        node: Sequence | Mapping = Sequence(line=line) if is_list else Mapping(line=line)
        self._open.append((node, event.anchor))
        self._keys.append(None)
        self._sizes.append(0)

    def _add(self, node: Value, anchor: str | None, size: int) -> None:
        self._sizes[-1] += size
        if self._sizes[-1] > MAX_NODES:
            raise _TooMuch(
                f"more than {MAX_NODES:,} values after aliases are expanded",
                node.line,
                "write the values out, in several rules",
            )
        if anchor is not None:
            self._anchors[anchor] = (node, size)
        if not self._open:
            self.root = node
            return
        parent = self._open[-1][0]
        if isinstance(parent, Sequence):
            parent.items.append(node)
        elif (key := self._keys[-1]) is None:
            self._keys[-1] = _key(node, parent)
        else:
            parent.items[key.text] = node
            parent.lines[key.text] = key.line
            self._keys[-1] = None


def _line(event: Event) -> int:
    return event.start_mark.line + 1 if event.start_mark else 1


def _key(node: Value, parent: Mapping) -> Scalar:
    if not isinstance(node, Scalar):
        raise DocumentError("a key must be text", node.line, "quote it")
    if node.text == "<<":
        raise DocumentError("`<<` (merge) is not part of YAML 1.2", node.line, "write it out")
    if node.text in parent.items:
        first = parent.lines[node.text]
        raise DocumentError(
            f"key {node.text!r} stands twice in one map, first at line {first}",
            node.line,
            "only one of them would count: merge them, or make a list of maps",
        )
    return node


def _check_tag(tag: str | None, line: int) -> None:
    if tag not in (
        None,
        "!",
        "tag:yaml.org,2002:str",
        "tag:yaml.org,2002:seq",
        "tag:yaml.org,2002:map",
    ):
        raise DocumentError(f"YAML tag {tag!r} is not used in rules", line, "remove it")


def _scalar(event: ScalarEvent, line: int) -> Scalar:
    _check_tag(event.tag, line)
    text: str = event.value
    if not event.implicit[0] or event.tag is not None:
        return Scalar(text, text, line)
    return Scalar(text, plain(text), line)


def plain(text: str) -> str | int | float | bool | None:
    """Return the value of an unquoted scalar by the core schema of YAML 1.2 (chapter 10.3)."""
    if text in _CONSTANTS:
        return _CONSTANTS[text]
    if _INTEGER.fullmatch(text):
        return int(text, 0 if text[:2] in ("0o", "0x") else 10)
    if _FLOAT.fullmatch(text):
        return float(text)
    return text
