"""What another program wrote, as an event: the few things made sure that everybody relies on.

The server asks little of a document: its @timestamp may be a number, a year or a list, its
`event.id` may be anything, and lists may lie a thousand deep. What it says is kept as far as it
can be; what cannot be is replaced, so that the event is judged, shown and raised like any other.
"""

from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import orjson

from soc.model.event import Event
from soc.model.time import iso, parse_iso
from soc.store.elastic.names import storable
from soc.store.values import leaves

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
BEGINNING: Final = iso(_EPOCH)
"""The time of an event whose own lies outside of the calendar."""


def sound(event: Event, identity: str) -> None:
    """Make a document an event: a text as id, a time, lists that JSON can be made of again."""
    if not storable(event.get("event.id")):
        event["event.id"] = identity
    stamp = event.get("@timestamp")
    if type(stamp) is not str or _read(stamp) is None:
        event["@timestamp"] = _moment(stamp)
    if list in map(type, event.values()):
        _flat(event)


def _flat(event: Event) -> None:
    for name, value in [one for one in event.items() if type(one[1]) is list]:
        if any(type(one) in (list, dict) for one in value) and _too_deep(value):
            del event[name]
            for path, leaf in leaves({name: value}):
                event.setdefault(path, []).append(leaf)


def _read(text: str) -> datetime | None:
    try:
        return parse_iso(text)
    except ValueError:
        return None


def _moment(value: Any) -> str:  # noqa: ANN401
    """Return a time as the server reads it: ISO 8601 or milliseconds since 1970, also in a list."""
    while type(value) is list:
        value = value[0] if value else None
    text = str(value)
    if found := _read(text) or _read(f"{text}-01") or _read(f"{text}-01-01"):
        return iso(found)
    with suppress(ValueError, OverflowError):
        return iso(_EPOCH + timedelta(milliseconds=float(text)))
    return BEGINNING


def _too_deep(value: Any) -> bool:  # noqa: ANN401
    try:
        orjson.dumps(value)
    except TypeError:
        return True
    return False
