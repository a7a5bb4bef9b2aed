"""Reading by hand: a file or a stream to events, without a spool.

The content's SHA-256 is the key of the event ids, so that a second import, a renamed copy or a
packed one yields the same ids.
"""

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from itertools import pairwise
from pathlib import Path
from typing import Any, BinaryIO, Final, Literal, cast

import orjson

from collectors import parsing
from collectors.content import Content, Opened, recoded
from collectors.frame import Frame, Source
from collectors.framing import by_name, chunks
from collectors.framing.lines import LineCutter
from collectors.normalise import Normaliser
from collectors.parsing import Parser
from collectors.recognise import HEAD, cut, recognise, reframed
from soc.errors import InputError
from soc.model.event import REQUIRED, Event, flatten
from soc.text import of_path

Mode = Literal["auto", "raw", "events"]
Progress = Callable[[int, int], None]

_EVENT_MARKS: Final = ("ecs.version", "event.id")
_PROGRESS_EVERY: Final = 1000  # frames


@dataclass(frozen=True, slots=True)
class Span:
    """Whole lines of a file, from one byte to another; `key` is the digest of the whole file."""

    start: int
    stop: int
    key: bytes


def spans(path: Path, size: int, *, parser: str | None = None, mode: Mode = "auto") -> list[Span]:
    """Return ranges of about this many bytes, in order; none when it must be read as a whole.

    Only a plain file that is read by lines can be split. Raises InputError for what cannot be read.
    """
    opened = Opened(path)
    try:
        if opened.size <= size or not opened.plain:
            return []
        content = Content(opened.pieces(), HEAD)
        if not _Reader(Source(b""), content.head, parser, mode).by_lines:
            return []
        cuts = dict.fromkeys(opened.line_after(at) for at in range(size, opened.size, size))
        edges = [0, *(cut for cut in cuts if cut < opened.size), opened.size]
        key = _digest(opened)
        return [Span(start, stop, key) for start, stop in pairwise(edges)]
    finally:
        opened.close()


def _digest(opened: Opened) -> bytes:
    key = hashlib.sha256()
    for piece in opened.pieces():
        key.update(piece)
    return key.digest()


def read_file(
    path: Path,
    *,
    span: Span | None = None,
    received: datetime,
    observer: str = "",
    unit: str = "",
    zone: tzinfo = UTC,
    parser: str | None = None,
    mode: Mode = "auto",
    progress: Progress | None = None,
) -> Iterator[Event]:
    """Yield the events of a log file, plain or gzip; its kind is recognised or given by `parser`.

    A file of Events (`soc` wrote it) is passed through in the modes "auto" and "events".
    `progress` is told bytes done and bytes in all. Of a `span` of the file only that is read, with
    the same events as in the whole. Raises InputError for what cannot be read, and
    for a damaged packed file after the events of its readable part.
    """
    opened = Opened(path)
    try:
        key = span.key if span else _digest(opened)
        source = Source(key, "", of_path(str(path)), observer, unit, zone)
        content = Content(recoded(opened.pieces()), HEAD)
        reader = _Reader(source, content.head, parser, mode)
        whole = cast(BinaryIO, content)
        frames = _lines(opened, span) if span else reader.frames(whole)
        for count, frame in enumerate(frames):
            if progress and count % _PROGRESS_EVERY == 0:
                progress(opened.done, opened.size)
            yield from reader.events(frame, received)
        if progress:
            progress(opened.size, opened.size)
        if opened.problem:
            raise InputError(
                f"the packed file is {opened.problem}; what came before has been read",
                where=str(path),
                hint="get a new copy of it",
            )
    finally:
        opened.close()


def _lines(opened: Opened, span: Span) -> Iterator[Frame]:
    cutter = LineCutter(span.start)
    for piece in opened.part(span.start, span.stop):
        yield from cutter.feed(piece)
    if last := cutter.rest():
        yield last


def read_stream(
    stream: BinaryIO,
    *,
    clock: Callable[[], datetime],
    key: bytes,
    name: str = "stdin",
    observer: str = "",
    unit: str = "",
    zone: tzinfo = UTC,
    parser: str | None = None,
    mode: Mode = "auto",
) -> Iterator[Event]:
    """Yield the events of a stream as they come; its first line decides what it holds.

    `key` makes the event ids: two streams of the same key and name have the same ids.
    """
    head = _first_line(stream)
    reader = _Reader(Source(key, name, "", observer, unit, zone), head, parser, mode)
    joined = Content(_joined(head, stream), 0)
    for frame in reader.frames(cast(BinaryIO, joined)):
        yield from reader.events(frame, clock())


def _first_line(stream: BinaryIO) -> bytes:
    """Return what has come when the first line is complete, or enough for recognition."""
    head = b""
    for piece in chunks(stream):
        head += piece
        if b"\n" in head or len(head) >= HEAD:
            break
    return head


def _joined(head: bytes, stream: BinaryIO) -> Iterator[bytes]:
    if head:
        yield head
    yield from chunks(stream)


class _Reader:
    """Knows how a source is cut and what its records mean."""

    def __init__(self, source: Source, head: bytes, parser: str | None, mode: Mode) -> None:
        framing, records = cut(head[:HEAD])
        self._place = source.path or source.name
        passes = parser is None and bool(records) and _event_of(records[0]) is not None
        self._passes = mode == "events" or (mode == "auto" and passes)
        chosen: Parser
        if parser is not None:
            chosen = reframed(parsing.parser(parser), framing)
        elif self._passes:
            chosen = reframed(parsing.parser("json_lines"), framing)
        else:
            chosen = recognise(head[:HEAD], self._place)
        self._framing = chosen.framing
        self._normaliser = Normaliser(source, chosen)

    @property
    def by_lines(self) -> bool:
        """Tell whether every line is a record of its own."""
        return self._framing == "lines"

    def frames(self, stream: BinaryIO) -> Iterator[Frame]:
        """Return the frames, errors naming the source."""
        try:
            yield from by_name(self._framing)(stream)
        except InputError as error:
            error.where = " ".join(filter(None, (self._place, error.where)))
            raise

    def events(self, frame: Frame, received: datetime) -> list[Event]:
        """Return the events of a frame; one that should be an Event and is not is an error."""
        if not self._passes:
            return self._normaliser.events(frame, received)
        event = _event_of(frame.raw.decode("utf-8", "replace"))
        if event is None:
            return [self._normaliser.failed(frame, received, ValueError("this is not an event"))]
        missing = [name for name in REQUIRED if not isinstance(event.get(name), str)]
        if missing:
            error = ValueError(f"the event lacks {', '.join(missing)}")
            return [self._normaliser.failed(frame, received, error)]
        return [event]


def _event_of(record: str) -> Event | None:
    """Return the Event that a line holds, flat; None when it is not one."""
    try:
        document: Any = orjson.loads(record)
    except orjson.JSONDecodeError:
        return None
    if not isinstance(document, dict):
        return None
    event = flatten(document)
    return event if all(isinstance(event.get(name), str) for name in _EVENT_MARKS) else None
