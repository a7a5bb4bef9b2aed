"""The JSON of a finding is its document's, byte for byte, whatever the event holds."""

from typing import Any

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from soc.model import happened
from soc.model.finding import Finding, RuleInfo, about
from soc.model.happened import CARRIED
from soc.model.reason import Form, Reason, Told

RULE = RuleInfo("r%\0", 'Root "login"', "high", author="Án", techniques=("T1078",))
LEAF = Reason("field", "user\0name", True, (), "user.name", "root", "%b")
BARE = Reason("not", "not filter", True, (Reason("selection", "filter", False),))
TREE = Reason("and", "selection", True, (LEAF, BARE, LEAF._replace(children=(LEAF,))))
BASE = {"@timestamp": "2026-11-22T08:15:30.000000Z", "ecs.version": "9.5.0", "event.id": "e\0"}
text = st.one_of(
    st.text(max_size=5), st.sampled_from(("", "a\0b", "\x7f", "\u2028", '"\\', "\x1b"))
)
scalar = st.one_of(text, st.integers(-9, 9), st.floats(), st.booleans(), st.none())
value = st.one_of(scalar, st.lists(scalar, max_size=2), st.dictionaries(text, scalar, max_size=1))
names = st.sampled_from((*CARRIED, "event.dataset", "process.pid", "host", "soc.entities", "a\0b"))


def finding(event: dict[str, Any], values: list[Any], rule: RuleInfo = RULE) -> Finding:
    return Finding(rule, (event,), Told(Form(TREE.open(), about(rule)), values))


def assert_same(found: Finding) -> None:
    assert found.as_json() == orjson.dumps(found.as_document())


@settings(max_examples=300, suppress_health_check=list(HealthCheck), deadline=None)
@given(st.dictionaries(names, value, max_size=12), st.lists(value, min_size=3, max_size=3))
def test_the_bytes_are_those_of_the_document(event: dict[str, Any], values: list[Any]) -> None:
    for full in (BASE | event, event | BASE, BASE | event | {"event.id": 0}):
        assert_same(finding(full, values))


def test_every_field_that_is_carried_finds_its_place() -> None:
    event = BASE | {name: f"value of {name}" for name in reversed(CARRIED)}
    found = finding(event, ["a", "b", "c"])
    assert happened.written(event, "r") is not None
    assert_same(found)
    assert orjson.loads(found.as_json())["soc"]["entities"] == list(found.entities)


def test_a_filled_form_is_the_tree() -> None:
    told = Told(Form(TREE.open(), {}), list(TREE.values()))
    assert told.tree() == TREE
    assert told == TREE
    assert told == TREE
    assert told != Told(told.form, ["root", "root", "admin"])


def test_what_json_cannot_say_is_refused_as_in_the_document() -> None:
    for bad in ("\ud800", 1 << 70):
        for found in (finding(BASE | {"user.name": bad}, [1, 2, 3]), finding(BASE, [1, bad, 3])):
            with pytest.raises(TypeError):
                orjson.dumps(found.as_document())
            with pytest.raises(TypeError):
                found.as_json()


def test_endless_shapes_do_not_fill_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(happened, "_MAX_SHAPES", 8)
    monkeypatch.setattr(happened, "_shapes", {})
    for number in range(100):
        assert_same(finding(BASE | {f"field{number}": 1}, [1, 2, 3]))
        assert len(happened._shapes) <= 8
    happened._shapes.clear()
    assert_same(finding(BASE | {"x" * 10_000: 1}, [1, 2, 3]))
    assert not happened._shapes


def test_a_finding_of_several_events_is_written_whole() -> None:
    told = finding(BASE, [1, 2, 3]).why
    assert_same(Finding(RULE, ({"event.id": "e0"}, BASE), told, ("host:a",), '["x"]'))
