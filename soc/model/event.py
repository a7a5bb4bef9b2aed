"""The event: an ECS document, flat with dotted keys inside, nested JSON at the edges."""

import hmac
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any, Final

ECS_VERSION: Final = "9.5.0"

Event = dict[str, Any]
"""Dotted ECS key -> str, int, float, bool, None, a list of these, or a list of objects."""

REQUIRED: Final = (
    "@timestamp",
    "ecs.version",
    "event.created",
    "event.dataset",
    "event.id",
    "event.kind",
    "event.original",
    "observer.name",
)


def flatten(document: Mapping[str, Any]) -> Event:
    """Return a nested document with dotted keys; lists stay whole, empty objects vanish."""
    return dict(_leaves(document, ""))


def _leaves(node: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, Any]]:
    # An explicit stack: hostile JSON may be nested deeper than Python recurses.
    stack = [(prefix, iter(node.items()))]
    while stack:
        path, items = stack[-1]
        for key, value in items:
            if isinstance(value, Mapping):
                stack.append((f"{path}{key}.", iter(value.items())))
                break
            yield f"{path}{key}", value
        else:
            stack.pop()


def nest(event: Event) -> dict[str, Any]:
    """Return the event as nested JSON; a key that collides with another stays dotted.

    `flatten(nest(e)) == e` for every event without empty objects.
    """
    document: dict[str, Any] = {}
    for key, value in event.items():
        parts = key.split(".")
        node = document
        for part in parts[:-1]:
            child = node.setdefault(part, {}) if part else None
            if not isinstance(child, dict):
                node, parts = document, [key]
                break
            node = child
        leaf = parts[-1]
        if not leaf or isinstance(value, dict):
            node, leaf = document, key
        displaced = node.get(leaf)
        node[leaf] = value
        if isinstance(displaced, dict):  # `a.b` came before `a`: it is the one that stays dotted
            document.update(_leaves(displaced, f"{key}."))
    return document


def event_id(moment: datetime | None, key: bytes, source: str, position: str, index: int) -> str:
    """Return the id that makes a replay recognisable and another node's ids unguessable.

    12 hexadecimal digits of milliseconds since 1970 (zeros without a time), a dash, and the
    first 16 bytes of HMAC-SHA256(key; source, position, index) in hexadecimal.
    """
    millis = 0 if moment is None else min(max(int(moment.timestamp() * 1000), 0), 0xFFFFFFFFFFFF)
    message = b"\0".join(
        part.encode("utf-8", "surrogatepass") for part in (source, position, str(index))
    )
    return f"{millis:012x}-{hmac.digest(key, message, 'sha256')[:16].hex()}"


def values(value: Any) -> list[Any]:  # noqa: ANN401 - a field's value is any JSON value
    """Return a field's value as a list of its elements; absent (None) is the empty list."""
    if value is None:
        return []
    return value if isinstance(value, list) else [value]
