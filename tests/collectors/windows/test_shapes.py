"""One output shape for Windows events, whatever form they arrive in."""

import io
import json
import time
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from collectors.frame import MAX_RECORD, Context, Frame, Source
from collectors.framing import windows_xml as xml_frames
from collectors.normalise import Normaliser
from collectors.parsers import windows_evtx, windows_json, windows_xml
from collectors.parsing import Fields, parser
from soc.model.ecs import check
from soc.model.event import Event, flatten, nest

NOW = datetime(2026, 11, 22, 9, tzinfo=UTC)
DATA = "winlog.event_data."


def from_json(document: object, zone: timezone = UTC) -> Fields:
    (fields,) = windows_json.parse(orjson.dumps(document).decode(), Context(NOW, zone))
    return fields


def from_xml(record: str) -> Fields:
    (fields,) = windows_xml.parse(record, Context(NOW))
    return fields


def sysmon(**data: object) -> dict[str, object]:
    return {"EventID": 1, "Channel": "Microsoft-Windows-Sysmon/Operational", **data}


def tree(data: object) -> dict[str, object]:
    system = {
        "Provider": {"#attributes": {"Name": "Microsoft-Windows-Sysmon"}},
        "EventID": 3,
        "TimeCreated": {"#attributes": {"SystemTime": "2026-11-22T08:15:30.1234567Z"}},
        "EventRecordID": 9,
        "Channel": "Microsoft-Windows-Sysmon/Operational",
        "Computer": "pc17",
    }
    return {"Event": {"System": system, "EventData": data}}


SAME = {"Image": r"C:\a\b.exe", "Initiated": "true", "DestinationPort": "443", "Empty": ""}


def test_four_forms_of_one_event_are_one_event() -> None:
    data = "".join(f"<Data Name='{name}'>{value}</Data>" for name, value in SAME.items())
    forms = [
        from_xml(
            "<Event xmlns='http://schemas.microsoft.com/win/2004/08/events/event'><System>"
            "<Provider Name='Microsoft-Windows-Sysmon'/><EventID>3</EventID>"
            "<TimeCreated SystemTime='2026-11-22T08:15:30.1234567Z'/>"
            "<EventRecordID>9</EventRecordID>"
            "<Channel>Microsoft-Windows-Sysmon/Operational</Channel><Computer>pc17</Computer>"
            f"</System><EventData>{data}</EventData></Event>"
        ),
        from_json(tree({**SAME, "Initiated": True, "DestinationPort": 443})),
        from_json(
            {
                "@timestamp": "2026-11-22T08:15:30.123456Z",
                "winlog": {
                    "event_id": 3,
                    "provider_name": "Microsoft-Windows-Sysmon",
                    "record_id": 9,
                    "channel": "Microsoft-Windows-Sysmon/Operational",
                    "computer_name": "pc17",
                    "event_data": SAME,
                },
            }
        ),
        from_json(
            {
                "@timestamp": "2026-11-22T08:15:30.123456Z",
                "EventID": "3",
                "SourceName": "Microsoft-Windows-Sysmon",
                "RecordNumber": 9,
                "Channel": "Microsoft-Windows-Sysmon/Operational",
                "Hostname": "pc17",
                **SAME,
            }
        ),
    ]
    assert all(form == forms[0] for form in forms)
    assert forms[0]["network.direction"] == "egress"
    assert forms[0]["destination.port"] == 443
    assert forms[0]["@timestamp"] == datetime(2026, 11, 22, 8, 15, 30, 123456, UTC)


def test_event_data_stays_as_it_is_and_twins_leave_nothings_out() -> None:
    fields = from_json(sysmon(Image="-", CommandLine="", User="CITY\\lan", Company=None))
    assert fields[DATA + "Image"] == "-"
    assert fields[DATA + "CommandLine"] == ""
    assert DATA + "Company" not in fields
    assert "process.executable" not in fields
    assert "process.command_line" not in fields
    assert (fields["user.name"], fields["user.domain"]) == ("lan", "CITY")


def test_names_lose_spaces_and_what_would_break_nesting() -> None:
    fields = from_json(
        {"EventID": 1, "Channel": "X", "EventData": {"Threat Name": "a", "x.y\x1b": "b", "z": "c"}}
    )
    data = {name: value for name, value in fields.items() if name.startswith(DATA)}
    assert data == {DATA + "ThreatName": "a", DATA + "x_y_": "b", DATA + "z": "c"}


def test_unnamed_values_are_numbered_and_listed_and_repeated_names_are_kept() -> None:
    fields = from_xml(
        "<Event><System><EventID>1</EventID></System><EventData><Data>a</Data><Data>b</Data>"
        "<Data Name='N'>1</Data><Data Name='N'>2</Data></EventData></Event>"
    )
    assert fields[DATA + "Data"] == ["a", "b"]
    assert (fields[DATA + "param1"], fields[DATA + "param2"]) == ("a", "b")
    assert (fields[DATA + "N"], fields[DATA + "N_1"]) == ("1", "2")


@pytest.mark.parametrize(
    ("stamps", "expected"),
    [
        ({"SystemTime": "2026-01-01T00:00:00Z", "@timestamp": "2026-01-02T00:00:00Z"}, 1),
        ({"@timestamp": "2026-01-02T00:00:00Z", "UtcTime": "2026-01-03 00:00:00"}, 2),
        ({"UtcTime": "2026-01-03 00:00:00.000", "EventTime": "2026-01-04 00:00:00"}, 3),
        ({"EventTime": "2026-01-04 07:00:00"}, 4),
        ({"SystemTime": "yesterday", "EventTime": "2026-01-04 07:00:00"}, 4),
    ],
)
def test_the_time_is_taken_from_the_best_source(stamps: dict[str, str], expected: int) -> None:
    fields = from_json(sysmon(**stamps), timezone(timedelta(hours=7)))
    assert fields["@timestamp"] == datetime(2026, 1, expected, tzinfo=UTC)


def test_guids_of_the_evtx_library_are_written_as_windows_and_rules_write_them() -> None:
    fields = from_json(tree({"SubcategoryGuid": "0CCE9217-69AE-11D9-BED3-505054503030"}))
    assert fields[DATA + "SubcategoryGuid"] == "{0CCE9217-69AE-11D9-BED3-505054503030}"


def test_nxlog_event_type_is_not_sysmons() -> None:
    audit = from_json({"EventID": 4625, "Channel": "Security", "EventType": "AUDIT_FAILURE"})
    assert audit["event.outcome"] == "failure"
    assert DATA + "EventType" not in audit
    assert from_json(sysmon(EventType="SetValue"))[DATA + "EventType"] == "SetValue"


@pytest.mark.parametrize(
    "record",
    [
        "",
        "no",
        "[1]",
        '{"event_type":"dns","timestamp":"2026-11-22T08:15:30Z"}',
        '{"EventID":1}',
        '{"EventName":"ConsoleLogin","EventSource":"signin.example"}',
        '{"Event":"click","Channel":"web"}',
        '{"winlogger":1}',
    ],
)
def test_other_json_is_not_claimed(record: str) -> None:
    assert not windows_json.recognise(record)
    with pytest.raises(ValueError, match=r"."):
        list(windows_json.parse(record, Context(NOW)))


@pytest.mark.parametrize("line", ["<html>", "<13>Nov 22 x", "<EventSource>", "<Dataset>", "Event"])
def test_other_markup_is_not_claimed(line: str) -> None:
    assert not windows_xml.recognise(line)


def test_entities_are_refused() -> None:
    bomb = (
        '<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;">]>'
        "<Event><System><EventID>1</EventID></System><EventData><Data>&b;</Data></EventData></Event>"
    )
    outside = '<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]><Event>&a;</Event>'
    for record in (bomb, outside):
        with pytest.raises(ValueError, match="not a Windows event"):
            list(windows_xml.parse(record, Context(NOW)))


def test_deep_and_wide_records_take_linear_time() -> None:
    deep = "<a>" * 50_000 + "</a>" * 50_000
    wide = "<Data Name='N'>x</Data>" * 30_000
    body = "<Event><System><EventID>1</EventID></System>{}</Event>"
    start = time.perf_counter()
    assert from_xml(body.format(f"<UserData>{deep}</UserData>"))["event.code"] == "1"
    assert DATA + "N_29999" in from_xml(body.format(f"<EventData>{wide}</EventData>"))
    assert time.perf_counter() - start < 5


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=8,
)


@given(
    st.sampled_from(["1", "3", "7", "13", "22", "4624", "4769", "7045", "1116", "104"]),
    st.sampled_from(
        [
            "Microsoft-Windows-Sysmon/Operational",
            "Security",
            "System",
            "Microsoft-Windows-Windows Defender/Operational",
        ]
    ),
    st.dictionaries(
        st.text(max_size=12)
        | st.sampled_from(["Image", "ProcessId", "IpAddress", "IpPort", "Hashes", "User", "Data"])
        | st.sampled_from(["QueryResults", "Version", "Keywords", "TimeCreated", "Status"]),
        VALUES,
        max_size=8,
    ),
    st.booleans(),
)
def test_hostile_values_make_sound_events(
    code: str, channel: str, data: dict[str, Any], inside: bool
) -> None:
    document = {"EventID": code, "Channel": channel, **({"EventData": data} if inside else {})}
    if not inside:
        document = {**data, **document}
    try:
        raw = orjson.dumps(document)
    except TypeError:  # a number that JSON text could hold, but not this library
        raw = json.dumps(document).encode()
    event = event_of(raw)
    if "error.message" not in event:
        (fields,) = windows_json.parse(raw.decode(), Context(NOW))
        assert all(n in windows_json.FIELDS or n.startswith(DATA) for n in fields)
    assert check(event) == []
    assert flatten(nest(event)) == event


def event_of(raw: bytes) -> Event:
    normaliser = Normaliser(Source(b"key"), parser("windows_json"))
    (event,) = normaliser.events(Frame(raw, "0"), NOW)
    return event


@pytest.mark.parametrize("size", [1, 7, 8, 9, 100, 1 << 16])
def test_xml_frames_do_not_depend_on_how_the_bytes_come(size: int) -> None:
    events = [b"<Event xmlns='x'><a>%d</a><EventData/></Event>" % n for n in range(50)]
    content = b"\xef\xbb\xbf<?xml?><Events>" + b"\r\n".join(events[:20]) + b"".join(events[20:])

    class Slow(io.BytesIO):
        def read1(self, count: int | None = -1) -> bytes:
            return self.read(size)

    frames = list(xml_frames.frames(Slow(content)))
    assert [frame.raw for frame in frames] == events
    assert [content[f.offset or 0 :][: len(f.raw)] for f in frames] == events


def test_an_endless_xml_event_costs_bounded_memory_and_the_next_one_is_read() -> None:
    long = b"<Event >" + b"x" * (3 * MAX_RECORD) + b"</Event>"
    content = long + b"<Event>2</Event>" + b"<Event>" + b"y" * (2 * MAX_RECORD)
    frames = list(xml_frames.frames(io.BytesIO(content)))
    assert [frame.truncated for frame in frames] == [True, False, True]
    assert frames[1].raw == b"<Event>2</Event>"
    assert frames[1].offset == len(long)
    assert all(len(frame.raw) <= MAX_RECORD for frame in frames)


def test_examples_are_what_the_parsers_say_they_are() -> None:
    for module in (windows_evtx, windows_xml, windows_json):
        (fields,) = module.parse(module.EXAMPLE, Context(NOW))
        assert fields["user.name"] == "lan"
        assert fields["event.action"]
