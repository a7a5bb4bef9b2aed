"""Records that one process hands to another, in files that have no name.

Whoever is killed, be it all of them at once, leaves nothing on the disk. A file takes what comes of
many parts, so that few are open; when it is full the next one is begun, so that what has been read
does not stay.
"""

import io
import os
import pickle
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.reduction import recv_handle, send_handle
from tempfile import TemporaryFile
from typing import IO, Any, Final, NamedTuple

FULL: Final = 1 << 26
"""Bytes from which on a file takes no further part."""


class _Place(NamedTuple):
    """Where the records of a part are, and whether in a file that comes with this."""

    start: int
    stop: int
    fresh: bool


class Outbox:
    """The end that writes."""

    def __init__(self, line: Connection) -> None:
        self._line = line
        self._file: IO[bytes] | None = None

    def close(self) -> None:
        """Close the file that would take the next part."""
        if self._file is not None:
            self._file.close()

    def send(self, records: Iterable[object]) -> None:
        """Hand over the records of a part, or say why there are none."""
        try:
            file, place = self._write(records)
        except Exception as error:  # to be said where somebody listens
            self._line.send(f"{type(error).__name__}: {error}")
            return
        self._line.send(place)
        if place.fresh:
            send_handle(self._line, file.fileno(), None)

    def _write(self, records: Iterable[object]) -> tuple[IO[bytes], _Place]:
        file, fresh = self._file, False
        if file is None or file.tell() >= FULL:
            self.close()
            file, fresh = TemporaryFile(), True  # noqa: SIM115 - open as long as it takes parts
            self._file = file
        start = file.tell()
        for record in records:
            pickle.dump(record, file, pickle.HIGHEST_PROTOCOL)
        file.flush()
        return file, _Place(start, file.tell(), fresh)


class Inbox:
    """The end that reads."""

    def __init__(self, line: Connection) -> None:
        self._line = line
        self._file: _Descriptor | None = None

    def receive(self) -> "Section | str":
        """Wait for what `send` hands over: the records of a part, or why there are none.

        Raises EOFError or OSError when the other process is gone.
        """
        told = self._line.recv()
        if isinstance(told, str):
            return told
        if told.fresh:
            self._file = _Descriptor(recv_handle(self._line))
        assert self._file is not None  # noqa: S101 - for the types
        return Section(self._file, told.start, told.stop)


class _Descriptor:
    """An open file, closed when the last section of it is gone."""

    def __init__(self, number: int) -> None:
        self.number = number

    def __del__(self) -> None:
        os.close(self.number)


@dataclass(frozen=True, slots=True)
class Section:
    """The records of a part."""

    file: _Descriptor
    start: int
    stop: int

    def __iter__(self) -> Iterator[Any]:
        """Yield the records."""
        with io.BufferedReader(_Bytes(self)) as content:
            while content.peek(1):
                yield pickle.load(content)  # noqa: S301 - our own, in a file nobody else can open


class _Bytes(io.RawIOBase):
    """The bytes of a section, read without moving the place at which the other process writes."""

    def __init__(self, section: Section) -> None:
        self._section = section
        self._at = section.start

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:  # noqa: ANN401 - anything that has a buffer
        size = min(len(buffer), self._section.stop - self._at)
        data = os.pread(self._section.file.number, size, self._at)
        buffer[: len(data)] = data
        self._at += len(data)
        return len(data)
