"""Samples that YARA rules must hit or miss: described as data, put together when they are needed.

A sample is a piece or a list of pieces that are joined. A piece is text (UTF-8), or a map with
one of these keys:

    text: text        the same in words          hex: 4d 5a 90       bytes as digits
    utf16: text       UTF-16, little endian      base64: aGVsbG8=    bytes as base64
    repeat: sample    with `times: N`            gzip: sample        packed with gzip
    zip: {NAME: sample}                          tar: {NAME: sample}
    vba: sample       the text of a macro, packed as documents have it

What a virus scanner would take away is written in several pieces.
"""

import base64
import binascii
import gzip
import io
import tarfile
import zipfile
from collections.abc import Callable, Mapping
from typing import Any, Final

Sample = Any
"""A piece or a list of pieces, as YAML reads them."""

MOST: Final = 16 << 20
"""Bytes of a sample."""
DEEPEST: Final = 12


def assemble(sample: Sample, depth: int = 0) -> bytes:
    """Return the bytes of a sample; raise ValueError saying what is wrong with its description."""
    if depth > DEEPEST:
        raise ValueError("a sample is not nested so deeply")
    if isinstance(sample, list):
        data = b"".join(assemble(piece, depth + 1) for piece in sample)
    elif isinstance(sample, str):
        data = sample.encode()
    elif isinstance(sample, Mapping):
        data = _piece(sample, depth + 1)
    else:
        raise ValueError(f"a piece is text or a map, not {type(sample).__name__}")
    if len(data) > MOST:
        raise ValueError(f"a sample has at most {MOST >> 20} MiB")
    return data


def _piece(piece: Mapping[str, Any], depth: int) -> bytes:
    kinds = [key for key in piece if key != "times"]
    if len(kinds) != 1 or kinds[0] not in _KINDS:
        raise ValueError(f"a piece has one of the keys {', '.join(_KINDS)}")
    kind, value = kinds[0], piece[kinds[0]]
    if kind == "repeat":
        times = piece.get("times")
        if not isinstance(times, int) or not 0 <= times <= MOST:
            raise ValueError("repeat needs times: N")
        data = assemble(value, depth)
        if len(data) * times > MOST:
            raise ValueError(f"a sample has at most {MOST >> 20} MiB")
        return data * times
    try:
        return _KINDS[kind](value, depth)
    except (binascii.Error, AttributeError, TypeError) as error:
        raise ValueError(f"{kind}: {error}") from error


def _zip(files: Mapping[str, Sample], depth: int) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, sample in files.items():
            info = zipfile.ZipInfo(name)
            info.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(info, assemble(sample, depth))
    return buffer.getvalue()


def _tar(files: Mapping[str, Sample], depth: int) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.GNU_FORMAT) as archive:
        for name, sample in files.items():
            data = assemble(sample, depth)
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return buffer.getvalue()


def _vba(sample: Sample, depth: int) -> bytes:
    """Return text as an [MS-OVBA] container of one chunk: 8 literals after each flag byte of 0."""
    text = b'Attribute VB_Name = "M"\r\n' + assemble(sample, depth)
    body = b"".join(b"\0" + text[at : at + 8] for at in range(0, len(text), 8))
    if len(body) > 4096:
        raise ValueError("the text of a macro has at most 3,600 bytes")
    return b"\x01" + (0xB000 | len(body) - 1).to_bytes(2, "little") + body


_KINDS: Final[Mapping[str, Callable[[Any, int], bytes]]] = {
    "text": lambda value, _depth: str(value).encode(),
    "utf16": lambda value, _depth: str(value).encode("utf-16-le"),
    "hex": lambda value, _depth: bytes.fromhex(str(value)),
    "base64": lambda value, _depth: base64.b64decode(value, validate=True),
    "gzip": lambda value, depth: gzip.compress(assemble(value, depth), mtime=0),
    "zip": _zip,
    "tar": _tar,
    "vba": _vba,
    "repeat": lambda value, depth: assemble(value, depth),
}
