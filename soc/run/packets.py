"""Packets by hand: the frames of capture files, shown one by one, or cut out as evidence."""

import hashlib
import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO, Final

from collectors.content import Opened
from collectors.packets.capture import Cutter
from collectors.packets.record import address, moment
from collectors.packets.tools import scapy, tshark
from collectors.packets.tools.captures import Pcap, Pcapng
from collectors.packets.tools.conversation import Ends, Frame, Looker, name
from collectors.packets.tools.decoding import Decode, Decoded, batches
from collectors.packets.tools.selection import Selector, Wanted, select
from collectors.packets.tools.summary import describe, fields_of
from soc.errors import InputError, Refused, SocError
from soc.i18n import _, ngettext
from soc.model.time import iso

BUILT_IN: Final = "built-in"

_TALKERS: Final = 4096
_INSTALL: Final = "apt-get install tshark bubblewrap, or pip install 'metrosoc[packets]'"

Problem = Callable[[SocError], None]
Advance = Callable[[int], None]


def frames_of(
    paths: Iterable[Path], problem: Problem, advance: Advance = lambda size: None
) -> Iterator[Frame]:
    """Yield the frames of capture files, plain or gzip, one file after the other.

    A damaged file is told once its good part has been read. Raises InputError for a file that is
    no capture or cannot be opened. `advance` is told how many bytes more have been read.
    """
    for path in paths:
        opened, cutter, number = Opened(path), Cutter(), 0
        try:
            done = 0
            for piece in opened.pieces():
                for micros, link, data, length in cutter.feed(piece):
                    number += 1
                    yield Frame(number, micros, link, data, length)
                advance(opened.done - done)
                done = opened.done
                if cutter.problem:
                    break
            cutter.finish()
        finally:
            opened.close()
        trouble = opened.problem or cutter.problem
        if trouble and not number:
            raise InputError(
                _("no packet can be read: {why}").format(why=trouble),
                where=str(path),
                hint=_("give a pcap or pcapng file, packed with gzip or not"),
            )
        if trouble:
            text = _("the capture is damaged: {why}; the {n} packets before have been read")
            error = InputError(text.format(why=trouble, n=number), where=str(path))
            error.hint = _("get a new copy of it")
            problem(error)


@dataclass(slots=True)
class Sliced:
    """What was cut out: packets, bytes of the file, its SHA-256, the first and the last moment.

    `there` says that the same file was there already.
    """

    packets: int = 0
    size: int = 0
    carried: int = 0
    first: int = 0
    last: int = 0
    undecided: int = 0
    there: bool = False
    digest: Any = field(default_factory=hashlib.sha256)

    def add(self, frame: Frame, data: bytes) -> None:
        """Count a frame and the bytes it takes in the file."""
        self.first = min(self.first, frame.micros) if self.packets else frame.micros
        self.last = max(self.last, frame.micros)
        self.packets += 1
        self.carried += frame.length
        self.size += len(data)
        self.digest.update(data)

    def document(self, out: Path, sources: Sequence[Path], wanted: Wanted) -> dict[str, Any]:
        """Return it as a document in ECS fields."""
        document: dict[str, Any] = {
            "file.path": str(out),
            "file.size": self.size,
            "file.hash.sha256": self.digest.hexdigest(),
            "network.packets": self.packets,
            "network.bytes": self.carried,
            "event.start": iso(moment(self.first)),
            "event.end": iso(moment(self.last)),
            "soc.packets.sources": list(map(str, sources)),
        }
        if wanted.community_id:
            document["network.community_id"] = wanted.community_id
        return document


def slice_captures(
    paths: Sequence[Path],
    wanted: Wanted,
    out: Path,
    *,
    problem: Problem,
    advance: Advance = lambda size: None,
) -> Sliced:
    """Write the packets of a conversation to a new capture, which appears whole or not at all.

    The format is pcapng where `out` ends so, else pcap; moments, link type and bytes are those of
    the source. Raises InputError when there is no such packet, Refused when another file is there.
    """
    if not out.parent.is_dir():
        raise InputError(_("there is no such folder"), where=str(out.parent), hint="mkdir -p")
    scratch = out.with_name(f".{out.name}.{os.getpid()}")
    selector = Selector(wanted)
    try:
        with open(scratch, "xb", opener=_private) as stream:
            frames = select(frames_of(paths, problem, advance), selector)
            sliced = _write(frames, stream, Pcapng() if out.suffix == ".pcapng" else Pcap())
            stream.flush()
            os.fsync(stream.fileno())
        if not sliced.packets:
            raise nothing_found(paths, wanted, selector)
        sliced.undecided = selector.undecided
        sliced.there = _keep(scratch, out, sliced)
    finally:
        scratch.unlink(missing_ok=True)
    return sliced


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def _write(frames: Iterable[Frame], stream: BinaryIO, writer: Pcap | Pcapng) -> Sliced:
    sliced = Sliced()
    for frame in frames:
        data = writer.add(frame)
        stream.write(data)
        sliced.add(frame, data)
    return sliced


def _keep(scratch: Path, out: Path, sliced: Sliced) -> bool:
    """Give the file its name; return whether the same one had it already."""
    try:
        os.link(scratch, out)  # unlike a rename, it never replaces a file
    except FileExistsError:
        pass
    except OSError:  # a file system without hard links
        if not out.exists():
            scratch.rename(out)
            return False
    else:
        return False
    with out.open("rb") as there:
        if hashlib.file_digest(there, "sha256").digest() == sliced.digest.digest():
            return True
    raise Refused(
        _("another file is there, and evidence is not overwritten"),
        where=str(out),
        hint=_("name a new file"),
    )


def nothing_found(paths: Sequence[Path], wanted: Wanted, selector: Selector) -> InputError:
    """Return the error for a conversation that is not there, with what is there in its hint."""
    where = ", ".join(map(str, paths))
    if selector.first is not None and selector.last is not None:
        text = _("the conversation has no packet in this time")
        between = _("it was seen from {first} to {last}")
        moments = [iso(moment(micros)) for micros in (selector.first, selector.last)]
        return InputError(text, where=where, hint=between.format(first=moments[0], last=moments[1]))
    talkers = busiest(frames_of(paths, lambda error: None), wanted)
    hint = _("there is no IP packet at all")
    if talkers:
        hint = _("the busiest conversations here: {list}").format(list="; ".join(talkers))
    return InputError(_("no packet of this conversation is there"), where=where, hint=hint)


def busiest(frames: Iterable[Frame], wanted: Wanted, number: int = 3) -> list[str]:
    """Return the conversations with the most packets as text, those of a wanted address first."""
    looker, counts = Looker(), Counter[str]()
    ends_by: dict[str, Ends] = {}
    for frame in frames:
        for ends, _packet in looker.look(frame).packets[-1:]:
            flow = name(ends)
            if flow in ends_by or len(ends_by) < _TALKERS:
                ends_by.setdefault(flow, ends)
                counts[flow] += 1

    def rank(flow: str) -> tuple[bool, int]:
        ends = ends_by[flow]
        near = not {ends.source, ends.destination}.isdisjoint(wanted.addresses)
        return near, counts[flow]

    chosen = sorted(counts, key=rank, reverse=True)[:number]
    return [f"{flow} ({_ends(ends_by[flow])}, {_packets(counts[flow])})" for flow in chosen]


def _packets(count: int) -> str:
    return ngettext("{n} packet", "{n} packets", count).format(n=count)


def _ends(ends: Ends) -> str:
    near, far = address(ends.source), address(ends.destination)
    if ends.ports:
        near, far = f"{near}:{ends.ports[0]}", f"{far}:{ends.ports[1]}"
    return f"{near} > {far}"


def decoder(tell: Callable[[str], None]) -> tuple[str, Decode | None]:
    """Return the best decoder of this machine and its name; tell when it is not the best known."""
    reason = tshark.missing()
    if not reason:
        return "tshark", tshark.decode
    if not scapy.missing():
        tell(_("decoded by scapy: {why}").format(why=reason))
        return "scapy", scapy.decode
    text = _("decoded by soc itself, which knows few protocols: {why}; {install}")
    tell(text.format(why=reason, install=_INSTALL))
    return BUILT_IN, None


@dataclass(slots=True)
class Show:
    """Packets one by one: what our parsers see, and what a decoder of many protocols says.

    A decoder that fails costs its line about the packets from there on, never a packet: `tell` is
    told, and the line is our own.
    """

    name: str
    decode: Decode | None
    tell: Callable[[str], None]
    _looker: Looker = field(default_factory=Looker)

    def rows(self, frames: Iterable[Frame]) -> Iterator[dict[str, Any]]:
        """Yield a document in ECS fields for each frame."""
        for batch in batches(frames):
            decoded = self._decoded(batch)
            for place, frame in enumerate(batch):
                look = self._looker.look(frame)
                known = place < len(decoded)
                told = decoded[place] if known else describe(frame, look)
                yield {
                    **fields_of(frame, look),
                    "network.protocol": told.protocol.lower(),
                    "message": told.info,
                    "soc.packets.decoder": self.name if known else BUILT_IN,
                }

    def _decoded(self, batch: Sequence[Frame]) -> list[Decoded]:
        if self.decode is None:
            return []
        rows, problem = self.decode(batch)
        if problem:
            text = _("{name} stopped at packet {n}: {why}; soc itself decodes from there on")
            number = batch[min(len(rows), len(batch) - 1)].number
            self.tell(text.format(name=self.name, n=number, why=problem))
            self.decode = None
        return rows


def show_capture(
    path: Path, wanted: Wanted | None, limit: int, *, problem: Problem, tell: Callable[[str], None]
) -> Iterator[dict[str, Any]]:
    """Yield a document for each packet of a capture, or of one conversation in it, up to a limit.

    Raises InputError when the conversation is not there.
    """
    frames = frames_of([path], problem)
    selector = Selector(wanted) if wanted else None
    chosen = select(frames, selector) if selector else frames
    engine, decode = decoder(tell)
    found = False
    for row in Show(engine, decode, tell).rows(islice(chosen, limit)):
        found = True
        yield row
    if next(chosen, None) is not None:
        text = ngettext(
            "only the first {n} packet is shown", "only the first {n} packets are shown", limit
        )
        tell(text.format(n=limit) + "; --limit N")
    if selector and wanted and not found:
        raise nothing_found([path], wanted, selector)
