"""From a frame to events: decodes it, has it parsed and adds the envelope every event has."""

import base64
import codecs
import contextlib
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any, Final

from collectors.frame import Context, Frame, Source
from collectors.parsing import Fields, Parser, parsers
from soc.model.event import ECS_VERSION, Event, event_id
from soc.model.time import iso

MAX_SKEW: Final = timedelta(minutes=5)
ENVELOPE: Final = (
    "@timestamp",
    "ecs.version",
    "error.message",
    "event.created",
    "event.dataset",
    "event.id",
    "event.kind",
    "event.original",
    "log.file.path",
    "log.offset",
    "message",
    "observer.name",
    "organization.unit",
    "related.hosts",
    "related.ip",
    "related.user",
    "soc.clock_skew",
    "soc.original_base64",
    "soc.truncated",
)
"""Fields that are set here, on top of what a parser sets."""

_RELATED: Final = (
    ("related.ip", ("source.ip", "destination.ip", "client.ip")),
    ("related.user", ("user.name", "user.effective.name", "user.target.name")),
    ("related.hosts", ("host.name",)),
)
_MAX_PROGRAMS: Final = 4096


class Normaliser:
    """Turns the frames of one source into events; it never raises for what a frame holds."""

    def __init__(self, source: Source, parser: Parser) -> None:
        self._source = source
        self._parser = parser
        self._constant: Fields = {"observer.name": source.observer or "local"}
        if source.unit:
            self._constant["organization.unit"] = source.unit
        if source.path:
            self._constant["log.file.path"] = source.path
        self._programs: dict[str, tuple[Parser, ...]] = {}
        self._at(datetime.fromtimestamp(0, UTC))

    def events(self, frame: Frame, received: datetime) -> list[Event]:
        """Return the events of a frame, at least one: what is not understood is an event, too."""
        if received is not self._received:
            self._at(received)
        text, extra = _decode(frame)
        try:
            parsed = self._parse(text)
            return [self._event(frame, text, extra, *one, n) for n, one in enumerate(parsed)]
        except Exception as error:  # a parser's bug must cost one record, not the process
            return [self.failed(frame, received, error)]

    def failed(self, frame: Frame, received: datetime, error: Exception) -> Event:
        """Return the event that a frame becomes when it was not understood."""
        if received is not self._received:
            self._at(received)
        text, extra = _decode(frame)
        fields = {
            "event.kind": "pipeline_error",
            "error.message": f"{self._parser.name}: {_reason(error)}",
            "message": text,
        }
        return self._event(frame, text, extra, fields, self._parser.dataset, 0)

    def _at(self, received: datetime) -> None:
        self._received = received
        self._created = iso(received)
        self._latest = received + MAX_SKEW
        self._context = Context(received, self._source.zone)

    def _parse(self, text: str) -> list[tuple[Fields, str]]:
        parsed = [(fields, self._parser.dataset) for fields in self._call(self._parser, text)]
        if not parsed:
            raise ValueError("the parser found nothing in it")
        if self._parser.envelope and len(parsed) == 1:
            return self._inner(parsed[0][0]) or parsed
        return parsed

    def _call(self, parser: Parser, text: str) -> Iterable[Fields]:
        return parser.parse(text, self._context)

    def _inner(self, outer: Fields) -> list[tuple[Fields, str]]:
        """Return what the parsers of the program make of the message, [] when none knows it."""
        program, message = outer.get("process.name"), outer.get("message")
        if program and message:
            for parser in self._of_program(program):
                try:
                    return [({**outer, **f}, parser.dataset) for f in self._call(parser, message)]
                except Exception:  # noqa: S112 - the syslog event stays as it is
                    continue
        return []

    def _of_program(self, program: str) -> tuple[Parser, ...]:
        found = self._programs.get(program)
        if found is None:
            if len(self._programs) >= _MAX_PROGRAMS:  # senders choose the names
                self._programs.clear()
            found = self._programs[program] = parsers_of(program)
        return found

    def _event(
        self, frame: Frame, text: str, extra: Fields, fields: Fields, dataset: str, index: int
    ) -> Event:
        moment: datetime | None = fields.get("@timestamp")
        source = self._source
        event: Event = {
            "@timestamp": self._created if moment is None else iso(moment),
            "event.kind": "event",
        }
        for name, value in fields.items():
            if value is not None and name != "@timestamp":
                event[name] = value
        event["ecs.version"] = ECS_VERSION
        event["event.dataset"] = dataset
        event["event.id"] = event_id(moment, source.key, source.name, frame.position, index)
        event["event.created"] = self._created
        event["event.original"] = text
        event.update(self._constant)
        if frame.offset is not None:
            event["log.offset"] = frame.offset
        if extra:
            event.update(extra)
        if moment is not None and moment > self._latest:
            event["soc.clock_skew"] = True
        _relate(event)
        return event


def parsers_of(program: str) -> tuple[Parser, ...]:
    """Return the parsers that know a syslog program, by its name without path and instance."""
    name = program.casefold()
    known = _by_program()
    for candidate in (name, name.rpartition("/")[2], name.rpartition("/")[2].partition("@")[0]):
        if candidate in known:
            return known[candidate]
    return ()


@cache
def _by_program() -> dict[str, tuple[Parser, ...]]:
    known: dict[str, tuple[Parser, ...]] = {}
    for parser in parsers():
        for program in parser.programs:
            known[program.casefold()] = (*known.get(program.casefold(), ()), parser)
    return known


def _decode(frame: Frame) -> tuple[str, Fields]:
    """Return the text of a frame, and the fields that tell where it is not the whole truth."""
    raw = frame.raw
    if frame.truncated:
        with contextlib.suppress(UnicodeDecodeError):
            raw = raw[: codecs.utf_8_decode(raw, "strict", False)[1]]  # not half a character
    extra: Fields = {}
    try:
        text = raw.decode()
    except UnicodeDecodeError:
        text = raw.decode("utf-8", "replace")
        extra["soc.original_base64"] = base64.b64encode(raw).decode()
    if frame.truncated:
        extra["soc.truncated"] = True
    return text.removeprefix("\ufeff"), extra


def _relate(event: Event) -> None:
    for name, sources in _RELATED:
        found = [v for s in sources if (v := event.get(s))]
        if found:
            before: list[Any] = event.get(name, [])
            event[name] = list(dict.fromkeys([*before, *found]))


def _reason(error: Exception) -> str:
    """Return why, in short; what Python quotes from the record is left out."""
    text = str(error) if isinstance(error, ValueError) else type(error).__name__
    for quote in "'\"":
        text = text.partition(quote)[0]
    return text.strip(" :")[:200] or type(error).__name__
