"""What people see beside the data: notes and progress, on stderr and only as safe text."""

import logging
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import TextIO

from soc.text import safe

Advance = Callable[[int], None]


def note(text: str, *, quiet: bool = False) -> None:
    """Write a line for a person to stderr; where nobody can read it the work goes on."""
    if not quiet:
        with suppress(OSError):  # a file on a full disk, a reader that has gone
            sys.stderr.write(safe(text) + "\n")


class Notes(logging.Handler):
    """Writes the log's lines as notes: one line each, safe to print."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write a record."""
        note(f"{record.levelname.lower()}: {record.getMessage()}")


def is_terminal(stream: TextIO) -> bool:
    """Return whether a person reads this stream on a screen that can move its cursor."""
    return stream.isatty() and os.environ.get("TERM") != "dumb"


@contextmanager
def progress(label: str, total: int | None, *, quiet: bool = False) -> Iterator[Advance]:
    """Show a bar on stderr while the block runs; yield the function that moves it forward.

    `total` is in the unit that the function is called with, None when it is not known. Without a
    terminal, or when results scroll over the same terminal, nothing is shown.
    """
    if quiet or not is_terminal(sys.stderr):
        yield lambda _amount: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn

    text = TextColumn("{task.description}", markup=False)
    console = Console(file=sys.stderr, markup=False, highlight=False, emoji=False)
    share = TaskProgressColumn("{task.percentage:>3.0f}%", markup=False)
    columns = (text, BarColumn(), share, TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task(safe(label), total=total)
        yield lambda amount: bar.advance(task, amount)
