"""TOML files that know in which line each key stands."""

import re
import tomllib
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Any, Final

from soc.errors import ContentError

Key = tuple[str | int, ...]
MAX_BYTES: Final = 1 << 20

# What may hide a line break or a bracket (strings, comments), then brackets, then line breaks.
_TOKEN: Final = re.compile(
    r'"""(?:\\.|(?!""").)*"{3,5}'
    r"|'''(?:(?!''').)*'{3,5}"
    r'|"(?:\\.|[^"\\\n])*"'
    r"|'[^'\n]*'"
    r"|#[^\n]*"
    r"|[\[\]{}\n]",
    re.DOTALL,
)
_LINE: Final = re.compile(r"\(at line (\d+)")


class TomlFile:
    """A TOML file, read whole. Raises ContentError with the line when it is not valid."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._text = _read(path)
        try:
            self.values: dict[str, Any] = tomllib.loads(self._text)
        except tomllib.TOMLDecodeError as error:
            found = _LINE.search(str(error))
            line = int(found[1]) if found else self._text.count("\n") + 1
            message = str(error).partition(" (at ")[0]
            raise ContentError(
                f"not valid TOML: {message}",
                where=f"{path}:{line}",
                hint="https://toml.io/en/v1.0.0",
            ) from None
        except RecursionError:
            raise ContentError("nested too deeply", where=str(path)) from None

    def place(self, key: Key) -> str:
        """Return `path:line` of a key, or of the table that holds it."""
        for length in range(len(key), 0, -1):
            if line := self._lines.get(key[:length]):
                return f"{self.path}:{line}"
        return str(self.path)

    @cached_property
    def _lines(self) -> dict[Key, int]:
        """Keys and the lines they stand in; elements of arrays of tables have their number."""
        lines: dict[Key, int] = {}
        counts: dict[Key, int] = {}
        table: Key = ()
        for line, statement in _statements(self._text):
            value = tomllib.loads(statement)
            if not statement.startswith("["):
                for key in _keys(value):
                    lines.setdefault(table + key, line)
                continue
            *parents, last = _header(value)
            table = ()
            for name in parents:
                table = _inside((*table, name), counts)
            table = (*table, last)
            if statement.startswith("[["):
                counts[table] = counts.get(table, 0) + 1
            table = _inside(table, counts)
            lines.setdefault(table, line)
        return lines


def _read(path: Path) -> str:
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise ContentError(f"cannot be read: {error.strerror}", where=str(path)) from error
    if len(raw) > MAX_BYTES:
        raise ContentError(f"larger than {MAX_BYTES} bytes", where=str(path))
    try:
        return raw.decode("utf-8-sig").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        raise ContentError("not UTF-8", where=f"{path}:{line}", hint="save it as UTF-8") from None


def _statements(text: str) -> Iterator[tuple[int, str]]:
    """Yield the headers and assignments of valid TOML with the line each begins in."""
    depth = start = 0
    line = begins = 1
    for token in _TOKEN.finditer(text + "\n"):
        word = token[0]
        if word in "[{":
            depth += 1
        elif word in "]}":
            depth -= 1
        line += word.count("\n")
        if word == "\n" and depth == 0:
            statement = text[start : token.start()].strip()
            if statement and not statement.startswith("#"):
                yield begins, statement
            start, begins = token.end(), line


def _keys(value: Any, prefix: Key = ()) -> Iterator[Key]:  # noqa: ANN401 - any TOML value
    """Yield the keys of one assignment: dotted ones, and those of inline tables."""
    if isinstance(value, dict):
        for name, inner in value.items():
            yield (*prefix, name)
            yield from _keys(inner, (*prefix, name))
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            yield from _keys(inner, (*prefix, number))


def _header(value: Any) -> list[str]:  # noqa: ANN401
    """Return the parts of a table's name: `[a.b]` alone is {"a": {"b": {}}}."""
    parts: list[str] = []
    while value:
        if isinstance(value, list):
            value = value[0]
        else:
            name, value = next(iter(value.items()))
            parts.append(name)
    return parts


def _inside(table: Key, counts: dict[Key, int]) -> Key:
    """Return the place inside the last element, where the table is an array of tables."""
    return (*table, counts[table] - 1) if table in counts else table
