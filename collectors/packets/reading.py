"""A capture to events: the frames of a file or a stream, dissected, in the envelope of events."""

import hashlib
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Final

from collectors.content import Opened
from collectors.frame import Source
from collectors.packets.capture import Cutter, is_capture
from collectors.packets.dissect import Dissector
from collectors.packets.talk import Fields
from soc.errors import InputError
from soc.files import FileStore
from soc.model.event import ECS_VERSION, Event, event_id
from soc.model.time import iso
from soc.text import of_path

MODULE: Final = "packets"

# event.action, event.category, event.type: as the parser of Suricata's eve.json has them.
_KINDS: Final[dict[str, tuple[str, str, str]]] = {
    "dns": ("dns", "network", "protocol"),
    "file": ("fileinfo", "file", "info"),
    "flow": ("flow", "network", "connection"),
    "http": ("http", "web", "access"),
    "tls": ("tls", "network", "info"),
}
DATASETS: Final = tuple(_KINDS)
"""event.dataset of the events, always with event.module "packets"."""

_HOSTS: Final = ("dns.question.name", "tls.client.server_name", "url.domain")
_HASHES: Final = ("file.hash.md5", "file.hash.sha1", "file.hash.sha256")


def read_capture(
    path: Path,
    *,
    received: datetime,
    observer: str = "",
    unit: str = "",
    files: FileStore | None = None,
    dissector: Dissector | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Iterator[Event]:
    """Yield the events of a pcap or pcapng file, plain or gzip.

    `files` keeps the files that are carved. A `dissector` of the caller's has the counters that
    say what became of the frames. `progress` is told bytes done and bytes in all. Raises
    InputError for what cannot be read, and for a damaged file after the events of its good part.
    """
    opened = Opened(path)
    try:
        key = hashlib.sha256()
        for piece in opened.pieces():
            key.update(piece)
        source = Source(key.digest(), "", of_path(str(path)), observer, unit)
        dissector = dissector or Dissector()
        if files is not None:
            dissector.carver.store = files
        events = Events(source, dissector)
        for piece in opened.pieces():
            yield from events.feed(piece, received)
            if progress:
                progress(opened.done, opened.size)
        yield from events.finish(received)
        problem = opened.problem or events.problem
        if problem:
            raise InputError(
                f"the capture is damaged: {problem}; the {dissector.counters.frames} frames before"
                " have been read",
                where=str(path),
                hint="get a new copy of it, or capinfos FILE",
            )
    finally:
        opened.close()


def read_capture_stream(
    pieces: Iterable[bytes],
    source: Source,
    *,
    clock: Callable[[], datetime],
    dissector: Dissector | None = None,
) -> Iterator[Event]:
    """Yield the events of a capture that is still being written, such as a pipe from dumpcap.

    Raises InputError where the stream is damaged.
    """
    events = Events(source, dissector or Dissector())
    for piece in pieces:
        yield from events.feed(piece, clock())
    yield from events.finish(clock())
    if events.problem:
        raise InputError(f"the capture is damaged: {events.problem}", where=source.name)


def is_capture_file(path: Path) -> bool:
    """Tell whether a file, plain or gzip, is a capture; raise InputError if it cannot be read."""
    opened = Opened(path)
    try:
        return is_capture(next(opened.pieces(), b""))
    finally:
        opened.close()


class Events:
    """Bytes of a capture in, events out; `problem` says where the capture is broken."""

    def __init__(self, source: Source, dissector: Dissector) -> None:
        self._source = source
        self._dissector = dissector
        self._cutter = Cutter()
        self._frame = 0
        self._constant: Fields = {
            "ecs.version": ECS_VERSION,
            "event.kind": "event",
            "event.module": MODULE,
            "observer.name": source.observer or "local",
        }
        if source.path:
            self._constant["log.file.path"] = source.path
        if source.unit:
            self._constant["organization.unit"] = source.unit

    @property
    def problem(self) -> str:
        """Where and how the capture is broken, "" while it is sound."""
        return self._cutter.problem

    def feed(self, piece: bytes, received: datetime) -> Iterator[Event]:
        """Yield the events that these bytes complete."""
        dissect = self._dissector.feed
        for time, link, data, length in self._cutter.feed(piece):
            self._frame += 1
            if records := dissect(time, link, data, length):
                yield from self._events(records, received)

    def finish(self, received: datetime) -> Iterator[Event]:
        """Yield the events of what is still open."""
        self._cutter.finish()
        yield from self._events(self._dissector.finish(), received, "end")

    def _events(
        self, records: list[Fields], received: datetime, place: str = ""
    ) -> Iterator[Event]:
        created = iso(received)
        place = place or str(self._frame)
        source = self._source
        for index, record in enumerate(records):
            moment: datetime = record["@timestamp"]
            kind: str = record["event.dataset"]
            position = f"{place}.{kind}"
            action, category, type_ = _KINDS[kind]
            event = {**record, **self._constant}
            event["event.action"] = action
            event["event.category"] = [category]
            event["event.type"] = [type_]
            event["@timestamp"] = iso(moment)
            event["event.created"] = created
            event["event.id"] = event_id(moment, source.key, source.name, position, index)
            event["event.original"] = _original(self._frame, record)
            event["soc.packets.frame"] = self._frame
            for name, parts in (("related.hosts", _HOSTS), ("related.hash", _HASHES)):
                found = [record[part] for part in parts if part in record]
                if found:
                    event[name] = found
            yield event


def _original(frame: int, record: Fields) -> str:
    """Return where the packets are: they stay in the capture, an event only points to them."""
    source, destination = record["source.ip"], record["destination.ip"]
    near, far = record.get("source.port", ""), record.get("destination.port", "")
    return f"frame {frame}: {record['network.transport']} {source}:{near} > {destination}:{far}"
