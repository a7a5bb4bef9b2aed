"""Events: flat inside, nested at the edges, with ids that recognise a replay."""

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from soc.model.event import event_id, flatten, nest, values

scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text()
keys = st.text("ab.@", min_size=0, max_size=6)
events = st.dictionaries(keys, scalars | st.lists(scalars, max_size=3), max_size=8)
documents = st.recursive(
    st.dictionaries(keys, scalars, max_size=3),
    lambda inner: st.dictionaries(keys, scalars | inner, max_size=3),
    max_leaves=10,
)

on_a_busy_machine = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])


@on_a_busy_machine
@given(events)
def test_nesting_loses_nothing_whatever_the_keys_are(event: dict[str, Any]) -> None:
    assert flatten(nest(event)) == event


@on_a_busy_machine
@given(documents)
def test_flattening_twice_is_flattening_once(document: dict[str, Any]) -> None:
    assert flatten(flatten(document)) == flatten(document)


def test_nesting_is_ecs_as_people_know_it() -> None:
    event = {"@timestamp": "t", "source.ip": "10.0.0.7", "source.port": 22, "tags": ["a"]}
    assert nest(event) == {
        "@timestamp": "t",
        "source": {"ip": "10.0.0.7", "port": 22},
        "tags": ["a"],
    }


def test_a_field_that_is_also_the_parent_of_another_keeps_its_dots() -> None:
    assert nest({"a": 1, "a.b": 2}) == {"a": 1, "a.b": 2}
    assert nest({"a.b": 2, "a.c": 3, "a": 1}) == {"a": 1, "a.b": 2, "a.c": 3}
    assert nest({"x.a.b": 2, "x.a": 1, "x.c": 3}) == {"x": {"a": 1, "c": 3}, "x.a.b": 2}


def test_json_nested_deeper_than_python_recurses_is_flattened() -> None:
    document: dict[str, Any] = {"end": 1}
    for _level in range(2_000):
        document = {"a": document}
    (name,) = flatten(document)
    assert name.count("a.") == 2_000


MOMENT = datetime(2026, 11, 22, 8, 15, 30, 123456, UTC)


def test_an_event_id_is_its_time_and_a_keyed_digest() -> None:
    found = event_id(MOMENT, b"key", "auth.log", "17", 0)
    prefix, _dash, digest = found.partition("-")
    assert int(prefix, 16) == int(MOMENT.timestamp() * 1000)
    assert (len(prefix), len(digest)) == (12, 32)
    assert found == event_id(MOMENT, b"key", "auth.log", "17", 0)


def test_ids_sort_by_time_and_a_record_without_one_comes_first() -> None:
    ids = [
        event_id(moment, b"key", "s", "1", 0)
        for moment in (None, MOMENT, MOMENT + timedelta(milliseconds=1))
    ]
    assert ids == sorted(ids)
    assert ids[0].startswith("000000000000-")


@pytest.mark.parametrize(
    "other",
    [(b"kez", "s", "1", 0), (b"key", "t", "1", 0), (b"key", "s", "2", 0), (b"key", "s", "1", 1)],
)
def test_key_source_position_and_index_all_count(other: tuple[bytes, str, str, int]) -> None:
    assert event_id(MOMENT, b"key", "s", "1", 0) != event_id(MOMENT, *other)


def test_names_that_are_not_unicode_and_times_out_of_range_have_ids_too() -> None:
    assert event_id(datetime(1, 1, 1, tzinfo=UTC), b"k", "\udcff", "\udcff", 0).startswith("0" * 12)
    late = datetime(9999, 12, 31, 23, 59, tzinfo=timezone(-timedelta(hours=12)))
    assert len(event_id(late, b"k", "", "", 0)) == 45


def test_values_of_a_field_are_a_list() -> None:
    assert values(None) == []
    assert values("x") == ["x"]
    assert values(["x", "y"]) == ["x", "y"]
    assert values(0) == [0]
