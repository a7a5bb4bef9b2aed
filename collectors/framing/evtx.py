"""Windows event log files: every record as the JSON of the evtx library.

A record (or chunk) that cannot be read becomes a frame that says why: nothing is lost unseen.
"""

import io
import tempfile
from collections.abc import Iterator
from typing import Any, BinaryIO, Final, cast

from evtx import PyEvtxParser

from collectors.frame import MAX_RECORD, Frame
from soc.errors import InputError

HEADER: Final = 4096
CHUNK: Final = 65536


def frames(stream: BinaryIO) -> Iterator[Frame]:
    """Yield the records in file order; `position` is the record's number and its place.

    Raises InputError for a file whose header cannot be read.
    """
    place = 0
    if not stream.seekable():
        with tempfile.TemporaryFile() as copy:
            while block := stream.read(CHUNK):
                copy.write(block)
            copy.seek(0)
            yield from frames(cast(BinaryIO, copy))
        return
    for part in _parts(stream):
        for number, raw in _records(part):
            yield Frame(
                raw=raw[:MAX_RECORD],
                position=f"{number}.{place}",
                truncated=len(raw) > MAX_RECORD,
            )
            place += 1


def _parts(stream: BinaryIO) -> Iterator[BinaryIO]:
    """Yield the file, and its last chunk apart when it was cut: the library would skip it."""
    yield stream
    size = stream.seek(0, io.SEEK_END)
    missing = -(size - HEADER) % CHUNK
    if size > HEADER and missing:
        stream.seek(0)
        header = stream.read(HEADER)
        stream.seek(size - (CHUNK - missing))
        yield io.BytesIO(header + stream.read(CHUNK) + bytes(missing))


def _records(stream: BinaryIO) -> Iterator[tuple[int, bytes]]:
    try:
        # One thread: records come in file order, and a reader stays one process wide.
        records: Any = PyEvtxParser(stream, 1).records_json()
    except (OSError, RuntimeError) as error:
        raise InputError(
            f"not a readable event log file: {error}",
            hint="wevtutil export-log makes a sound copy on the machine it comes from",
        ) from error
    while True:
        try:
            record = next(records)
        except StopIteration:
            return
        except RuntimeError as error:
            yield 0, f"unreadable event log record: {error}".encode()
        else:
            yield record["event_record_id"], record["data"].encode()
