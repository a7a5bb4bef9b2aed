"""Pipelines: which events a log source means, and where its fields are."""

from pathlib import Path
from typing import Any

import pytest

from detectors.sigma.reference import Reference
from detectors.sigma.rule import LogSource
from soc.errors import ContentError
from tests.detectors.sigma.sigma_rules import load_text, pipelines, rule

PIPELINE = """\
title: Windows
prefix: winlog.event_data.
fields:
  EventID: [event.code]
logsources:
  - logsource: {product: windows, category: process_creation}
    events:
      - {winlog.channel: Sysmon, event.code: "1"}
      - {winlog.channel: Security*, event.code: ["4688", "4689"]}
    fields:
      Image: [winlog.event_data.Image, winlog.event_data.NewProcessName]
  - logsource: {product: windows, service: security}
    events: [{winlog.channel: Security}]
"""


def fires(folder: Path, detection: str, logsource: str, event: dict[str, Any]) -> bool:
    report = load_text(folder, rule(detection, logsource=logsource))
    assert report.rejected == ()
    return bool(Reference(report.rules, pipelines(folder, PIPELINE)).evaluate(event))


CREATION = "{product: windows, category: process_creation}"


@pytest.mark.parametrize(
    ("event", "expected"),
    [
        ({"winlog.channel": "sysmon", "event.code": 1, "winlog.event_data.Image": "x"}, True),
        ({"winlog.channel": "Sysmon", "event.code": "3", "winlog.event_data.Image": "x"}, False),
        ({"winlog.channel": "Security", "event.code": "1", "winlog.event_data.Image": "x"}, False),
        (
            {
                "winlog.channel": "Security-Auditing",
                "event.code": "4688",
                "winlog.event_data.NewProcessName": "X",
            },
            True,
        ),
        ({"winlog.event_data.Image": "x"}, False),
    ],
)
def test_only_events_of_the_log_source_are_seen(
    tmp_path: Path, event: dict[str, Any], expected: bool
) -> None:
    assert fires(tmp_path, "s: {Image: x}\ncondition: s", CREATION, event) is expected


@pytest.mark.parametrize(
    ("logsource", "served"),
    [
        ("{product: windows}", 2),
        ("{category: process_creation}", 1),
        ("{product: windows, service: security}", 1),
        ("{product: linux, category: process_creation}", 0),
        ("{product: windows, category: process_creation, service: security}", 0),
    ],
)
def test_a_log_source_is_served_by_every_entry_that_says_the_same(
    tmp_path: Path, logsource: str, served: int
) -> None:
    (found,) = load_text(tmp_path, rule("s: {F: x}\ncondition: s", logsource=logsource)).rules
    loaded = pipelines(tmp_path, PIPELINE)
    route = loaded.route(found.logsource)
    assert (len(route.sources) if route else 0) == served
    assert loaded.unserved([found]) == ([] if served else [found])


def test_the_first_field_that_has_a_value_counts(tmp_path: Path) -> None:
    base: dict[str, Any] = {"winlog.channel": "Sysmon", "event.code": "1"}
    detection = "s: {Image: x}\ncondition: s"
    both = {"winlog.event_data.Image": "y", "winlog.event_data.NewProcessName": "x"}
    assert not fires(tmp_path, detection, CREATION, base | both)
    null = {"winlog.event_data.Image": None, "winlog.event_data.NewProcessName": "x"}
    assert fires(tmp_path, detection, CREATION, base | null)


def test_null_is_absent_from_all(tmp_path: Path) -> None:
    base: dict[str, Any] = {"winlog.channel": "Sysmon", "event.code": "1"}
    detection = "s: {Image: null}\ncondition: s"
    assert fires(tmp_path, detection, CREATION, base)
    assert not fires(
        tmp_path, detection, CREATION, base | {"winlog.event_data.NewProcessName": "x"}
    )


@pytest.mark.parametrize(
    "fields",
    [{"winlog.event_data.CommandLine": "x"}, {"CommandLine": "x"}],
)
def test_a_field_in_no_table_is_looked_for_with_prefix_then_as_it_is(
    tmp_path: Path, fields: dict[str, Any]
) -> None:
    event = {"winlog.channel": "Sysmon", "event.code": "1", **fields}
    assert fires(tmp_path, "s: {CommandLine: x, EventID: 1}\ncondition: s", CREATION, event)


def test_one_event_of_two_entries_gives_one_finding(tmp_path: Path) -> None:
    text = rule("s: {EventID: 4688}\ncondition: s", logsource="{product: windows}")
    reference = Reference(load_text(tmp_path, text).rules, pipelines(tmp_path, PIPELINE))
    event = {"winlog.channel": "Security", "event.code": "4688"}
    assert len(reference.evaluate(event)) == 1


@pytest.mark.parametrize(
    ("change", "line", "words"),
    [
        (("prefix:", "prefx:"), 2, "unknown key 'prefx'"),
        (("    events: [{winlog", "    event: [{winlog"), 13, "unknown key 'event'"),
        (("service: security", "servce: security"), 12, "unknown key 'servce'"),
        (("    events: [{winlog.channel: Security}]\n", ""), 12, "events must be a list"),
        (("EventID: [event.code]", "EventID: event.code"), 4, "EventID must be a list"),
        (("EventID: [event.code]", "EventID: []"), 4, "EventID must be a list"),
        (("events: [{winlog.channel: Security}]", "events: [{}]"), 13, "field: value"),
        (("title: Windows", "title: ["), 3, "not valid YAML"),
    ],
)
def test_a_mistake_in_a_pipeline_is_an_error_with_its_line(
    tmp_path: Path, change: tuple[str, str], line: int, words: str
) -> None:
    with pytest.raises(ContentError, match=words) as caught:
        pipelines(tmp_path, PIPELINE.replace(*change))
    assert caught.value.where.endswith(f"pipeline.yaml:{line}")


def test_log_sources_compare_part_by_part() -> None:
    assert LogSource("windows").covers(LogSource("windows", "process_creation"))
    assert not LogSource("windows", service="security").covers(LogSource("windows"))
