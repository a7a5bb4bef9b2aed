"""Windows event log files: every record as the JSON of the evtx library.

A file is a header and chunks of 64 KiB that stand alone, so the library gets one chunk at a time:
a pipe can be read, memory is bounded, and damage stays in its chunk. What cannot be read becomes
a frame that says why: nothing is lost unseen.
Layout: https://github.com/libyal/libevtx, Windows XML Event Log (EVTX) format.
"""

import io
import struct
from collections.abc import Iterator
from itertools import chain
from typing import Any, BinaryIO, Final

from evtx import PyEvtxParser

from collectors.frame import MAX_RECORD, Frame
from soc.errors import InputError

HEADER: Final = 4096
CHUNK: Final = 65536
_FILE_MAGIC: Final = b"ElfFile\0"
# Of the file's own header only the magic counts, so that damage to the rest costs nothing: first
# and last chunk, next record, header size, version 3.1, size of this block, number of chunks.
_FILE_HEADER: Final = struct.pack("<8s3QI4H", _FILE_MAGIC, 0, 0, 1, 128, 1, 3, HEADER, 1).ljust(
    HEADER, b"\0"
)
_CHUNK_MAGIC: Final = b"ElfChnk\0"
_RECORDS: Final = 512
"""Where records begin in a chunk; each: magic, its size, ..., its size again."""
_RECORD_MAGIC: Final = b"**\0\0"
_MIN_RECORD: Final = 28
# Two hash tables of a chunk, first place and end: of names, and of templates. A bucket is the
# offset of an entry, and an entry begins with the offset of the next one of its bucket.
_TABLES: Final = ((128, 384), (384, 512))


def frames(stream: BinaryIO) -> Iterator[Frame]:
    """Yield the records in file order; `position` is the record's number and its place.

    Raises InputError for a file whose header cannot be read.
    """
    header = _exactly(stream, HEADER)
    if len(header) < HEADER or not header.startswith(_FILE_MAGIC):
        raise InputError(
            "not a readable event log file: it has no whole header",
            hint="wevtutil export-log makes a sound copy on the machine it comes from",
        )
    for place, (number, raw) in enumerate(chain.from_iterable(_chunks(stream))):
        yield Frame(
            raw=raw[:MAX_RECORD],
            position=f"{number}.{place}",
            truncated=len(raw) > MAX_RECORD,
        )


Records = Iterator[tuple[int, bytes]]


def _chunks(stream: BinaryIO) -> Iterator[Records]:
    number = 0
    while chunk := _exactly(stream, CHUNK):
        if chunk.strip(b"\0"):  # the rest of a file is often empty
            yield _of_chunk(number, chunk)
        number += 1


def _of_chunk(number: int, chunk: bytes) -> Records:
    whole = chunk if len(chunk) == CHUNK else _whole_records(chunk)
    mended = _mended(whole.ljust(CHUNK, b"\0"))
    if not chunk.startswith(_CHUNK_MAGIC[: len(chunk)]) or mended is None:
        yield 0, _unreadable(f"chunk {number} is damaged")
        return
    if len(whole) > _RECORDS:
        yield from _records(mended)
    if chunk[len(whole) :].strip(b"\0"):
        yield 0, _unreadable(f"the file ends inside chunk {number}")


def _exactly(stream: BinaryIO, size: int) -> bytes:
    """Return so many bytes, fewer only at the end of the stream."""
    data = bytearray()
    while len(data) < size and (piece := stream.read(size - len(data))):
        data += piece
    return bytes(data)


def _whole_records(chunk: bytes) -> bytes:
    """Return a chunk up to the record that the end of the file cut."""
    end = _RECORDS
    while chunk[end : end + 4] == _RECORD_MAGIC:
        size = _number(chunk, end + 4)
        if size < _MIN_RECORD or end + size > len(chunk):
            break
        end += size
    return chunk[:end]


def _mended(chunk: bytes) -> bytes | None:
    """Return a chunk without circles in its tables, None when it cannot be mended.

    One flipped bit may close a circle, and the library would follow it forever.
    """
    mended = bytearray(chunk)
    for _ in range(2):
        if not any([_cut_circles(mended, *table) for table in _TABLES]):
            return bytes(mended)
    return None


def _cut_circles(chunk: bytearray, first: int, end: int) -> bool:
    seen: set[int] = set()
    cut = False
    for bucket in range(first, end, 4):
        link = bucket
        while entry := _number(chunk, link):
            if entry in seen or entry > CHUNK - 4:
                chunk[link : link + 4] = bytes(4)
                cut = True
                break
            seen.add(entry)
            link = entry
    return cut


def _number(chunk: bytes | bytearray, place: int) -> int:
    return int.from_bytes(chunk[place : place + 4], "little")


def _records(chunk: bytes) -> Records:
    # One thread: records come in file order, and a reader stays one process wide.
    records: Any = PyEvtxParser(io.BytesIO(_FILE_HEADER + chunk), 1).records_json()
    while True:
        try:
            record = next(records)
        except StopIteration:
            return
        except RuntimeError as error:
            yield 0, _unreadable(str(error))
        else:
            yield record["event_record_id"], record["data"].encode()


def _unreadable(why: str) -> bytes:
    return f"unreadable event log record: {why}".encode()
