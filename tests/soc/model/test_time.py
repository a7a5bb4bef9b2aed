"""Time stamps are UTC and of one width, so that text order is time order."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from soc.model.time import iso, parse_iso

moments = st.datetimes(
    datetime(1, 1, 2),  # noqa: DTZ001
    datetime(9999, 12, 30),  # noqa: DTZ001
    timezones=st.just(UTC),
)


@given(moments)
def test_what_is_written_is_read_back(moment: datetime) -> None:
    assert parse_iso(iso(moment)) == moment


@given(moments, moments)
def test_text_order_is_time_order(one: datetime, other: datetime) -> None:
    assert (iso(one) < iso(other)) == (one < other)


def test_other_zones_become_utc_and_no_zone_means_utc() -> None:
    hanoi = timezone(timedelta(hours=7))
    assert iso(datetime(2026, 11, 22, 15, 0, tzinfo=hanoi)) == "2026-11-22T08:00:00.000000Z"
    assert iso(parse_iso("2026-11-22T15:00:00.1234567+07:00")) == "2026-11-22T08:00:00.123456Z"
    assert iso(parse_iso("2026-11-22 08:00")) == "2026-11-22T08:00:00.000000Z"


def test_a_moment_without_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="zone"):
        iso(datetime(2026, 11, 22))  # noqa: DTZ001


@pytest.mark.parametrize("text", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00"])
def test_a_time_outside_of_the_calendar_is_a_value_error(text: str) -> None:
    with pytest.raises(ValueError, match="calendar"):
        parse_iso(text)


@given(st.text())
def test_any_other_text_is_a_value_error(text: str) -> None:
    try:
        found = parse_iso(text)
    except ValueError:
        return
    assert found.tzinfo is UTC
