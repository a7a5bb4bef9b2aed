"""From the records of the spool to events: each source has its parser, declared or recognised."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from itertools import groupby, islice
from typing import Final

from collectors.frame import Frame, Source
from collectors.normalise import Normaliser
from collectors.parsing import Parser, parser
from collectors.recognise import recognise
from collectors.spool.record import Record
from soc.errors import InputError
from soc.model.event import Event

log = logging.getLogger("soc.collect")

SAMPLE: Final = 50
"""Records that tell what a source holds."""
MAX_SOURCES: Final = 4096
PEER: Final = "log.source.address"
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Meaning:
    """What the configuration says about the records of an input."""

    zone: tzinfo = UTC
    parser: str = ""
    unit: str = ""


class Understanding:
    """Turns records into events; it loses none: text that nobody knows is an event, too."""

    def __init__(self, inputs: Mapping[str, Meaning], key: bytes, observer: str) -> None:
        self._inputs = inputs
        self._key = key
        self._observer = observer
        self._normalisers: dict[tuple[str, str, str, str], Normaliser] = {}

    def events(self, records: Sequence[tuple[int, Record]]) -> list[Event]:
        """Return the events of numbered records, in their order."""
        found: list[Event] = []
        for _, group in groupby(records, lambda pair: _source(pair[1])):
            some = [record for _, record in group]
            self._add(found, some)
        return found

    def _add(self, found: list[Event], some: Sequence[Record]) -> None:
        normaliser = self._normaliser(some)
        peer, before, received = some[0].peer, -1, _EPOCH
        for record in some:
            if record.received != before:  # one object for equal times: it is formatted once
                before = record.received
                received = _EPOCH + timedelta(microseconds=before)
            events = normaliser.events(record.frame, received)
            if peer:
                for event in events:
                    event[PEER] = peer
            found.extend(events)

    def _normaliser(self, some: Sequence[Record]) -> Normaliser:
        first = some[0]
        source = _source(first)
        known = self._normalisers.get(source)
        if known is not None:
            return known
        meaning = self._inputs.get(first.input, Meaning())
        frames = [record.frame for record in islice(some, SAMPLE)]
        chosen = parser(meaning.parser) if meaning.parser else _recognised(frames, first)
        made = Normaliser(
            Source(
                key=self._key,
                name=first.origin,
                path=first.path,
                observer=self._observer,
                unit=meaning.unit,
                zone=meaning.zone,
            ),
            chosen,
        )
        vague = chosen.generic or chosen.name == "text"
        if meaning.parser or not vague:  # else: later lines may tell more
            if len(self._normalisers) >= MAX_SOURCES:  # senders choose how many they are
                self._normalisers.clear()
            self._normalisers[source] = made
        return made


def _source(record: Record) -> tuple[str, str, str, str]:
    return record.input, record.origin, record.path, record.peer


def _recognised(frames: Sequence[Frame], record: Record) -> Parser:
    try:
        return recognise(b"\n".join(frame.raw for frame in frames), record.path or record.input)
    except InputError as error:
        log.warning("%s", error)
        return parser("text")
