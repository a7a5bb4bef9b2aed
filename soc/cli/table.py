"""Tables for people: every cell is safe text, widths are bounded, memory too."""

from collections.abc import Mapping, Sequence
from typing import Any, Final, TextIO

from soc.cli.output import Column, cell_text
from soc.cli.terminal import note
from soc.i18n import _
from soc.text import safe, shorten

CHUNK: Final = 500
"""Rows that are laid out together; widths stay as the first chunk had them."""
NARROWEST: Final = 6
"""Characters that a column keeps on a narrow terminal."""
WIDEST: Final = 4096
"""Characters of a cell that `--full` shows at most."""

_COLOURS: Final[Mapping[str, str]] = {
    "critical": "bold red",
    "high": "red",
    "medium": "yellow",
    "low": "cyan",
    "informational": "dim",
}


def level_column() -> Column:
    """Return the column of a rule's level: crit, high, med, low, info, coloured by weight."""
    return Column("rule.level", _("Level"), width=5, show=_short_level, style=_level_style)


def _short_level(value: Any) -> str:  # noqa: ANN401 - a field's value is any JSON value
    short = {
        "critical": _("crit"),
        "high": _("high"),
        "medium": _("med"),
        "low": _("low"),
        "informational": _("info"),
    }
    return short.get(value, cell_text(value)) if isinstance(value, str) else cell_text(value)


def _level_style(value: Any) -> str:  # noqa: ANN401
    return _COLOURS.get(value, "") if isinstance(value, str) else ""


class Table:
    """Collects rows and prints them in chunks; colours only on a terminal."""

    def __init__(
        self, stream: TextIO, columns: Sequence[Column], *, full: bool, colour: bool
    ) -> None:
        from rich.console import Console

        self._columns = columns
        self._full = full
        self._rows: list[Mapping[str, Any]] = []
        self._widths: list[int] = []
        paper = 100_000 if full else 160
        self._console = Console(
            file=stream,
            markup=False,
            emoji=False,
            highlight=False,
            color_system="auto" if colour else None,
            width=None if stream.isatty() else paper,
        )

    def write(self, document: Mapping[str, Any]) -> None:
        """Take a row; print when enough have come together."""
        self._rows.append(document)
        if len(self._rows) >= CHUNK:
            self._print()

    def close(self) -> None:
        """Print the rest; where there was no row at all, say so on stderr."""
        if self._rows:
            self._print()
        elif not self._widths:
            note(_("nothing found"))

    def _print(self) -> None:
        from rich.table import Table as Grid
        from rich.text import Text

        rows = [[self._cell(column, row) for column in self._columns] for row in self._rows]
        first = not self._widths
        if first:
            self._widths = self._measure(rows)
        grid = Grid(box=None, pad_edge=False, show_header=first, header_style="bold")
        for column, width in zip(self._columns, self._widths, strict=True):
            title = Text(safe(column.title))
            if self._full:
                grid.add_column(title, overflow="fold")
            else:
                grid.add_column(title, overflow="ellipsis", no_wrap=True, width=width)
        for row, cells in zip(self._rows, rows, strict=True):
            grid.add_row(*map(self._text, self._columns, cells, [row] * len(cells)))
        self._console.print(grid)
        self._rows.clear()

    def _measure(self, rows: Sequence[Sequence[str]]) -> list[int]:
        """Return the columns' widths: as their cells need, the widest cut until a line fits."""
        from rich.cells import cell_len

        titles = [cell_len(column.title) for column in self._columns]
        widths = [
            min(column.width, max(titles[place], *(cell_len(row[place]) for row in rows)))
            for place, column in enumerate(self._columns)
        ]
        room = self._console.width - 2 * len(widths)
        while sum(widths) > room and max(widths) > NARROWEST:
            widths[widths.index(max(widths))] -= 1
        return widths

    def _cell(self, column: Column, row: Mapping[str, Any]) -> str:
        value = row.get(column.field)
        text = cell_text(value) if column.show is None else column.show(value)
        return safe(shorten(text, WIDEST))

    def _text(self, column: Column, cell: str, row: Mapping[str, Any]) -> Any:  # noqa: ANN401
        from rich.text import Text

        return Text(cell, style=column.style(row.get(column.field)) if column.style else "")
