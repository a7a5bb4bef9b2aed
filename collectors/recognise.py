"""Recognition: which parser a file is for, from its first bytes."""

import re
from dataclasses import replace
from typing import Any, Final

import orjson

from collectors.framing.json_documents import DocumentCutter
from collectors.parsing import Parser, parser, parsers
from soc.errors import InputError

HEAD: Final = 1 << 16
"""Bytes that recognition looks at."""

_SAMPLE: Final = 20
_SHARE: Final = 0.3
_BINARY: Final = 0.03
_MAGIC: Final = ((b"ElfFile\0", "windows_evtx"),)
_HOLE: Final = re.compile(rb"\0{16,}")  # what a crash or copytruncate leaves in a text file
_CONTROLS: Final = bytes(set(range(32)) - {*b"\t\n\v\f\r\x1b"})


def recognise(head: bytes, name: str) -> Parser:
    """Return the parser for a file, its `framing` set to how this file is cut.

    `head` is its first 64 KiB, `name` is for the error. The parser that claims the largest share
    of the first records wins, a generic one only if no other claims any number worth it; nobody's
    text goes to `text`. Raises InputError for a binary file that is not known.
    """
    for magic, known in _MAGIC:
        if head.startswith(magic):
            return parser(known)
    if _is_binary(head):
        raise InputError(
            "this is a binary file of an unknown kind",
            where=name,
            hint="soc collect file --parser NAME, if you know what it is",
        )
    framing, records = cut(head)
    return reframed(_most_claiming(records) or parser("text"), framing)


def reframed(chosen: Parser, framing: str) -> Parser:
    """Return the parser cutting files as they need it, unless it has a way of its own."""
    return replace(chosen, framing=framing) if chosen.framing == "lines" else chosen


def cut(head: bytes) -> tuple[str, list[str]]:
    """Return how a head of text is cut into records, and the first of these."""
    whole = head.removeprefix(b"\xef\xbb\xbf")
    if len(head) >= HEAD:  # the last line is cut off
        whole = whole.rpartition(b"\n")[0] or whole
    lines = [line for line in map(bytes.strip, whole.split(b"\n")) if line]
    if lines and lines[0][:1] in (b"{", b"[") and not isinstance(loaded(lines[0]), dict):
        documents = _documents(head)
        if documents and isinstance(loaded(documents[0]), dict):
            return "json_documents", _text(documents)
    return "lines", _text(lines)


def loaded(record: bytes) -> Any:  # noqa: ANN401 - any JSON value
    """Return the JSON value of a record, None when it is not JSON."""
    try:
        return orjson.loads(record)
    except orjson.JSONDecodeError:
        return None


def _documents(head: bytes) -> list[bytes]:
    cutter = DocumentCutter()
    return [frame.raw for frame in cutter.feed(head)]


def _text(records: list[bytes]) -> list[str]:
    return [record.decode("utf-8", "replace") for record in records[:_SAMPLE]]


def _most_claiming(records: list[str]) -> Parser | None:
    best: tuple[bool, int] = (False, 0)
    chosen: Parser | None = None
    for candidate in parsers() if records else ():
        claims = sum(map(candidate.recognise, records))
        rank = (not candidate.generic, claims)
        if claims >= _SHARE * len(records) and rank > best:
            best, chosen = rank, candidate
    return chosen


def _is_binary(head: bytes) -> bool:
    dense = _HOLE.sub(b"", head)
    if not dense:
        return bool(head)
    return len(dense) - len(dense.translate(None, _CONTROLS)) > _BINARY * len(dense)
