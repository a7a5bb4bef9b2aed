"""Windows event log files: every record as the JSON of the evtx library.

A record (or chunk) that cannot be read becomes a frame that says why: nothing is lost unseen.
"""

import io
import tempfile
from collections.abc import Iterator
from itertools import chain
from typing import Any, BinaryIO, Final, cast

from evtx import PyEvtxParser

from collectors.frame import MAX_RECORD, Frame
from soc.errors import InputError

HEADER: Final = 4096
CHUNK: Final = 65536
FIRST_RECORD: Final = 512
"""Where records begin in a chunk; each: magic, its size, ..., its size again."""
RECORD_MAGIC: Final = b"**\0\0"
MIN_RECORD: Final = 28


def frames(stream: BinaryIO) -> Iterator[Frame]:
    """Yield the records in file order; `position` is the record's number and its place.

    Raises InputError for a file whose header cannot be read.
    """
    if not stream.seekable():
        with tempfile.TemporaryFile() as copy:
            while block := stream.read(CHUNK):
                copy.write(block)
            copy.seek(0)
            yield from frames(cast(BinaryIO, copy))
        return
    for place, (number, raw) in enumerate(chain(_records(stream), _cut_off(stream))):
        yield Frame(
            raw=raw[:MAX_RECORD],
            position=f"{number}.{place}",
            truncated=len(raw) > MAX_RECORD,
        )


def _cut_off(stream: BinaryIO) -> Iterator[tuple[int, bytes]]:
    """Yield the records of a last chunk that is not whole; the library skips it."""
    size = stream.seek(0, io.SEEK_END)
    cut = (size - HEADER) % CHUNK
    if size <= HEADER or not cut:
        return
    stream.seek(0)
    header = stream.read(HEADER)
    stream.seek(size - cut)
    chunk = stream.read(cut)
    whole = _whole_records(chunk)
    yield from _records(io.BytesIO(header + whole.ljust(CHUNK, b"\0")))
    if chunk[len(whole) :].strip(b"\0"):
        yield 0, f"unreadable event log record: the file ends inside it, at byte {size}".encode()


def _whole_records(chunk: bytes) -> bytes:
    """Return a chunk up to the record that the cut went through."""
    end = FIRST_RECORD
    while chunk[end : end + 4] == RECORD_MAGIC:
        size = int.from_bytes(chunk[end + 4 : end + 8], "little")
        if size < MIN_RECORD or end + size > len(chunk):
            break
        end += size
    return chunk[:end]


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
