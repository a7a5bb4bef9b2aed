"""Dates as people write them in a query: every one is an interval, as long as it is imprecise.

`2026-11` is the whole month, `2026-11-22T08` the hour; `now-1d/d` the whole of yesterday. So
`@timestamp:2026-11-22` finds the day, and `[a TO b]` includes all of b. Elasticsearch rounds so.
"""

import re
from datetime import UTC, datetime, timedelta
from typing import Final

from soc.model.time import parse_iso

_PARTIAL: Final = re.compile(r"\d{4}(-\d\d(-\d\d([T ]\d\d(:\d\d(:\d\d)?)?)?)?)?", re.ASCII)
_ZONE: Final = re.compile(
    r"(?<=[T ]\d\d)(Z|[+-]\d\d:?\d\d)$|(?<=:\d\d)(Z|[+-]\d\d:?\d\d)$", re.ASCII
)
_NOW: Final = re.compile(r"now((?:[+-]\d{1,9}[smhdw])*)(?:/([smhdw]))?", re.ASCII)
_STEP: Final = re.compile(r"([+-]\d+)([smhdw])", re.ASCII)
_UNITS: Final = {
    "s": timedelta(seconds=1),
    "m": timedelta(minutes=1),
    "h": timedelta(hours=1),
    "d": timedelta(days=1),
    "w": timedelta(weeks=1),
}
_MICRO: Final = timedelta(microseconds=1)
_MONDAY: Final = datetime(1, 1, 1, tzinfo=UTC)
_WHOLE: Final = "0001-01-01T00:00:00"

Interval = tuple[datetime, datetime]


def interval(text: str, now: datetime | None) -> Interval | None:
    """Return the half-open interval that a date means; None when it is not a date.

    `now` is needed for texts that begin with `now`; without it they are no dates.
    """
    try:
        if text.startswith("now"):
            return _relative(text, now) if now else None
        zone = _ZONE.search(text)
        bare = text[: zone.start()] if zone else text
        if _PARTIAL.fullmatch(bare):
            start = parse_iso(bare + _WHOLE[len(bare) :] + (zone.group() if zone else ""))
            return start, _end(start, len(bare))
        start = parse_iso(text)
    except (ValueError, OverflowError):
        return None
    return start, start + _MICRO


def _end(start: datetime, length: int) -> datetime:
    if length == 4:
        return start.replace(year=start.year + 1)
    if length == 7:
        return (start + timedelta(days=31)).replace(day=1)
    return start + {10: _UNITS["d"], 13: _UNITS["h"], 16: _UNITS["m"], 19: _UNITS["s"]}[length]


def _relative(text: str, now: datetime) -> Interval | None:
    found = _NOW.fullmatch(text)
    if found is None:
        return None
    moment = now.astimezone(UTC)
    for amount, unit in _STEP.findall(found[1]):
        moment += int(amount) * _UNITS[unit]
    if found[2] is None:
        return moment, moment + _MICRO
    unit = _UNITS[found[2]]
    start = moment - (moment - _MONDAY) % unit
    return start, start + unit
