"""Windows events in XML: one frame per `<Event>` element, wrappers and line breaks ignored."""

import re
from collections.abc import Iterator
from typing import BinaryIO, Final

from collectors.frame import MAX_RECORD, Frame
from collectors.framing import CHUNK, chunks

_OPEN: Final = re.compile(rb"<Event(?=[\s/>])")
_CLOSE: Final = b"</Event>"
_TAIL: Final = 8
"""Bytes that may hold the beginning of a tag that the next block completes."""


def frames(stream: BinaryIO) -> Iterator[Frame]:
    """Yield the elements; `position` is the byte where each begins.

    Memory is bounded: of an element longer than a record may be, the beginning is kept.
    """
    buffer, offset = b"", 0
    inside, over = False, 0
    for block in chunks(stream):
        buffer += block
        while True:
            if not inside:
                found = _OPEN.search(buffer)
                cut = found.start() if found else max(len(buffer) - _TAIL, 0)
                buffer, offset = buffer[cut:], offset + cut
                if not found:
                    break
                inside, over = True, 0
            end = buffer.find(_CLOSE, max(MAX_RECORD - _TAIL, 0) if over else 0)
            if end < 0:
                if len(buffer) > MAX_RECORD + CHUNK:
                    spare = len(buffer) - MAX_RECORD - _TAIL
                    over += spare
                    buffer = buffer[:MAX_RECORD] + buffer[-_TAIL:]
                break
            end += len(_CLOSE)
            yield _frame(buffer[:end], offset, over)
            buffer, offset = buffer[end:], offset + end + over
            inside = False
    if inside:
        yield _frame(buffer, offset, over)


def _frame(raw: bytes, offset: int, over: int) -> Frame:
    return Frame(
        raw=raw[:MAX_RECORD],
        position=str(offset),
        offset=offset,
        truncated=bool(over) or len(raw) > MAX_RECORD,
    )
