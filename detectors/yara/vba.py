"""Macros: the source text of VBA modules, unpacked from where it lies in a document.

[MS-OVBA] 2.4.1.3: a container is the byte 1 and chunks of up to 4,096 bytes of text. Every
module begins with `Attribute VB_Name`, whose packed form is always the same bytes, so that no
directory of the document has to be believed.
"""

from collections.abc import Iterator
from typing import Final

MARK: Final = b"\0Attribut\0e "
"""What a packed module has behind its signature and the head of its first chunk (3 bytes)."""

_CHUNK: Final = 4096
_SIGNATURE: Final = 0b011


def modules(data: bytes) -> Iterator[bytes]:
    """Yield the text of all packed modules of a document in pieces, as one text."""
    at = data.find(MARK)
    while at >= 0:
        if at >= 3 and data[at - 3] == 1:
            yield from unpack(data, at - 3)
            yield b"\r\n"
        at = data.find(MARK, at + 1)


def unpack(data: bytes, start: int) -> Iterator[bytes]:
    """Yield the chunks of the container that starts there, until something is no chunk."""
    at = start + 1
    while at + 2 <= len(data):
        head = int.from_bytes(data[at : at + 2], "little")
        size = (head & 0xFFF) + 3
        if (head >> 12) & 0b111 != _SIGNATURE:
            return
        body = data[at + 2 : at + size]
        chunk = _chunk(body) if head >> 15 else body
        yield chunk
        if len(chunk) < _CHUNK:
            return
        at += size


def _chunk(body: bytes) -> bytes:
    text, at = bytearray(), 0
    while at < len(body) and len(text) < _CHUNK:
        flags = body[at]
        at += 1
        for bit in range(8):
            if at >= len(body) or len(text) >= _CHUNK:
                break
            if not flags >> bit & 1:
                text.append(body[at])
                at += 1
                continue
            if not text or at + 2 > len(body):
                return bytes(text)
            _copy(text, int.from_bytes(body[at : at + 2], "little"))
            at += 2
    return bytes(text[:_CHUNK])


def _copy(text: bytearray, token: int) -> None:
    """Repeat a part of the text: [MS-OVBA] 2.4.1.3.19."""
    bits = max((len(text) - 1).bit_length(), 4)
    length = (token & (0xFFFF >> bits)) + 3
    offset = (token >> (16 - bits)) + 1
    for _ in range(length if offset <= len(text) else 0):
        text.append(text[-offset])
