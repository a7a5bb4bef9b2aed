"""The one way out for results: documents to a table, JSON, NDJSON or CSV.

    with results(COLUMNS, format, json=json, output=output, fields=fields) as write:
        for event in events:
            write(event)

A document is an event (flat, dotted keys), already nested, or a finding. JSON and NDJSON carry it
as nested ECS; every character that could act on a terminal is escaped, which JSON undoes when it is
read.
"""

import csv
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TextIO

from soc.cli.terminal import is_terminal
from soc.errors import InputError, UsageError
from soc.i18n import _
from soc.text import safe_cell, safe_json

if TYPE_CHECKING:
    from soc.model.finding import Finding

Document = Mapping[str, Any]
Write = Callable[["Document | Finding"], None]


class Format(StrEnum):
    """The ways to print."""

    TABLE = "table"
    JSON = "json"
    NDJSON = "ndjson"
    CSV = "csv"


@dataclass(frozen=True, slots=True)
class Column:
    """A column of tables and CSV files: a field, its title, and for tables its look.

    `width` is the most characters a cell takes without `--full`; `show` turns the value into
    text, `style` into a rich style.
    """

    field: str
    title: str
    width: int = 40
    show: Callable[[Any], str] | None = None
    style: Callable[[Any], str] | None = None


class Renderer(Protocol):
    """Writes documents in one format."""

    def write(self, document: Document) -> None:
        """Write one flat document."""

    def close(self) -> None:
        """Write what belongs at the end."""


def finding_text(finding: "Finding") -> str:
    """Return a finding as `json_text` writes its document, the short way."""
    try:
        return safe_json(finding.as_json().decode())
    except (TypeError, ValueError, RecursionError):
        return json_text(finding.as_document())


def json_text(document: Document) -> str:
    """Return a document as one line of nested JSON without characters that act on a terminal.

    What JSON cannot carry costs the record, not the run: it becomes an `error.message`.
    """
    import orjson

    from soc.model.event import nest

    nested = nest(dict(document))
    try:
        return safe_json(orjson.dumps(nested).decode())
    except (TypeError, ValueError, RecursionError):
        return safe_json(_stubborn(nested))


def _stubborn(nested: dict[str, Any]) -> str:
    import json

    try:  # orjson refuses lone surrogates and numbers beyond 64 bits
        return json.dumps(nested, default=str, allow_nan=False, separators=(",", ":"))
    except (TypeError, ValueError, RecursionError) as error:
        message = f"this record cannot be printed: {type(error).__name__}"
        return json.dumps({"error": {"message": message}}, separators=(",", ":"))


def cell_text(value: Any) -> str:  # noqa: ANN401 - a field's value is any JSON value
    """Return a value for a cell: lists with commas, objects as JSON, nothing for None."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list) and not any(isinstance(element, dict | list) for element in value):
        return ", ".join(map(cell_text, value))
    if isinstance(value, dict | list):
        return json_text({"": value})[4:-1]
    return str(value)


class _Ndjson:
    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, document: Document) -> None:
        self.write_json(json_text(document))

    def write_json(self, text: str) -> None:
        self._stream.write(text + "\n")

    def close(self) -> None:
        pass


class _Json:
    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._before = "[\n"

    def write(self, document: Document) -> None:
        self.write_json(json_text(document))

    def write_json(self, text: str) -> None:
        self._stream.write(self._before + text)
        self._before = ",\n"

    def close(self) -> None:
        self._stream.write("\n]\n" if self._before == ",\n" else "[]\n")


class _Csv:
    def __init__(self, stream: TextIO, columns: Sequence[Column]) -> None:
        self._columns = columns
        self._writer = csv.writer(stream, lineterminator="\n")
        self._writer.writerow(safe_cell(column.field) for column in columns)

    def write(self, document: Document) -> None:
        values = [document.get(column.field) for column in self._columns]
        self._writer.writerow(
            value if type(value) in (int, float) else safe_cell(cell_text(value))
            for value in values
        )

    def close(self) -> None:
        pass


def select(document: Document, fields: Sequence[str]) -> dict[str, Any]:
    """Return the named fields of a flat document, in this order; `source` takes `source.ip` too."""
    return {
        name: value
        for field in fields
        for name, value in document.items()
        if name == field or name.startswith(f"{field}.")
    }


def _names(fields: str | None) -> list[str]:
    return [name for field in (fields or "").split(",") if (name := field.strip())]


def choose(format: Format | None, *, json: bool = False, output: Path | None = None) -> Format:
    """Return the format: as asked, else by the file's ending, else a table for a person."""
    if format is not None and json and format is not Format.JSON:
        raise UsageError(_("--json and --format contradict each other"), hint=_("leave one out"))
    if json or format is not None:
        return format or Format.JSON
    if output is None or str(output) == "-":
        return Format.TABLE if sys.stdout.isatty() else Format.NDJSON
    endings = {f".{known}": known for known in (Format.JSON, Format.NDJSON, Format.CSV)}
    return endings.get(output.suffix.lower(), Format.NDJSON)


@contextmanager
def results(
    columns: Sequence[Column],
    format: Format | None = None,
    *,
    json: bool = False,
    output: Path | None = None,
    fields: str | None = None,
    full: bool = False,
) -> Iterator[Write]:
    """Open the way out; yield the function that writes a document.

    `columns` are those of tables and CSV unless `fields` names others. A file appears whole, when
    the block ends well, or not at all. Raises UsageError when options contradict each other.
    """
    from soc.model.event import flatten
    from soc.model.finding import Finding

    chosen, names = choose(format, json=json, output=output), _names(fields)
    if names:
        known = {column.field: column for column in columns}
        columns = [known.get(name, Column(name, name)) for name in names]
    with target(output) as stream:
        renderer = _renderer(chosen, stream, columns, full)

        def write(document: "Document | Finding") -> None:
            if isinstance(document, Finding):
                if isinstance(renderer, _Ndjson | _Json) and not names:
                    renderer.write_json(finding_text(document))
                    return
                document = document.as_document()
            if names or chosen in (Format.TABLE, Format.CSV):
                document = flatten(document)
            renderer.write(select(document, names) if names else document)

        yield write
        renderer.close()


def _renderer(format: Format, stream: TextIO, columns: Sequence[Column], full: bool) -> Renderer:
    if format is Format.TABLE:
        from soc.cli.table import Table

        return Table(stream, columns, full=full, colour=is_terminal(stream))
    if format is Format.CSV:
        return _Csv(stream, columns)
    return _Json(stream) if format is Format.JSON else _Ndjson(stream)


@contextmanager
def target(output: Path | None) -> Iterator[TextIO]:
    """Yield stdout or a file; a regular file is replaced when the block ends well, else kept."""
    if output is None or str(output) == "-":
        yield sys.stdout
        sys.stdout.flush()
        return
    if output.exists() and not output.is_file():  # a pipe, a device: to be written, not replaced
        with output.open("w", encoding="utf-8", newline="") as stream:
            yield stream
        return
    place = output.resolve()  # through a symbolic link, as `>` would write
    scratch = place.with_name(f".{place.name}.{os.getpid()}")
    try:
        made = scratch.open("x", encoding="utf-8", newline="")
    except OSError as error:
        raise InputError(
            _("no file can be written there: {why}").format(why=error.strerror),
            where=str(output),
            hint=_("take a folder that is there and may be written to"),
        ) from error
    try:
        with made as stream:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        scratch.replace(place)
    finally:
        scratch.unlink(missing_ok=True)
