"""Time stamps: always UTC, always the same width, so that text order is time order."""

from datetime import UTC, datetime


def iso(moment: datetime) -> str:
    """Return an aware moment as `2026-11-22T08:15:30.000000Z`; naive ones raise ValueError."""
    if moment.tzinfo is None:
        raise ValueError("a time stamp needs a zone")
    return moment.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"


def parse_iso(text: str) -> datetime:
    """Return an ISO 8601 / RFC 3339 time stamp as an aware UTC moment; a missing zone means UTC.

    Digits beyond microseconds are dropped. Raises ValueError for anything else.
    """
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        return moment.replace(tzinfo=UTC)
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        raise ValueError("the time lies outside of the calendar") from None


def now() -> datetime:
    """Return the wall clock; only the shells and `soc.run` call it, everything else is told."""
    return datetime.now(UTC)
