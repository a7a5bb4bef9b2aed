"""Whatever is asked of whatever events: the store answers as a naive reading of the docs would.

The naive check is written apart from the product: a query is generated together with a function
that decides it, from the sentences in `docs/query.md`.
"""

import fnmatch
import ipaddress
import re
import tempfile
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from soc.errors import UsageError
from soc.model.event import Event
from soc.model.time import iso
from soc.store.base import Histogram, Store
from soc.store.predicate import compile
from soc.store.query import parse
from soc.store.sqlite import SqliteStore

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
Check = Callable[[Event], bool]
Asked = tuple[str, Check]

TEXTS = ["root", "Root", "root admin", "ROOT-7", "a", "", "straße", "x y z", "10.0.0.1", "_7", "É"]
PORTS: list[Any] = [0, 7, 22, 443, -1, "22"]
IPS = ["10.0.0.1", "10.0.1.1", "10.200.0.1", "2001:db8::1", "::1", "::ffff:10.0.0.1"]
FIELDS = ["user.name", "host.name", "message", "process.name"]


def one_or_many(values: list[Any]) -> st.SearchStrategy[Any]:
    some = st.sampled_from(values)
    return st.one_of(some, st.lists(some, max_size=3), st.none())


answers = st.lists(
    st.fixed_dictionaries(
        {}, optional={"data": st.sampled_from(IPS + TEXTS), "ttl": st.sampled_from(PORTS)}
    ),
    max_size=3,
)
bodies = st.fixed_dictionaries(
    {"offset": st.integers(0, 200_000)},
    optional={
        **{field: one_or_many(TEXTS) for field in FIELDS},
        "source.port": one_or_many(PORTS),
        "source.ip": one_or_many(IPS),
        "soc.truncated": st.booleans(),
        "dns.answers": answers,
        "event.original": st.sampled_from(TEXTS),
    },
)


def event(number: int, body: dict[str, Any]) -> Event:
    fields = dict(body)
    moment = NOON + timedelta(milliseconds=fields.pop("offset"))
    return {"@timestamp": iso(moment), "event.id": f"id-{number}", **fields}


def values(event: Event, path: str) -> list[Any]:
    if path.startswith("dns.answers."):
        objects = event.get("dns.answers") or []
        key = path.removeprefix("dns.answers.")
        return [one[key] for one in objects if one.get(key) is not None]
    found = event.get(path)
    return [] if found is None else found if isinstance(found, list) else [found]


def texts(event: Event) -> Iterator[str]:
    for path in [*FIELDS, "source.ip", "source.port", "dns.answers.data", "dns.answers.ttl"]:
        yield from (value for value in values(event, path) if isinstance(value, str))


def words(text: str) -> list[str]:
    return re.findall(r"\w+", text.casefold())


def side_by_side(wanted: list[str], text: str) -> bool:
    have = words(text)
    return any(have[i : i + len(wanted)] == wanted for i in range(len(have)))


def quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def keyword(field: str, text: str) -> Asked:
    return (
        f"{field}:{quoted(text)}",
        lambda e: any(str(v).casefold() == text.casefold() for v in values(e, field)),
    )


def phrase(field: str | None, text: str) -> Asked:
    wanted = words(text)
    name = f"{field}:" if field else ""
    return (
        name + quoted(text),
        lambda e: any(side_by_side(wanted, v) for v in (values(e, field) if field else texts(e))),
    )


def glob(field: str, pattern: str) -> Asked:
    return (
        f"{field}:{pattern}",
        lambda e: any(
            fnmatch.fnmatchcase(v.casefold(), pattern.casefold()) for v in values(e, field)
        ),
    )


def word_glob(pattern: str) -> Asked:
    return pattern, lambda e: any(
        fnmatch.fnmatchcase(w, pattern) for t in texts(e) for w in words(t)
    )


def port(low: int, high: int, field: str) -> Asked:
    return (
        f"{field}:[{low} TO {high}]",
        lambda e: any(
            low <= int(v) <= high for v in values(e, field) if re.fullmatch(r"-?\d+", str(v))
        ),
    )


def exact_port(number: int) -> Asked:
    return f"source.port:{number}", port(number, number, "source.port")[1]


def block(cidr: str) -> Asked:
    net = ipaddress.ip_network(cidr)

    def inside(text: str) -> bool:
        at = ipaddress.ip_address(text)
        if net.version == 4:
            return (getattr(at, "ipv4_mapped", None) or at) in net
        return ipaddress.ip_address(f"::ffff:{text}" if at.version == 4 else text) in net

    return f'source.ip:"{cidr}"', lambda e: any(map(inside, values(e, "source.ip")))


def exists(field: str) -> Asked:
    return f"_exists_:{field}", lambda e: bool(values(e, field))


leaves: st.SearchStrategy[Asked] = st.one_of(
    st.builds(
        keyword, st.sampled_from(["user.name", "host.name", "process.name"]), st.sampled_from(TEXTS)
    ),
    st.builds(keyword, st.just("dns.answers.data"), st.sampled_from(TEXTS + IPS)),
    st.builds(phrase, st.sampled_from([None, "message"]), st.sampled_from([t for t in TEXTS if t])),
    st.builds(
        glob, st.just("user.name"), st.sampled_from(["r*", "*o*", "?", "ro?t*", "*7", "x*z", "s*e"])
    ),
    st.builds(word_glob, st.sampled_from(["r*", "*o", "1?", "str*e", "?*", "admi?"])),
    st.builds(
        port,
        st.sampled_from([-1, 0, 22]),
        st.sampled_from([22, 443]),
        st.sampled_from(["source.port", "dns.answers.ttl"]),
    ),
    st.builds(exact_port, st.sampled_from([0, 7, 22, -1])),
    st.builds(
        block,
        st.sampled_from(
            ["10.0.0.0/8", "10.0.0.0/23", "10.0.0.1/32", "2001:db8::/32", "0.0.0.0/0", "::/0"]
        ),
    ),
    st.builds(exists, st.sampled_from(["user.name", "dns.answers.data", "source.ip"])),
    st.builds(
        lambda v: (f"soc.truncated:{str(v).lower()}", lambda e: e.get("soc.truncated") is v),
        st.booleans(),
    ),
    st.just(("*", lambda e: True)),
)


def negated(inner: Asked) -> Asked:
    return f"NOT ({inner[0]})", lambda e: not inner[1](e)


def both(parts: list[Asked]) -> Asked:
    return " AND ".join(f"({p[0]})" for p in parts), lambda e: all(p[1](e) for p in parts)


def either(parts: list[Asked]) -> Asked:
    return " OR ".join(f"({p[0]})" for p in parts), lambda e: any(p[1](e) for p in parts)


queries = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.builds(negated, inner),
        st.builds(both, st.lists(inner, min_size=2, max_size=3)),
        st.builds(either, st.lists(inner, min_size=2, max_size=3)),
    ),
    max_leaves=5,
)


def stored(store: Store, events: list[Event]) -> None:
    half = len(events) // 2
    store.append(events[:half], now=NOON)
    store.append(events[half:], now=NOON + timedelta(days=1))


@settings(max_examples=40, deadline=None)
@given(st.lists(bodies, max_size=12), st.lists(queries, min_size=1, max_size=12))
def test_search_finds_what_a_naive_reading_finds(
    some: list[dict[str, Any]], asked: list[Asked]
) -> None:
    events = [event(number, body) for number, body in enumerate(some)]
    with tempfile.TemporaryDirectory() as folder:
        store = SqliteStore(Path(folder))
        stored(store, events)
        for query, check in asked:
            wanted = sorted(e["event.id"] for e in events if check(e))
            got = store.search(parse(query), limit=100).events
            assert sorted(e["event.id"] for e in got) == wanted, query
            stamps = [e["@timestamp"] for e in got]
            assert stamps == sorted(stamps, reverse=True)
            counted = store.aggregate(parse(query), Histogram(60))
            assert sum(bucket.count for bucket in counted) == len(wanted)
        store.close()


scalars = st.one_of(
    st.text(max_size=90),
    st.integers(-(2**63), 2**63 - 1),
    st.floats(allow_nan=False, allow_infinity=False),
    st.booleans(),
)
names = st.one_of(
    st.sampled_from(["user.name", "message", "source.ip", "source.port", "process.command_line"]),
    st.text(min_size=1, max_size=8).filter(lambda t: t not in ("*", "_exists_")),
)


def escaped(text: str) -> str:
    return re.sub(r"(\W)", r"\\\1", text)


@settings(max_examples=60, deadline=None)
@given(st.dictionaries(names, st.one_of(scalars, st.lists(scalars, max_size=3)), max_size=5))
def test_the_index_never_misses_what_the_predicate_accepts(fields: dict[str, Any]) -> None:
    """For every value that stands in an event: its equality, its prefixes, its words."""
    stored_event = event(1, {"offset": 0, **fields})
    with tempfile.TemporaryDirectory() as folder:
        store = SqliteStore(Path(folder))
        if store.append([stored_event], now=NOON)[0].outcome == "created":
            for name, value in fields.items():
                for one in value if isinstance(value, list) else [value]:
                    text = one if isinstance(one, str) else str(one).lower()
                    for query in (
                        f"{escaped(name)}:{quoted(text)}",
                        f"{escaped(name)}:{escaped(text[:70])}*",
                        f"{quoted(text)}",
                        f"{escaped(text[:3])}*",
                    ):
                        check_one(store, stored_event, query)
        store.close()


def check_one(store: Store, stored_event: Event, query: str) -> None:
    try:
        node = parse(query)
    except UsageError:  # no word in it, not a number, ...
        return
    found = store.search(node).events
    assert bool(found) == compile(node)(stored_event), query
