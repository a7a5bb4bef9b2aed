"""Events on the wire: nothing changes on the way, nothing that a server refuses is sent."""

from typing import Any

import orjson
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from soc.store.elastic.fields import leaves, objects
from soc.store.elastic.wire import MAX_TOKENS, decode, encode
from tests.soc.store.test_query import EVENT

KNOWN: dict[str, Any] = {"@timestamp": "2026-11-22T12:00:00.000000Z", "event.id": "1"}

scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**63), 2**64 - 1),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(max_size=20),
    st.sampled_from(["10.0.0.1", "2026-11-22", "2026-11-22T12:00:00Z", "true", "22"]),
)
keys = st.one_of(
    st.sampled_from(["ip", "name", "data", "ttl", "a.b", "", ".", "x y"]), st.text(max_size=6)
)
anything = st.recursive(
    scalars,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(keys, inner, min_size=1, max_size=3)
    ),
    max_leaves=6,
)
names = st.one_of(
    st.sampled_from(sorted(leaves())),
    st.sampled_from(sorted(objects())),
    st.sampled_from(["soc.index", "soc.rest", "soc.reason", "soc.index.odd", "event.original"]),
    st.sampled_from(["soc.unmapped.x", "custom", "custom.a", "custom.a.b", "a..b", " ", ""]),
    st.text(max_size=12),
)


@given(st.dictionaries(names, anything, max_size=8))
def test_an_event_comes_back_as_it_went_in(fields: dict[str, Any]) -> None:
    event = fields | KNOWN
    try:
        line = encode(event, "event.id")
    except ValueError:  # a lone surrogate
        return
    assert b"\n" not in line
    assert decode(orjson.loads(line)) == event


@given(st.dictionaries(names, anything, max_size=8))
@example({"agent": [{"": []}]})
def test_nothing_reaches_a_mapped_field_that_it_cannot_hold(fields: dict[str, Any]) -> None:
    """Whatever the server would answer with 400: wrong types, objects for values, odd keys."""
    try:
        document = orjson.loads(encode(fields | KNOWN, "event.id"))
    except ValueError:
        return
    for private in ("soc.index", "soc.rest", "soc.reason"):
        document.pop(private, None)
    stack = [("", document)]
    while stack:
        path, node = stack.pop()
        if isinstance(node, dict):
            assert path not in leaves()
            for key, inner in node.items():
                assert key.strip(". ") == key != ""
                stack.append((f"{path}.{key}" if path else key, inner))
        elif isinstance(node, list):
            stack += [(path, inner) for inner in node]
        elif node is not None:
            assert path not in objects()
            types = {"long": int, "double": (int, float), "boolean": bool}
            assert isinstance(node, types.get(leaves().get(path, ""), (str, object)))


def test_ordinary_events_carry_nothing_but_themselves() -> None:
    plain = {
        name: value for name, value in EVENT.items() if name in leaves() or name == "event.original"
    } | KNOWN
    document = orjson.loads(encode(plain, "event.id"))
    assert not [name for name in document if name.startswith("soc.")]
    assert document["source"] == {"ip": "10.1.2.3", "port": 51022}


def test_programs_of_others_find_what_is_not_mapped_in_one_place() -> None:
    own = {"soc.unmapped.vendor": "Own", "soc.unmapped.winlog.event_data.OfNoRule": "Own"}
    fields = {"winlog.event_data.OfNoRule": "Rare", "custom.list": [1, {"x": "Two"}], "a b": ""}
    named = {"winlog.event_data.CommandLine": "Whoami"}
    document = orjson.loads(encode(KNOWN | own | fields | named, "event.id"))
    copies = {
        "winlog.event_data.OfNoRule": ["Rare"],
        "custom.list": ["1"],
        "custom.list.x": ["Two"],
    }
    assert document["soc.unmapped"] == copies
    assert document["soc"]["unmapped"]["vendor"] == "Own"
    assert document["winlog"]["event_data"] == {"OfNoRule": "Rare", "CommandLine": "Whoami"}
    assert decode(document) == KNOWN | own | fields | named


def test_what_others_wrote_keeps_its_keys() -> None:
    document = {"@timestamp": KNOWN["@timestamp"], "soc.unmapped": {"x": "theirs"}}
    assert decode(document, "1") == KNOWN | {"soc.unmapped.x": "theirs"}


def test_the_parts_that_are_described_are_bounded() -> None:
    event = KNOWN | {f"many.{n}": "v" * 20_000 for n in range(3 * MAX_TOKENS)}
    document = orjson.loads(encode(event, "event.id"))
    helper = document["soc.index"]
    assert len(helper["tokens"]) == MAX_TOKENS
    assert len(helper["names"]) <= MAX_TOKENS + 2
    assert helper["excess"] == 3 * MAX_TOKENS - MAX_TOKENS
    assert "+" in helper["odd"]
    assert "soc.unmapped" not in document
    document = orjson.loads(encode(KNOWN | {f"m.{n}": "v" for n in range(2_000)}, "event.id"))
    assert len(document["soc.unmapped"]) == MAX_TOKENS


@pytest.mark.parametrize("size", [8_000, 32_000, 33_000, 70_000])
@pytest.mark.parametrize("letter", ["a", "é", "ß", "𝔘"])
def test_no_term_is_longer_than_lucene_takes(size: int, letter: str) -> None:
    event = KNOWN | {"process.command_line": letter * size}
    document = orjson.loads(encode(event, "event.id"))
    sent = document.get("process", {}).get("command_line", "")
    units = len(sent.encode("utf-16-le")) // 2
    assert units > 32_766 or len(sent.casefold().encode()) <= 32_766
    for token in document.get("soc.index", {}).get("tokens", []):
        assert len(token.encode()) <= 32_766
    assert decode(document) == event
