"""What a finding repeats of its event: as fields, and as the beginning of its JSON.

For each set of fields the JSON is prepared once; an event only fills in its values.
"""

from collections.abc import Callable, Sequence
from operator import itemgetter
from typing import Any, Final, NamedTuple

import orjson

from soc.model.event import ECS_VERSION, Event, nest

CARRIED: Final = (
    "log.file.path",
    "message",
    "host.name",
    "host.ip",
    "user.name",
    "user.domain",
    "source.ip",
    "source.port",
    "destination.ip",
    "destination.port",
    "process.name",
    "process.executable",
    "process.command_line",
    "process.parent.executable",
    "file.path",
    "file.name",
    "file.size",
    "file.hash.sha256",
    "soc.yara.member.name",
    "url.original",
    "dns.question.name",
    "event.code",
    "event.action",
    "event.outcome",
    "winlog.channel",
    "network.community_id",
    "organization.unit",
)
"""Fields of the event that a finding and an alert repeat, so that a list needs no second look."""


_ENTITY_FIELDS: Final = (
    ("host", "host.name"),
    ("user", "user.name"),
    ("ip", "source.ip"),
    ("ip", "destination.ip"),
)


def entities_of(event: Event) -> tuple[str, ...]:
    """Return who and what an event is about, as `host:web01`, `user:lan`, `ip:10.0.0.7`."""
    found = [f"{kind}:{event[name]}" for kind, name in _ENTITY_FIELDS if event.get(name)]
    return tuple(dict.fromkeys(found))


def happened(event: Event, ids: Sequence[Any], entities: Sequence[Any], key: object) -> Event:
    """Return the fields of a finding that are not its rule's."""
    document: Event = {
        "@timestamp": event["@timestamp"],
        "ecs.version": event.get("ecs.version", ECS_VERSION),
        "event.kind": "signal",
        "event.id": event["event.id"],
        "event.dataset": event.get("event.dataset"),
        "soc.event_ids": list(ids),
        "soc.entities": list(entities),
        "soc.dedup_key": key,
    }
    document |= {name: event[name] for name in CARRIED if name in event}
    return filled(document)


def filled(document: Event) -> Event:
    """Return a document without its empty fields."""
    return {name: value for name, value in document.items() if value not in ("", None, [])}


_MAX_SHAPES: Final = 1_024
_MAX_NAMES: Final = 8_192
"""Characters in the names of an event's fields, beyond which its shape is not remembered."""
_KEY, _ENTITIES = "event.id ", "event.id  "


class _Shape(NamedTuple):
    """The JSON of events with the same fields; the values it takes; where made ones go."""

    pieces: list[bytes]
    take: Callable[[Event], tuple[Any, ...]]
    key: int
    entities: int | None


_shapes: dict[tuple[str, ...], _Shape] = {}


def written(event: Event, rule: str) -> list[bytes] | None:
    """Return a finding's JSON up to its rule in pieces, None when it is no plain case.

    `rule`: the rule's id. An empty value is left out of a document, an object stays dotted: such
    events are rare enough to go the long way.
    """
    names = tuple(event)
    shape = _shapes.get(names)
    if shape is None:
        shape = _remembered(names, event)
    values = shape.take(event)
    if not all(values) or dict in map(type, values):
        return None
    texts = list(map(orjson.dumps, values))
    texts[shape.key] = orjson.dumps(f"{rule}:{event['event.id']}")
    if shape.entities is not None:
        texts[shape.entities] = orjson.dumps(entities_of(event))
    pieces = shape.pieces.copy()
    pieces[1::2] = texts
    return pieces


def _remembered(names: tuple[str, ...], event: Event) -> _Shape:
    shape = _shape(event)
    if sum(map(len, names)) <= _MAX_NAMES:
        if len(_shapes) >= _MAX_SHAPES:
            _shapes.clear()
        _shapes[names] = shape
    return shape


def _shape(event: Event) -> _Shape:
    """Prepare the JSON: each value is a gap that says which field fills it."""
    gaps: Event = {name: _gap(name) for name in event if name in _REPEATED}
    about = [_gap(_ENTITIES)] if any(name in event for _, name in _ENTITY_FIELDS) else []
    document = nest(happened(gaps, [_gap("event.id")], about, _gap(_KEY)))
    if about:
        document["soc"]["entities"] = about[0]
    parts = orjson.dumps(document)[:-1].decode().split("\0")
    wanted = parts[1::2]
    return _Shape(
        [part.encode() for part in parts],
        itemgetter(*(name.strip() for name in wanted)),
        wanted.index(_KEY),
        wanted.index(_ENTITIES) if about else None,
    )


def _gap(name: str) -> orjson.Fragment:
    return orjson.Fragment(f"\0{name}\0")


_REPEATED: Final = frozenset({*CARRIED, "@timestamp", "ecs.version", "event.id", "event.dataset"})
