"""The envelope: every frame becomes an event, whatever it holds and whatever a parser does."""

import base64
import time
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import orjson
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from collectors.frame import Context, Frame, Source
from collectors.normalise import Normaliser, parsers_of
from collectors.parsing import KIND, Fields, Parser, parser
from soc.model.ecs import check
from soc.model.event import Event, event_id, nest
from soc.registry import plugins

RECEIVED = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
SOURCE = Source(b"key", "input", path="x.log", observer="node1", unit="health", zone=UTC)
NAMES = sorted(plugins(KIND))


def only(raw: bytes, name: str, source: Source = SOURCE) -> Event:
    [event] = Normaliser(source, parser(name)).events(Frame(raw, "7", 7), RECEIVED)
    return event


def with_parse(parse: object) -> Parser:
    return replace(parser("text"), parse=parse)  # type: ignore[arg-type]


def test_the_envelope() -> None:
    event = only(b"hello", "text")
    assert event == {
        "@timestamp": "2026-11-22T12:00:00.000000Z",
        "ecs.version": event["ecs.version"],
        "event.created": "2026-11-22T12:00:00.000000Z",
        "event.dataset": "text",
        "event.id": event_id(None, b"key", "input", "7", 0),
        "event.kind": "event",
        "event.original": "hello",
        "log.file.path": "x.log",
        "log.offset": 7,
        "message": "hello",
        "observer.name": "node1",
        "organization.unit": "health",
    }
    assert check(event) == []


def test_invalid_utf8_is_kept_as_it_came() -> None:
    event = only(b"a\xffb", "text")
    assert event["message"] == "a\ufffdb"
    assert base64.b64decode(event["soc.original_base64"]) == b"a\xffb"


def test_a_cut_record_is_flagged_and_not_cut_inside_a_character() -> None:
    frame = Frame("ăệ".encode()[:-1], "0", truncated=True)
    [event] = Normaliser(SOURCE, parser("text")).events(frame, RECEIVED)
    assert (event["message"], event["soc.truncated"]) == ("ă", True)
    assert "soc.original_base64" not in event


def test_a_byte_order_mark_is_no_text() -> None:
    assert only("\ufeffhello".encode(), "text")["message"] == "hello"


@pytest.mark.parametrize(("ahead", "flagged"), [(4, False), (6, True)])
def test_a_clock_ahead_is_flagged_and_kept(ahead: int, flagged: bool) -> None:
    moment = RECEIVED + timedelta(minutes=ahead)
    event = only(f"{moment.isoformat()} web01 app: x".encode(), "syslog")
    assert event["@timestamp"].startswith(f"2026-11-22T12:0{ahead}")
    assert event.get("soc.clock_skew", False) is flagged


def test_ids_tell_records_apart_and_replays_together() -> None:
    line = b"Nov 22 08:15:30 web01 app: same"
    normaliser = Normaliser(SOURCE, parser("syslog"))
    first, again, other = (
        normaliser.events(Frame(line, position), RECEIVED)[0]["event.id"]
        for position in ("0", "0", "32")
    )
    assert first == again != other
    assert first[:12] == other[:12] != "0" * 12


def test_several_events_of_a_record_have_ids_of_their_own() -> None:
    def two(record: str, context: Context) -> Iterable[Fields]:
        return [{"message": "a"}, {"message": None, "user.name": "b"}]

    first, second = Normaliser(SOURCE, with_parse(two)).events(Frame(b"x", "0"), RECEIVED)
    assert first["event.id"] != second["event.id"]
    assert "message" not in second


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (ValueError("no date"), "text: no date"),
        (RecursionError("deep"), "text: RecursionError"),
        (KeyError("secret"), "text: KeyError"),
        (ValueError("Invalid isoformat string: 'secret'"), "text: Invalid isoformat string"),
    ],
)
def test_a_failing_parser_costs_one_record(error: Exception, reason: str) -> None:
    def fail(record: str, context: Context) -> Iterable[Fields]:
        raise error

    [event] = Normaliser(SOURCE, with_parse(fail)).events(Frame(b"raw", "0"), RECEIVED)
    assert event["event.kind"] == "pipeline_error"
    assert (event["error.message"], event["message"]) == (reason, "raw")
    assert check(event) == []


@pytest.mark.parametrize("fields", [{"@timestamp": datetime(2026, 1, 1)}, {"@timestamp": "x"}])  # noqa: DTZ001
def test_a_bad_time_is_the_parsers_failure(fields: Fields) -> None:
    [event] = Normaliser(SOURCE, with_parse(lambda r, c: [fields])).events(
        Frame(b"r", "0"), RECEIVED
    )
    assert event["event.kind"] == "pipeline_error"


def test_a_parser_that_finds_nothing_loses_nothing() -> None:
    [event] = Normaliser(SOURCE, with_parse(lambda r, c: [])).events(Frame(b"raw", "0"), RECEIVED)
    assert event["message"] == "raw"


def test_related_fields() -> None:
    event = only(
        b'{"source":{"ip":"192.0.2.1"},"destination":{"ip":"192.0.2.2"},"host.name":"h",'
        b'"user":{"name":"u","effective":{"name":"root"}},"related":{"ip":["192.0.2.9"]}}',
        "json_lines",
    )
    assert event["related.ip"] == ["192.0.2.9", "192.0.2.1", "192.0.2.2"]
    assert event["related.user"] == ["u", "root"]
    assert event["related.hosts"] == ["h"]


@pytest.mark.parametrize(
    "program", ["sshd", "SSHD", "/usr/sbin/sshd", "sshd@2-192.0.2.1:22", "sshd-session"]
)
def test_a_syslog_message_goes_to_the_parser_of_its_program(program: str) -> None:
    assert [p.name for p in parsers_of(program)] == ["pam", "sshd"]


def test_an_unknown_program_stays_syslog() -> None:
    event = only(b"Nov 22 08:15:30 web01 wondered[1]: at the moon", "syslog")
    assert (event["event.dataset"], event["process.name"]) == ("syslog", "wondered")


def test_local_time_of_the_source() -> None:
    source = replace(SOURCE, zone=ZoneInfo("Asia/Ho_Chi_Minh"))
    event = only(b"Nov 22 08:15:30 web01 app: x", "syslog", source)
    assert event["@timestamp"] == "2026-11-22T01:15:30.000000Z"


LINES = st.one_of(
    st.text(max_size=200),
    st.sampled_from([parser(n).example for n in NAMES]).flatmap(
        lambda line: st.tuples(
            st.just(line), st.integers(0, len(line)), st.integers(0, 9), st.text(max_size=5)
        ).map(lambda t: t[0][: t[1]] + t[3] + t[0][t[1] + t[2] :])
    ),
)


@pytest.mark.parametrize("name", NAMES)
@given(LINES)
@example("")
@example("<34>1 - - - - - [")
@example('{"event_type":7,"timestamp":[]}')
def test_parsers_refuse_only_with_value_error(name: str, record: str) -> None:
    try:
        found = list(parser(name).parse(record, Context(RECEIVED)))
    except ValueError:
        return
    assert all(isinstance(fields, dict) for fields in found)


@pytest.mark.parametrize("name", NAMES)
@given(st.binary(max_size=200) | LINES.map(lambda text: text.encode("utf-8", "surrogatepass")))
def test_every_frame_becomes_a_valid_event(name: str, raw: bytes) -> None:
    events = Normaliser(SOURCE, parser(name)).events(Frame(raw, "0"), RECEIVED)
    assert events
    for event in events:
        assert [str(problem) for problem in check(event) if problem.field != "event.original"] == []
        orjson.dumps(nest(event))


DEEP = '{"event_type":"x","timestamp":"2026-11-22T08:15:30Z","a":' + '{"a":' * 900 + "1" + "}" * 901
HOSTILE = {
    "a line of 1 MB": b"x" * (1 << 20),
    "spaces": b" " * (1 << 20),
    "quotes": b'"' * (1 << 20),
    "backslashes": b'1.1.1.1 - - [22/Nov/2026:08:15:30 +0700] "' + b"\\" * (1 << 19),
    "NUL": b"\0" * (1 << 20),
    "brackets": b"[" * 100_000,
    "objects": b'{"a":' * 100_000,
    "deep object": DEEP.encode(),
    "huge number": b'{"time":' + b"9" * 100_000 + b"}",
    "surrogates": b'{"msg":"' + b"\\ud800" * 100_000 + b'"}',
    "many keys": b"{" + b",".join(b'"k%d":%d' % (n, n) for n in range(50_000)) + b"}",
    "structured data": b"<34>1 - h a - - [x" + b' a="b"' * 100_000,
    "sshd": b"Nov 22 08:15:30 h sshd[1]: Failed password for " + b" from 1.1.1.1 port 1" * 40_000,
    "sshd user": b"Nov 22 08:15:30 h sshd[1]: Connection closed by invalid user " + b"a " * 400_000,
    "sshd PAM": b"Nov 22 08:15:30 h sshd[1]: error: PAM: x" + b" for x from y" * 60_000 + b" ",
    "sshd accepted": b"Nov 22 08:15:30 h sshd[1]: Accepted x for " + b"y from z port 1: " * 50_000,
    "sudo": b"Nov 22 08:15:30 h sudo: a : " + b"TTY=x ; " * 100_000,
    "pam": b"Nov 22 08:15:30 h su: pam_unix(su:auth): requirement "
    + b'" not met by user ' * 40_000,
    "login": b"Nov 22 08:15:30 h login: LOGIN ON " + b"a FROM " * 100_000,
    "web": b"a " * 400_000 + b"[",
    "web user": b"1.1.1.1 - " + b"[22/Nov/2026:08:15:30 +0700]" * 30_000,
    "web request": b'1.1.1.1 - - [22/Nov/2026:08:15:30 +0700] "GET '
    + b"a HTTP/1" * 100_000
    + b'" 200 1',
    "xml": b"<Event>" + b"<a>" * 100_000,
    "dates": b"Nov 22 08:15:30 " * 60_000,
}


@pytest.mark.parametrize("name", NAMES)
def test_hostile_records_cost_little_time(name: str) -> None:
    for kind, raw in HOSTILE.items():
        start = time.process_time()
        recognised = parser(name).recognise(raw.decode())
        [*events] = Normaliser(SOURCE, parser(name)).events(Frame(raw, "0"), RECEIVED)
        assert time.process_time() - start < 2.0, (kind, recognised)
        for event in events:
            orjson.dumps(nest(event))
