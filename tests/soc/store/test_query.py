"""The grammar: what is read, what is refused, and what it means on an event."""

import re
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from soc.errors import UsageError
from soc.store.lucene import MAX_DEPTH, MAX_LENGTH
from soc.store.predicate import compile
from soc.store.query import All, And, Equals, Not, Or, Times, Words, parse

NOW = datetime(2026, 11, 22, 8, 30, tzinfo=UTC)

EVENT: dict[str, Any] = {
    "@timestamp": "2026-11-22T08:15:30.250000Z",
    "event.dataset": "sshd",
    "event.category": ["authentication", "Session"],
    "event.original": "secret raw words",
    "event.severity": 4,
    "user.name": "Lan.Nguyen",
    "user.full_name": "Straße Özil",
    "source.ip": "10.1.2.3",
    "source.port": 51022,
    "destination.ip": "2001:db8::7",
    "host.uptime": 0,
    "soc.truncated": True,
    "file.path": "/var/log/auth.log",
    "registry.path": "HKLM\\Software\\Run",
    "process.command_line": "powershell -enc SQBFAFgA -nop",
    "message": "Failed password for invalid user admin from 10.1.2.3 port 51022",
    "winlog.event_id": "4625",
    "winlog.event_data.Empty": "",
    "rule.score": 2.5,
    "dns.answers": [
        {"data": "203.0.113.7", "ttl": 300, "flags": ["aa", "rd"]},
        {"data": "203.0.113.8", "more": {"deep": "Pearl"}},
    ],
}


def matches(query: str) -> bool:
    return compile(parse(query, now=NOW))(EVENT)


@pytest.mark.parametrize(
    "query",
    [
        "",
        "  ",
        "*",
        "*:*",
        "user.name:lan.nguyen",
        'user.name:"LAN.NGUYEN"',
        "user.full_name:strasse\\ özil",
        "user.name:lan*",
        "user.name:*NGUYEN",
        "user.name:l?n.*",
        "user.name:*.*",
        "event.category:session",
        "event.category:(web OR session)",
        "source.ip:10.1.2.3",
        "source.ip:10.0.0.0/8",
        'source.ip:"::ffff:10.1.2.3"',
        "source.ip:[10.1.2.3 TO 10.1.2.9]",
        "source.ip:>10.1.2.2",
        'destination.ip:"2001:db8::/32"',
        "destination.ip:2001\\:DB8\\:0\\:\\:7",
        "source.port:51022",
        "source.port:51022.0",
        "source.port:[51022 TO 51022]",
        "source.port:{51021 TO 51023}",
        "source.port:[1024 TO *]",
        "source.port:>=51022",
        'event.severity:>"-5.5"',
        "event.severity:[-5 TO 4]",
        "soc.truncated:true",
        "@timestamp:2026-11-22",
        "@timestamp:2026-11",
        "@timestamp:2026",
        "@timestamp:2026-11-22T08:15:30",
        '@timestamp:"2026-11-22T15:15+07:00"',
        "@timestamp:[2026-11-22 TO 2026-11-22]",
        "@timestamp:{2026-11-21 TO 2026-11-23}",
        "@timestamp:>now-1h",
        "@timestamp:[now/d TO now]",
        "@timestamp:>=now-20m",
        "_exists_:user.name",
        "user.name:*",
        "_exists_:dns.answers",
        "_exists_:dns.answers.more",
        "_exists_:user",
        "_exists_:winlog.event_data.Empty",
        'winlog.event_data.Empty:""',
        "dns.answers.data:203.0.113.8",
        "dns.answers.ttl:>=300",
        "dns.answers.flags:RD",
        "dns.answers.more.deep:pearl",
        "pearl",
        "failed",
        '"Invalid USER admin"',
        '"10.1.2.3"',
        "10.1.2.3",
        "message:password",
        'message:"for invalid"',
        "message:pass*",
        "fail* AND admin",
        "process.command_line.text:nop",
        'process.command_line:"powershell -enc SQBFAFgA -nop"',
        "file.path:\\/var\\/log\\/auth.log",
        'registry.path:"HKLM\\\\Software\\\\Run"',
        "registry.path:*\\\\run",
        "user.name:/lan\\.[a-z]+/",
        "file.path:/.*\\/auth\\.(log|txt)/",
        "message:/fai.+/",
        "NOT user.name:root",
        "-user.name:root",
        "user.id:x OR NOT user.id:*",
        "+failed -root",
        "(failed OR root) AND NOT (root OR toor)",
        "winlog.event_id:4625",
        "rule.score:2.5",
        "user.name:[k TO m]",
        "host.uptime:0",
    ],
)
def test_matches(query: str) -> None:
    assert matches(query)
    assert not compile(Not(parse(query, now=NOW)))(EVENT)


@pytest.mark.parametrize(
    "query",
    [
        "user.name:lan",
        "user.name:nguyen",
        'user.name:"lan*"',
        "user.name:l?.nguyen",
        "user.id:*",
        "_exists_:user.id",
        "user.id:x",
        "secret",
        '"password invalid"',
        "pass",
        "message:ass*",
        "source.ip:10.2.0.0/16",
        "source.ip:{10.1.2.3 TO *]",
        "source.port:5102",
        "source.port:{51022 TO *]",
        "source.port:<51022",
        "soc.truncated:false",
        "@timestamp:2026-11-23",
        "@timestamp:{2026-11-22 TO *]",
        "@timestamp:>2026-11-22",
        "@timestamp:<2026-11-22",
        "@timestamp:2026-11-22T08:16",
        "2026",
        "user.name:/lan/",
        "user.name:/an\\.nguyen/",
        "dns.answers.data:203.0.113.9",
        "dns.data:203.0.113.8",
        "user.name:{lan.nguyen TO *]",
        "_exists_:use",
        "event.dataset.x:*",
    ],
)
def test_does_not_match(query: str) -> None:
    assert not matches(query)


@pytest.mark.parametrize(
    ("query", "column", "hint"),
    [
        ("user.name:lan~", 11, "wildcards"),
        ('message:"a b"~3', 9, "wildcards"),
        ("failed^2", 1, "time"),
        ("source.ip:fe80::1", 16, "quotes"),
        ("file.path:/var/log/auth.log", 11, "quotes"),
        ('"open', 1, "close"),
        ("(a", 3, "close"),
        ("a)", 2, "quotes"),
        ("user.name:", 11, "close"),
        ("a OR b c", 1, "a AND (b OR c)"),
        ("a b OR c", 3, "a AND (b OR c)"),
        ("a OR +b", 6, "parentheses"),
        ("!a", 1, "NOT"),
        ("a && b", 3, "AND"),
        ("event.original:x", 1, "message:word"),
        ("_exists_:event.original", 10, "message:word"),
        ("soc.reason.kind:and", 1, "parsed"),
        ("user.*:x", 1, "name the fields"),
        ("user.name:-x", 11, "-user.name:x"),
        ("source.port:ssh", 13, "source.port:22"),
        ("source.port:5*", 13, "[1 TO 9]"),
        ("source.ip:10.*", 11, "10.0.0.0/8"),
        ("source.ip:10.0.0.0/40", 11, "10.0.0.0/8"),
        ("source.ip:/10.+/", 11, "CIDR"),
        ("soc.truncated:maybe", 15, "true"),
        ("@timestamp:yesterday", 12, "2026-11-22"),
        ("@timestamp:now-1y", 12, "now-2h"),
        ("@timestamp:now-999999999w", 12, "now-2h"),
        ("dns.answers:x", 13, "below"),
        ("[1 TO 2]", 1, "destination.port"),
        ("/a+/", 1, "quotes"),
        ("10.0.*", 1, "phrase"),
        ('"..."', 1, "user.name:value"),
        ("user.name:/^root$/", 11, ".*"),
        ("user.name:/(?i)root/", 11, "plain"),
        ("user.name:/ro+?t/", 11, "drop"),
        ("user.name:/\\bro/", 11, "\\w"),
        ("user.name:/(/", 11, "RE2"),
        ("user.name:/(a{900}){900}/", 11, "RE2"),
        ("message:[a TO b]", 10, "numbers"),
        ("user.name:[a* TO b]", 12, "open"),
        ("a:(b:c)", 4, "quotes"),
        ("_exists_:*", 1, "_exists_:user.name"),
        ("user.name:\udcff", 11, "UTF-8"),
    ],
)
def test_refusals_name_the_column_and_a_way_out(query: str, column: int, hint: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse(query, now=NOW)
    assert caught.value.where == f"column {column}"
    assert hint in caught.value.hint


def test_now_needs_a_clock() -> None:
    with pytest.raises(UsageError):
        parse("@timestamp:>now-2h")


def test_the_tree_is_flat_and_typed() -> None:
    assert parse("*") == All()
    assert parse("a b c") == And(tuple(Words(None, (word,)) for word in "abc"))
    assert parse("a OR b OR c") == Or(tuple(Words(None, (word,)) for word in "abc"))
    assert parse("user.name:Root") == Equals("user.name", "root")
    assert parse("a AND b OR c AND d") == Or((parse("a b"), parse("c d")))
    day = Times("@timestamp", datetime(2026, 2, 1, tzinfo=UTC), datetime(2026, 3, 1, tzinfo=UTC))
    assert parse("@timestamp:2026-02") == day


@pytest.mark.parametrize(
    "query",
    [
        "(" * 9000 + "a" + ")" * 9000,
        "NOT " * 4000 + "a",
        "-" * 9000 + "a",
        "a:" * 4000 + "a",
        "(" * (MAX_LENGTH - 1) + "a",
        "a " * MAX_LENGTH,
        "(a OR " * 3000 + "b" + ")" * 3000,
    ],
)
def test_deep_and_long_queries_are_refused(query: str) -> None:
    with pytest.raises(UsageError):
        parse(query)


def test_many_alternatives_are_no_nesting() -> None:
    addresses = " OR ".join(f"10.0.0.{n}" for n in range(250))
    node = parse(f"source.ip:({addresses})")
    assert compile(node)({"source.ip": "10.0.0.249"})
    assert MAX_DEPTH < 250


@given(st.text(max_size=60))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        node = parse(text, now=NOW)
    except UsageError as error:
        place = error.where
    else:
        place = "column 1"
        assert compile(node)(EVENT) in (True, False)
    assert re.fullmatch(r"column [0-9]+", place)


def test_hostile_values_do_not_break_a_predicate() -> None:
    queries = (
        "user.name:/a+/",
        "user.name:a*b",
        "word",
        "wo*",
        "source.ip:10.0.0.0/8",
        "source.port:1",
    )
    values: tuple[Any, ...] = (
        "\ud800",
        "a" * 10_000,
        None,
        [],
        [None, ["x", [1]]],
        {"a": {}},
        1e400,
        True,
        -1,
    )
    for query in queries:
        for name in ("user.name", "source.ip", "source.port", "@timestamp"):
            for value in values:
                assert compile(parse(query))({name: value}) in (True, False)
