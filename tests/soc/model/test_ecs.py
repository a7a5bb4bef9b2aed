"""The table of fields says what an event may hold; `check` names field, expectation and hint."""

import json
from pathlib import Path
from typing import Any

import pytest

import soc.model
from soc.model.ecs import check, field_type, lookup, table
from soc.model.event import ECS_VERSION
from soc.model.finding import LEVELS
from tests.data import material

TABLE = Path(soc.model.__file__).parent / "fields" / "ecs.tsv"

GOOD: dict[str, Any] = {
    "@timestamp": "2026-11-22T08:15:30.000000Z",
    "ecs.version": ECS_VERSION,
    "event.created": "2026-11-22T08:15:30.000000Z",
    "event.dataset": "sshd",
    "event.id": "x",
    "event.kind": "event",
    "event.original": "raw",
    "observer.name": "node",
}


def test_the_table_is_made_from_the_official_list(pytestconfig: pytest.Config) -> None:
    first, *_rows = TABLE.read_text("utf-8").splitlines(keepends=True)
    listed = json.loads(material("ecs-fields.json").read_text("utf-8"))
    rows = [
        f"{entry['name']}\t{entry['type']}\t{'list' if entry['array'] else 'one'}\n"
        for entry in listed
    ]
    wanted = first + "".join(rows)
    if pytestconfig.getoption("--golden-update"):
        TABLE.write_text(wanted, "utf-8")
    assert TABLE.read_text("utf-8") == wanted


def test_a_whole_event_is_good() -> None:
    assert check(GOOD) == []


@pytest.mark.parametrize("name", sorted(GOOD))
def test_every_event_needs_its_envelope(name: str) -> None:
    problems = check({**GOOD, name: ""})
    assert name in {problem.field for problem in problems}


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("source.ip", "10.0.0.300", "an IP address"),
        ("source.ip", "fe80::1%eth0", "an IP address"),
        ("source.ip", 167772167, "an IP address"),
        ("source.port", "22", "a whole number"),
        ("source.port", True, "a whole number"),
        ("source.port", 2**63, "a whole number"),
        ("event.risk_score", float("nan"), "a number"),
        ("event.risk_score", float("inf"), "a number"),
        ("user.name", 7, "text"),
        ("user.name", ["root"], "one value"),
        ("tags", "a", "a list"),
        ("tags", ["a", 7], "text"),
        ("event.start", "2026-11-22T08:15:30Z", "UTC as"),
        ("event.start", "2026-11-22T08:15:30.000000+00:00", "UTC as"),
        ("dll.code_signature.exists", 1, "true or false"),
        ("source.geo.location", "10.7,106.6", "an object"),
        ("winlog.event_data.LogonType", 3, "text"),
    ],
)
def test_a_value_of_the_wrong_type_is_named(name: str, value: object, expected: str) -> None:
    (problem,) = check({**GOOD, name: value})
    assert problem.field == name
    assert problem.expected.startswith(expected)
    assert name in str(problem)
    assert expected in str(problem)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("source.ip", "2001:db8::1"),
        ("source.port", 22),
        ("event.risk_score", 7),
        ("event.risk_score", 7.5),
        ("tags", ["a", "b"]),
        ("dll.code_signature.exists", True),
        ("winlog.event_data.AnyNameAtAll", "3"),
        ("soc.unmapped.vendor.field", "x"),
    ],
)
def test_a_value_of_the_right_type_is_good(name: str, value: object) -> None:
    assert check({**GOOD, name: value}) == []


def test_an_unknown_field_is_named_with_the_nearest_known_one() -> None:
    (problem,) = check({**GOOD, "source.ipp": "10.0.0.7"})
    assert (problem.field, problem.hint) == ("source.ipp", "source.ip")


def test_our_own_fields_have_a_type_and_a_sentence() -> None:
    own = [entry for entry in table().values() if entry.description]
    assert {entry.name for entry in own} >= {"rule.level", "organization.unit", "soc.alert.id"}
    assert all(entry.description.endswith(".") for entry in own)


def test_a_family_covers_its_members_and_unknown_fields_are_keywords() -> None:
    member = lookup("winlog.event_data.OfNoRule")
    assert member is not None
    assert member.name == "winlog.event_data.*"
    assert lookup("winlog.event_dat") is None
    assert (field_type("source.ip"), field_type("no.such")) == ("ip", "keyword")


def test_the_levels_stand_in_rising_order() -> None:
    assert LEVELS == ("informational", "low", "medium", "high", "critical")
