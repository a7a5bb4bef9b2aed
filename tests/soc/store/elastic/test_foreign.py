"""Documents of other programs become events that everything here can rely on."""

from typing import Any

import orjson
import pytest

from detectors.sigma.correlation.match import excerpt
from soc.alerts.raising import to_alert
from soc.model.event import ECS_VERSION
from soc.model.finding import Finding, RuleInfo
from soc.model.reason import Reason
from soc.model.time import now, parse_iso
from soc.store.elastic.wire import decode, encode, resent

STAMP = "2026-11-22T08:15:30.123Z"


def deep(text: str) -> Any:
    value: Any = [text]
    for _ in range(900):
        value = [value]
    return value


@pytest.mark.parametrize(
    "fields",
    [
        {"soc.rest": "{"},
        {"soc.rest": "5"},
        {"soc.rest": '["a"]'},
        {"soc.rest": '{"@timestamp": 5, "event.id": {"a": 1}}'},
        {"soc.index": [{"resent": True}]},
        {"soc.index": [None]},
        {"soc.index": {"resent": True}, "event": {"id": ["a"]}},
        {"event": {"id": 7}},
        {"event": {"id": None}},
        {"event": {"id": ""}},
        {"event": {"id": "x" * 100_000}},
        {"event": None},
        {"ecs": [{"version": "8"}]},
        {"host": {"name": deep("pc17")}, "message": deep("m")},
        {"host": [{"name": deep("pc17")}]},
    ],
)
def test_whatever_others_write_can_be_raised(fields: dict[str, Any]) -> None:
    source = {"@timestamp": STAMP, "message": "m", **fields}
    resent(source)
    event = decode(source, "_id")
    assert event["event.id"] == "_id"
    orjson.dumps(excerpt(event))
    finding = Finding(RuleInfo("r", "R"), [event], Reason("and", "r", True))
    alert = to_alert(finding, now())
    assert alert["ecs.version"] == ECS_VERSION
    assert encode(alert, "soc.alert.id")
    assert orjson.loads(finding.as_json())["ecs"]["version"] == ECS_VERSION


@pytest.mark.parametrize(
    ("written", "read"),
    [
        (STAMP, STAMP),
        ([STAMP], "2026-11-22T08:15:30.123000Z"),
        (1763800000123, "2025-11-22T08:26:40.123000Z"),
        ("1763800000123", "2025-11-22T08:26:40.123000Z"),
        ("2026", "2026-01-01T00:00:00.000000Z"),
        ("2026-11", "2026-11-01T00:00:00.000000Z"),
        (253402300800000, "1970-01-01T00:00:00.000000Z"),
        ("9999-12-31T23:59:59.999-12:00", "1970-01-01T00:00:00.000000Z"),
        ("0000-01-01T00:00:00Z", "1970-01-01T00:00:00.000000Z"),
        ([], "1970-01-01T00:00:00.000000Z"),
        (None, "1970-01-01T00:00:00.000000Z"),
        ({"a": 1}, "1970-01-01T00:00:00.000000Z"),
    ],
)
def test_a_time_that_the_server_takes_is_a_time(written: object, read: str) -> None:
    event = decode({"@timestamp": written}, "_id")
    assert event["@timestamp"] == read
    parse_iso(event["@timestamp"])


def test_what_lies_too_deep_is_kept_without_its_depth() -> None:
    event = decode({"@timestamp": STAMP, "host": [{"name": deep("a")}, {"name": "b"}]}, "_id")
    assert event["host.name"] == ["a", "b"]
