"""JSON objects of any kind: ECS names are taken, the rest is kept under `soc.unmapped`."""

from collections.abc import Iterable
from datetime import datetime
from functools import lru_cache
from typing import Any, Final

from collectors.frame import Context
from collectors.parsers._common import LONG, address, as_text, from_epoch, json_object, leaves
from collectors.parsers._common import moment as moment_of
from collectors.parsing import Fields
from soc.model.ecs import lookup
from soc.model.time import iso

DATASET = "json"
GENERIC = True
FIELDS = ("*",)
EXAMPLE = '{"time":"2026-11-22T08:15:30Z","level":"warn","msg":"login failed","user.name":"lan"}'

_TIMES: Final = (
    *("@timestamp", "timestamp", "time", "ts", "datetime", "date", "eventTime", "EventTime"),
    *("time_local", "created_at", "t"),
)
_ALIASES: Final = {
    "msg": "message",
    "level": "log.level",
    "severity": "log.level",
    "logger": "log.logger",
    "host": "host.name",
    "hostname": "host.name",
}
# What only we may say: a record must not pass for an alert, for our error or for another record.
_OURS: Final = frozenset(
    (
        *("@timestamp", "ecs.version", "error.message", "event.created", "event.dataset"),
        *("event.id", "event.ingested", "event.kind", "event.original", "log.file.path"),
        *("log.offset", "observer.name", "organization.unit", "rule.level"),
    )
)
_KINDS: Final = frozenset(("alert", "asset", "enrichment", "event", "metric", "state"))
_TEXTS: Final = frozenset(("keyword", "constant_keyword", "wildcard", "text", "match_only_text"))
_WHOLE: Final = frozenset(("long", "integer", "short", "byte", "unsigned_long"))
_REAL: Final = frozenset(("float", "double", "half_float", "scaled_float"))


def recognise(record: str) -> bool:
    """Return True for a line that is a JSON object."""
    if record[:1] != "{":
        return False
    try:
        return bool(json_object(record))
    except ValueError:
        return False


def parse(record: str, context: Context) -> Iterable[Fields]:
    """Return the object's fields; raise ValueError for what is not a JSON object."""
    found = dict(leaves(json_object(record)))
    fields: Fields = {}
    _take_time(fields, found, context)
    kind = found.get("event.kind")
    if isinstance(kind, str) and kind in _KINDS:
        fields["event.kind"] = found.pop("event.kind")
    for name, value in found.items():
        if value is not None:
            _take(fields, found, name, value)
    return (fields,)


def _take_time(fields: Fields, found: Fields, context: Context) -> None:
    for name in _TIMES:
        moment = _moment(found.get(name), context)
        if moment is not None:
            fields["@timestamp"] = moment
            del found[name]
            return


def _moment(value: Any, context: Context) -> datetime | None:  # noqa: ANN401 - any JSON value
    try:
        if isinstance(value, str):
            return moment_of(value, context)
        if isinstance(value, int | float) and not isinstance(value, bool) and value > 1e8:
            return from_epoch(value)
    except (ValueError, OverflowError, OSError):
        pass
    return None


def _take(fields: Fields, found: Fields, name: str, value: Any) -> None:  # noqa: ANN401
    target = _ALIASES.get(name, name)
    if target is not name and (target in found or target in fields):
        target = name
    kind = _type(target)
    if kind is not None:
        fitting = _fitting(value, *kind)
        if fitting is not None:
            fields[target] = fitting
            return
    fields[f"soc.unmapped.{name}"] = as_text(value)


@lru_cache(maxsize=8192)
def _type(name: str) -> tuple[str, bool] | None:
    if name in _OURS or name.startswith("soc."):
        return None
    field = lookup(name)
    return (field.type, field.array) if field else None


def _fitting(value: Any, kind: str, array: bool) -> Any:  # noqa: ANN401
    """Return the value as a field of this type holds it, None where it does not fit."""
    if array:
        elements = [_one(v, kind) for v in (value if isinstance(value, list) else [value])]
        return None if None in elements else elements
    if isinstance(value, list):
        return _one(value[0], kind) if len(value) == 1 else None
    return _one(value, kind)


def _one(value: Any, kind: str) -> Any:  # noqa: ANN401
    if kind in _TEXTS:
        return value if isinstance(value, str) else _plain(value)
    if isinstance(value, bool) or kind == "boolean":
        return value if isinstance(value, bool) and kind == "boolean" else None
    if kind in _WHOLE:
        return value if isinstance(value, int) and -LONG <= value < LONG else None
    if kind in _REAL:
        return value if isinstance(value, int | float) else None
    if kind == "ip" and isinstance(value, str):
        return address(value)
    if kind == "date" and isinstance(value, str):
        return _date(value)
    return None


def _plain(value: Any) -> str | None:  # noqa: ANN401
    return as_text(value) if isinstance(value, int | float) else None


def _date(value: str) -> str | None:
    try:
        moment = datetime.fromisoformat(value)
        return iso(moment) if moment.tzinfo else None
    except (ValueError, OverflowError):
        return None
