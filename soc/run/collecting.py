"""Collecting by hand: files and streams to events, and into the store."""

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, tzinfo
from itertools import islice
from pathlib import Path

from collectors.packets.reading import is_capture_file
from collectors.reading import Mode, Progress, Span, read_file, spans
from soc.errors import InputError, SocError
from soc.model.event import Event
from soc.store.base import Store, Verdict

BATCH = 1000


@dataclass(frozen=True, slots=True)
class Reading:
    """How files are to be read."""

    received: datetime
    zone: tzinfo
    observer: str
    unit: str = ""
    parser: str | None = None
    mode: Mode = "auto"


def files_in(paths: Sequence[Path], problem: Callable[[SocError], None]) -> list[Path]:
    """Return the files that paths name: a folder stands for every file in it, at any depth.

    What cannot be looked into is told: what lies there may be what was looked for.
    """
    found: list[Path] = []
    for path in paths:
        try:
            found += _inside(path, problem) if path.is_dir() else [path]
        except OSError as error:
            problem(_closed(error))
    return found


def _inside(folder: Path, problem: Callable[[SocError], None]) -> list[Path]:
    closed: list[OSError] = []
    found: list[Path] = []
    for place, _folders, names in os.walk(folder, onerror=closed.append):
        for name in names:
            path = Path(place, name)
            try:
                found += [path] if path.is_file() else []
            except OSError as error:
                closed.append(error)
    for reason in closed:
        problem(_closed(reason))
    if not found and not closed:
        raise InputError("there is no file in the folder", where=str(folder))
    return sorted(found)


def _closed(error: OSError) -> InputError:
    return InputError(
        f"cannot be looked into: {error.strerror}",
        where=os.fsdecode(error.filename or ""),
        hint="check the permissions",
    )


def read_all(
    paths: Iterable[Path],
    how: Reading,
    *,
    problem: Callable[[SocError], None],
    advance: Callable[[int], None] = lambda done: None,
    capture: Callable[[Path, Progress], Iterator[Event]] | None = None,
    span: Span | None = None,
) -> Iterator[Event]:
    """Yield the events of files in their order; a file that cannot be read is told and skipped.

    `advance` is told how many bytes more have been read; `capture` reads captures of packets. Of
    a `span` only that part of the one file is read.
    """
    for path in paths:
        try:
            if capture and how.parser is None and is_capture_file(path):
                yield from capture(path, _steps(advance))
            else:
                yield from _log_file(path, how, _steps(advance), span)
        except InputError as error:
            problem(error)


def _log_file(path: Path, how: Reading, progress: Progress, span: Span | None) -> Iterator[Event]:
    return read_file(
        path,
        span=span,
        received=how.received,
        observer=how.observer,
        unit=how.unit,
        zone=how.zone,
        parser=how.parser,
        mode=how.mode,
        progress=progress,
    )


def parts_of(path: Path, how: Reading, size: int) -> list[Span | None]:
    """Return parts of a file that can be read apart, `None` for the whole of it."""
    try:
        if how.parser is None and is_capture_file(path):
            return [None]
        return [*spans(path, size, parser=how.parser, mode=how.mode)] or [None]
    except InputError:  # who reads the file says so
        return [None]


def _steps(advance: Callable[[int], None]) -> Progress:
    done = 0

    def moved(now_done: int, _total: int) -> None:
        nonlocal done
        advance(now_done - done)
        done = now_done

    return moved


@dataclass(slots=True)
class Stored:
    """What became of the events of an import; events = created + duplicate + rejected."""

    created: int = 0
    duplicate: int = 0
    rejected: list[Verdict] = field(default_factory=list)

    def count(self, verdict: Verdict) -> None:
        """Count one verdict."""
        if verdict.outcome == "created":
            self.created += 1
        elif verdict.outcome == "duplicate":
            self.duplicate += 1
        else:
            self.rejected.append(verdict)


def store_all(events: Iterable[Event], store: Store, clock: Callable[[], datetime]) -> Stored:
    """Append events in batches; a second import of the same file stores nothing anew."""
    stored = Stored()
    rest = iter(events)
    while batch := list(islice(rest, BATCH)):
        for verdict in store.append(batch, now=clock()):
            stored.count(verdict)
    return stored
