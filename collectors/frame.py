"""The frame: what arrived, as raw bytes with its place, before anybody knows what it means."""

from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from typing import Final

MAX_RECORD: Final = 1 << 20
"""Bytes of a record that are kept; the rest of a longer one is skipped and the event flagged."""


@dataclass(frozen=True, slots=True)
class Frame:
    """A raw record. `position` is unique in its source and the same on every reading of it."""

    raw: bytes
    position: str
    offset: int | None = None
    truncated: bool = False


@dataclass(frozen=True, slots=True)
class Source:
    """Where frames come from.

    `name` and `key` make event ids: for a file given by hand the key is its SHA-256 and the name
    empty, so that a second import or a renamed copy yields the same ids; for an input of
    `soc run` the key is the node's secret. `path` becomes `log.file.path`.
    """

    key: bytes
    name: str = ""
    path: str = ""
    observer: str = ""
    unit: str = ""
    zone: tzinfo = UTC


@dataclass(frozen=True, slots=True)
class Context:
    """What a parser may know besides the record: when it arrived and the source's time zone."""

    received: datetime
    zone: tzinfo = UTC
