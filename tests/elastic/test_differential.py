"""The same question to both stores over the same events: the same answer.

The events are those of the parsers' golden files, of the property test and hostile ones; the
questions are Hypothesis's, those that the events' own values suggest, and written ones.
"""

import json
import random
import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings

from soc.errors import UsageError
from soc.model.event import Event, flatten
from soc.model.time import iso
from soc.store.base import Histogram, Store, Terms
from soc.store.predicate import compile
from soc.store.query import parse
from soc.store.sqlite import SqliteStore
from soc.store.values import leaves
from tests.elastic.cluster import Cluster, environment
from tests.soc.store.test_query import EVENT
from tests.soc.store.test_search_property import bodies, event, queries

pytestmark = [pytest.mark.elastic, pytest.mark.slow]
NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
GOLDEN = Path(__file__).parents[1] / "golden"
Both = tuple[Store, Store, list[Event]]

HOSTILE: list[dict[str, Any]] = [
    {"user.name": 22, "source.port": "22", "source.ip": "not an address"},
    {"user.name": {"first": "lan"}, "user": "nguyen", "source": ["a", {"ip": "10.0.0.9"}]},
    {"user.name": ["x" * 9_000 + " tail", "root"], "message": "word " * 9_000 + "w" * 9_000},
    {"process.command_line": "é" * 20_000, "process.name": "y" * 40_000},
    {"a..b": "hidden", "": "empty", " ": "space", ".x": "dot", "x.": "dot", "\x00": "nul"},
    {"user.name.first": "lan", "dns.answers": "scalar", "event.category": "one"},
    {"soc.index": "x", "soc.rest": "{}", "soc.index.names": ["user.id"], "soc.reason": {"": [1]}},
    {"source.port": [22, "443", 7.5, True], "source.bytes": 1 << 62, "soc.truncated": "true"},
    {"rule.score": 0.1, "event.risk_score": 0.1, "event.severity": 2.0, "host.uptime": -1},
    {"user.name": "Straße ſt ﬁn İ Σίσυφος ǅ ŉ", "host.name": "KELVIN \u212a", "tags": ["Ⅷ", "ß"]},
    {"user.name": "", "message": "", "host.name": [], "tags": [None, ""], "process.pid": None},
    {"dns.answers": [{"data": "x", "more": {"deep": "Pearl"}}, {"ttl": {"x": 1}}, {}]},
    {"dns.answers": [{"data": "y", "a..b": "odd"}, {"data": ["z", ["nested"]]}], "foo": {"a": 1}},
    {"custom.count": 5, "custom.ratio": 1e300, "custom.text": "Some Words", "custom.on": True},
    {"custom.count": "5", "custom": "top", "custom.list": ["a", 1, None, ["b"]]},
    {"event.start": "2026-11-22", "event.end": "22/11/2026", "event.created": 5},
    {"event.start": "2026-11-22T12:00:00.000999Z", "event.end": "2026-11-22T19:00:00+07:00"},
    {"source.ip": "::ffff:10.0.0.1", "destination.ip": "2001:DB8:0::1", "host.ip": ["10.0.0.1"]},
    {"source.ip": "fe80::1%eth0", "file.path": "C:\\Windows\\*.exe", "url.full": "a?b*c\\d"},
    {"labels.x": "y", "threat.indicator.ip": "10.9.9.9", "client.geo.location": {"lat": 1}},
    {"winlog.event_data.Some Key": "Value", "soc.unmapped.deep.key": "Other", "custom.é": "é"},
    {"process.entry_leader.command_line": "Second time"},
    {"winlog.event_data.CommandLine": "CMD.exe /c Whoami", "winlog.event_data.LogonType": "3"},
    {"winlog.event_data.CommandLine": ["one", "Straße"], "winlog.event_data.Hashes": "MD5=A,B=c"},
    {"winlog.event_data.CommandLine": 7, "winlog.event_data.Image.Deeper": "below", "a": "b"},
    {"winlog.event_data.ScriptBlockText": "long " * 1_200 + "End", "winlog.event_data": "Top"},
    {"winlog.event_data.ScriptBlockText": "long " * 8_000 + "end"},
    {"winlog.event_data": {"Image": "C:\\X.exe", "OfNoRule": "Inside"}, "soc.unmapped": "Own"},
    {"winlog.event_data.OfNoRule": "Rare Value", "soc.unmapped.winlog.event_data.OfNoRule": "own"},
    {"winlog.event_data.OfNoRule": [1, "Rarer"], "suricata.eve.flow.action": "Blocked"},
    {"soc.unmapped": {"a": "b"}, "soc.unmapped.c": ["D", 5, {"e": True}], "soc": "scalar"},
    {f"many.f{n}": f"v{n}" for n in range(1_500)},
]
WRITTEN = [
    "nested", "hidden", "pearl", "other", "tail", "empty", "w*", "y*", "scalar", "lan", "10", "v7",
    "_exists_:user", "_exists_:source", "_exists_:custom", "_exists_:soc", "_exists_:many",
    "_exists_:user.name", "_exists_:user.name.first", "_exists_:foo.a", "_exists_:soc.index",
    "_exists_:event.start", "_exists_:process.pid", "_exists_:tags", "NOT _exists_:tags",
    "user.name:22", "source.port:22", "source.port:[20 TO 30]", "NOT source.port:[20 TO 30]",
    "source.port:7.5", "source.port:>7", "event.risk_score:0.1", "event.risk_score:>0.1",
    "event.risk_score:[0.1 TO 0.1]", "source.bytes:4611686018427387904", "source.bytes:>1e18",
    "source.bytes:<1e400", "source.bytes:99999999999999999999", "event.severity:2",
    "soc.truncated:true", "NOT soc.truncated:true", "soc.truncated:false",
    "user.name:strasse*", 'user.name:"STRASSE ST FIN i̇ σίσυφοσ ǆ ʼN"', "host.name:*k*", "tags:SS",
    "tags:ⅷ", 'user.name:""', "user.name:*", "user.name:?*", "user.name:[a TO s]", "user.name:<s",
    "custom.count:5", "custom.count:[1 TO 9]", "custom.text:some*", "custom.text:/some.+/",
    "custom.text:words", "custom.ratio:1e+300", "custom.on:true", "custom:top", "custom.list:b",
    "many.f7:v7", "many.f1499:v1499", "many.f1499:v*", "v1499", "NOT many.f1499:v1499",
    "NOT threat.indicator.ip:10.8.0.0/16", "NOT process.command_line:/é{3}/", "NOT many.f1499:x",
    "NOT process.entry_leader.command_line.text:first",
    "process.entry_leader.command_line.text:second", "NOT event.risk_score:>1e999",
    "labels.x:Y", "threat.indicator.ip:10.9.0.0/16", "threat.indicator.ip:[10.0.0.0 TO 11.0.0.0]",
    "soc.unmapped.deep.key:other", "winlog.event_data.Some\\ Key:value", "custom.é:É",
    "process.command_line:é*", "process.name:y*", "process.name:*y", "NOT process.name:y*",
    "process.command_line.text:/é+/", "message:/w{3}.*/", "message:w*", "message:word",
    "user.name:/x{20}.*/", "user.name:/[^a-z]+/", "user.name:/.*[A-C]\\d*/", "user.name:/(root|)/",
    "user.name:/.{0,300}a.{0,300}/", "user.name:/[^\\W_]+/", "host.name:/[\\w.-]+/",
    "file.path:/c:\\\\.*\\*\\.exe/", "url.full:/a\\?b\\*c.+/", "url.full:a\\?b\\*c\\\\d",
    "file.path:*\\\\windows\\\\\\*.exe", "source.ip:10.0.0.1", 'source.ip:"::/0"',
    "host.ip:10.0.0.1",
    'destination.ip:"2001:db8::/32"', "source.ip:{10.0.0.0 TO 10.0.0.2}", "NOT source.ip:10.0.0.1",
    "event.start:2026-11-22", "event.end:2026-11-22", "event.start:>2026-11-21",
    'event.start:>="2026-11-22T12:00:00.000999Z"', 'event.start:<"2026-11-22T12:00:00.000500Z"',
    'NOT event.start:<"2026-11-22T12:00:00.000500Z"', "event.created:[* TO *]",
    "@timestamp:2026-11-22", "@timestamp:<2026-11-22T12:01",
    'NOT @timestamp:>"2026-11-22T12:01:40.5Z"',
    "dns.answers.data:y", "dns.answers.more.deep:PEARL", "dns.answers.ttl.x:1",
    "_exists_:dns.answers",
    "dns.answers.ttl:*", "NOT dns.answers.data:*", "user.name.first:lan",
    "event.category:one", "event.category:[a TO z]",
    'winlog.event_data.CommandLine:"cmd.exe /C whoami"', "winlog.event_data.CommandLine:cmd*",
    "winlog.event_data.CommandLine:*WHO*", "winlog.event_data.CommandLine:STRASSE",
    "winlog.event_data.CommandLine:7", "NOT winlog.event_data.CommandLine:*who*",
    "winlog.event_data.CommandLine:[o TO p]", "winlog.event_data.CommandLine:/.*who[a-m]+/",
    "NOT winlog.event_data.CommandLine:/(one|é)/", "_exists_:winlog.event_data.CommandLine",
    "NOT _exists_:winlog.event_data.CommandLine", "winlog.event_data.CommandLine:(7 OR one OR x)",
    "winlog.event_data.LogonType:3", "winlog.event_data.LogonType:[2 TO 4]", "whoami", "inside",
    "winlog.event_data.Hashes:*md5\\=a*", "winlog.event_data.Image:*.exe", "rarer", "below",
    "winlog.event_data.Image.Deeper:below", "_exists_:winlog.event_data.Image",
    "winlog.event_data.ScriptBlockText:*end", "winlog.event_data.ScriptBlockText:long*", "end",
    "NOT winlog.event_data.ScriptBlockText:*end", "_exists_:winlog.event_data.ScriptBlockText",
    'winlog.event_data.OfNoRule:"rare value"', "winlog.event_data.OfNoRule:rare*",
    "winlog.event_data.OfNoRule:*ALUE", "_exists_:winlog.event_data.OfNoRule",
    "NOT winlog.event_data.OfNoRule:rare*", "winlog.event_data.OfNoRule:(1 OR inside)",
    "soc.unmapped.winlog.event_data.OfNoRule:own", "suricata.eve.flow.action:blocked",
    "_exists_:winlog.event_data", "winlog.event_data:top", "soc.unmapped:own", "soc.unmapped.a:b",
    "soc.unmapped.c:d", "_exists_:soc.unmapped", "soc.unmapped.c.e:true", "_exists_:soc.unmapped.c",
]  # fmt: skip


def golden() -> Iterator[Event]:
    for path in sorted(GOLDEN.rglob("*.out.json")):
        found = json.loads(path.read_bytes())
        for one in found if isinstance(found, list) else [found]:
            if isinstance(one, dict) and "@timestamp" in one:
                yield flatten(one)


def material() -> list[Event]:
    found = [{"@timestamp": iso(NOON), **one} for one in HOSTILE] + [dict(EVENT)]
    found += [one for number, one in enumerate(golden()) if number % 4 == 0]
    drawn: list[dict[str, Any]] = []

    @settings(max_examples=120, database=None, derandomize=True, deadline=None)
    @given(bodies)
    def draw(body: dict[str, Any]) -> None:
        drawn.append(body)

    draw()
    found += [event(number, body) for number, body in enumerate(drawn)]
    return [one | {"event.id": f"{number:05d}"} for number, one in enumerate(found)]


@pytest.fixture(scope="module")
def both(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Both]:
    """SQLite and Elasticsearch with the same events."""
    events = material()
    small = SqliteStore(tmp_path_factory.mktemp("both") / "store")
    with environment(cluster) as name:
        large = cluster.store(name)
        for store in (small, large):
            half = len(events) // 2
            for part, day in ((events[:half], 0), (events[half:], 1)):
                verdicts = store.append(
                    [one | {"event.dataset": "all"} for one in part], now=NOON + timedelta(day)
                )
                assert {one.outcome for one in verdicts} == {"created"}
        yield small, large, events
        large.close()
    small.close()


def ids(store: Store, query: str) -> list[str]:
    found = store.search(parse(query, now=NOON), limit=5_000).events
    return sorted(one["event.id"] for one in found)


def same(both: Both, query: str) -> int:
    small, large, events = both
    wanted = ids(small, query)
    test = compile(parse(query, now=NOON))
    stored = [one | {"event.dataset": "all"} for one in events]
    assert wanted == sorted(one["event.id"] for one in stored if test(one)), query
    assert ids(large, query) == wanted, query
    return len(wanted)


def test_every_event_comes_back_as_it_went_in(both: Both) -> None:
    _, large, events = both
    wanted = [one | {"event.dataset": "all"} for one in events]
    assert large.get([one["event.id"] for one in events]) == wanted
    tailed, cursor = [], None
    while (batch := large.tail(cursor)).events:
        tailed, cursor = [*tailed, *batch.events], batch.cursor
    assert tailed == wanted


@pytest.mark.parametrize("query", WRITTEN)
def test_written_questions(both: Both, query: str) -> None:
    try:
        same(both, query)
    except UsageError:
        pytest.fail(f"{query} is no query")


@settings(
    max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(asked=queries)
def test_questions_of_hypothesis(both: Both, asked: tuple[str, Callable[[Event], bool]]) -> None:
    same(both, asked[0])


def suggested(events: list[Event]) -> Iterator[str]:
    """Yield questions about values that are there."""
    chance = random.Random(6)
    for one in events:
        fields = [pair for pair in leaves(one) if pair[0] != "event.original"]
        for name, value in chance.sample(fields, min(2, len(fields))):
            field = re.sub(r"(\W)", r"\\\1", name).replace("\\.", ".")
            text = str(value).lower() if isinstance(value, bool) else str(value)
            quoted = '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
            plain = re.sub(r"(\W)", r"\\\1", text[1:9])
            yield chance.choice(
                [
                    f"{field}:{quoted}",
                    f"NOT {field}:{quoted}",
                    quoted,
                    f"{field}:?{plain}*",
                    f"{field}:*{plain}*",
                    f"{field}:[{quoted} TO *]",
                    f"_exists_:{field}",
                    f"{field}:{{* TO {quoted}}}",
                ]
            )


def test_questions_about_what_is_there(both: Both) -> None:
    asked = found = 0
    for query in suggested(both[2]):
        try:
            parse(query, now=NOON)
        except UsageError:
            continue
        found += bool(same(both, query))
        asked += 1
    assert asked > 200
    assert found > asked / 2


@pytest.mark.parametrize(
    "query", ["*", "_exists_:user.name", "source.port:>7", "root", "winlog.event_data.Image:*exe"]
)
@pytest.mark.parametrize(
    "field",
    ["user.name", "source.port", "source.ip", "custom.count", "tags", "winlog.event_data.Image"],
)
def test_counts(both: Both, query: str, field: str) -> None:
    small, large, _ = both
    for by in (Terms(field, 1_000), Histogram(60), Histogram(86_400)):
        assert large.aggregate(parse(query), by) == small.aggregate(parse(query), by)
    bounds: Any = {"since": NOON + timedelta(microseconds=1_500), "until": NOON + timedelta(1)}
    hour = Histogram(3_600)
    wanted = small.aggregate(parse(query), hour, **bounds)
    assert large.aggregate(parse(query), hour, **bounds) == wanted
