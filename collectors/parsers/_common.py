"""What several parsers need: addresses, numbers, JSON, times without a zone or a year."""

import ipaddress
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any, Final

import orjson

from collectors.frame import Context
from collectors.parsing import Fields

MONTHS: Final = {
    **{"Jan": 1, "Feb": 2, "Mar": 3, "Apr": 4, "May": 5, "Jun": 6},
    **{"Jul": 7, "Aug": 8, "Sep": 9, "Oct": 10, "Nov": 11, "Dec": 12},
}
LONG: Final = 1 << 63
"""Whole numbers of events are below this and at least its negative."""
MAX_DEPTH: Final = 16
"""Levels of nested objects that become dotted names (Elasticsearch allows 20)."""

_DAY: Final = timedelta(days=1)
# An escaped backslash and a good pair are matched, too, to be stepped over.
_SURROGATE: Final = re.compile(
    r"\\\\|\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|(\\u[dD][89a-fA-F][0-9a-fA-F]{2})"
)


@lru_cache(maxsize=8192)
def address(text: str) -> str | None:
    """Return an IP address in its usual form, an IPv4-mapped one as IPv4; None if it is none."""
    try:
        found = ipaddress.ip_address(text.strip("[]").partition("%")[0])
    except ValueError:
        return None
    if isinstance(found, ipaddress.IPv6Address) and found.ipv4_mapped:
        return str(found.ipv4_mapped)
    return str(found)


def put_address(fields: Fields, side: str, text: str | None) -> None:
    """Set `source.ip`, or `source.address` where it is a name ("source" being the side)."""
    if text and text != "-":
        ip = address(text)
        fields[f"{side}.ip" if ip else f"{side}.address"] = ip or text


def number(text: str | None) -> int | None:
    """Return a whole number of ASCII digits that fits a long, None for anything else."""
    if text is None or len(text) > 18 or not (text.isascii() and text.isdigit()):
        return None
    return int(text)


def port(text: str | None) -> int | None:
    """Return a port, None for what is none."""
    found = number(text)
    return found if found is not None and found < 65536 else None


def yearless(context: Context, month: str, day: int, clock: tuple[int, int, int, int]) -> datetime:
    """Return the latest moment with this date that is at most a day ahead of its receipt.

    `clock` is hour, minute, second, microsecond. Raises ValueError when there is no such date.
    """
    number_ = MONTHS.get(month)
    if number_ is None:
        raise ValueError("no such month")
    latest = context.received + _DAY
    year = latest.astimezone(context.zone).year
    for candidate in range(year, max(year - 9, 0), -1):  # 29 February: up to 8 years apart
        try:
            moment = datetime(candidate, number_, day, *clock, tzinfo=context.zone)
        except ValueError:
            if month != "Feb" or day != 29:
                raise
            continue
        if moment <= latest:
            return moment
    raise ValueError("no such date")


def moment(text: str, context: Context) -> datetime:
    """Return an ISO 8601 time stamp; without a zone it is in the source's. Raises ValueError."""
    found = datetime.fromisoformat(text)
    return found if found.tzinfo else found.replace(tzinfo=context.zone)


def from_epoch(seconds: float) -> datetime:
    """Return the moment of seconds, milli-, micro- or nanoseconds since 1970, told by size."""
    for scale in (1, 1_000, 1_000_000, 1_000_000_000):
        if abs(seconds) < 1e11 * scale:
            return datetime.fromtimestamp(seconds / scale, UTC)
    raise ValueError("no time is that late")


def json_object(record: str) -> dict[str, Any]:
    """Return the JSON object of a record; a lone surrogate in it costs that character only.

    Raises ValueError for what is not an object, or nested too deeply.
    """
    try:
        found = orjson.loads(record)
    except orjson.JSONDecodeError:
        mended = _SURROGATE.sub(lambda m: "\\ufffd" if m[1] else m[0], record)
        if mended == record:
            raise
        found = orjson.loads(mended)
    if not isinstance(found, dict):
        raise ValueError("this is JSON, but not an object")
    return found


def as_text(value: Any) -> str | None:  # noqa: ANN401 - any JSON value
    """Return a JSON value as text: text as it is, null as None, objects and lists as JSON."""
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return str(value)
    try:
        return orjson.dumps(value).decode()
    except TypeError as error:  # orjson's own limit, 254 levels
        raise ValueError("nested too deeply") from error


def leaves(document: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """Return a document's leaves by dotted name; objects deeper than MAX_DEPTH are leaves."""
    stack = [("", iter(document.items()))]
    while stack:
        path, items = stack[-1]
        for key, value in items:
            if isinstance(value, dict) and len(stack) < MAX_DEPTH:
                stack.append((f"{path}{key}.", iter(value.items())))
                break
            yield f"{path}{key}", value
        else:
            stack.pop()


def put_host(fields: Fields, host: str) -> None:
    """Set `url.domain` and `url.port` from `portal.example:8443` or `[2001:db8::1]:8443`."""
    name, colon, number_ = host.rpartition(":")
    if not colon or number_.endswith("]"):
        name, number_ = host, ""
    fields["url.domain"] = name.strip("[]") or None
    fields["url.port"] = port(number_)


def put_target(fields: Fields, target: str) -> None:
    """Set the `url.*` fields of a request's target, a path with a query or a whole URL."""
    fields["url.original"] = target
    rest = target.partition("#")[0]
    scheme, found, after = rest.partition("://")
    if found and "/" not in scheme and "?" not in scheme:
        host, slash, path = after.partition("/")
        fields["url.scheme"] = scheme.lower()
        put_host(fields, host.rpartition("@")[2])
        rest = slash + path or "/"
    path, asked, query = rest.partition("?")
    fields["url.path"] = path
    if asked:
        fields["url.query"] = query
    name, dot, extension = path.rpartition("/")[2].rpartition(".")
    if dot and name and len(extension) <= 16 and extension.isalnum():
        fields["url.extension"] = extension
