"""Names of indices and documents."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from soc.model.alert import alert_id
from soc.model.event import event_id
from soc.store.elastic.names import Backing, Names, document_id

NAMES = Names("test")


@given(st.integers(0, 80 * 365 * 86_400_000))
def test_an_alert_lies_in_the_month_of_its_event(millis: int) -> None:
    moment = datetime(2020, 1, 1, tzinfo=UTC) + timedelta(milliseconds=millis)
    name = alert_id("rule", event_id(moment, b"k", "", "", 0))
    assert NAMES.alert(name) == f"soc-alerts-test-{moment:%Y.%m}"


@pytest.mark.parametrize("name", ["", "x", "ffffffffffff-1", "000000000000-1", "../_all", "\ud800"])
def test_a_forged_time_makes_no_index_of_its_own(name: str) -> None:
    assert NAMES.alert(name) == "soc-alerts-test-1970.01"


@given(st.text(max_size=600))
def test_an_id_is_always_one_that_the_server_takes(name: str) -> None:
    found = document_id(name)
    assert 0 < len(found.encode()) <= 512 or name == ""
    assert found == document_id(name)


@pytest.mark.parametrize("dataset", [None, 5, "", "A", "a b", "../x", "a,b", "*", "_x", "x" * 65])
def test_a_dataset_that_is_no_name_goes_to_other(dataset: object) -> None:
    assert NAMES.stream("events", 0, {"event.dataset": dataset}) == "logs-soc.other-test"


def test_backing_indices_are_ordered_by_generation() -> None:
    names = [".ds-logs-soc.a-x-2026.11.22-1000000", ".ds-logs-soc.a-x-2026.11.22-999999"]
    found = [one for name in names if (one := Backing.read(name))]
    assert [one.generation for one in sorted(found)] == [999_999, 1_000_000]
    assert found[0].stream == "logs-soc.a-x"
    assert Backing.read("logs-soc.a-x") is None
