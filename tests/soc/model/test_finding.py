"""A finding repeats of its event what a list needs, and says why it is one."""

from typing import Any

from soc.model.event import flatten
from soc.model.finding import Finding, RuleInfo
from soc.model.happened import entities_of
from soc.model.reason import Reason

EVENT: dict[str, Any] = {
    "@timestamp": "2026-11-22T08:15:30.000000Z",
    "ecs.version": "9.5.0",
    "event.id": "e2",
    "event.dataset": "sshd",
    "host.name": "web01",
    "user.name": "root",
    "source.ip": "10.0.0.7",
    "destination.ip": "10.0.0.7",
    "process.pid": 7,
}
LEAF = Reason("field", "user.name", True, field="user.name", value="root", pattern="root")
REASON = Reason("selection", "selection", True, (LEAF,))
RULE = RuleInfo("r1", "Root login", "high", author="An", techniques=("T1078",))
FINDING = Finding(RULE, [{**EVENT, "event.id": "e1"}, EVENT], REASON)


def test_a_finding_is_a_signal_about_the_event_that_completed_it() -> None:
    event = FINDING.as_event()
    assert event["event.kind"] == "signal"
    assert event["event.id"] == "e2"
    assert event["soc.event_ids"] == ["e1", "e2"]
    assert event["rule.level"] == "high"
    assert event["threat.technique.id"] == ["T1078"]
    assert event["source.ip"] == "10.0.0.7"
    assert "process.pid" not in event


def test_what_is_empty_is_left_out() -> None:
    assert "rule.reference" not in FINDING.as_event()
    assert "threat.tactic.name" not in FINDING.as_event()


def test_the_document_is_nested_and_explains_itself() -> None:
    document = FINDING.as_document()
    assert document["rule"]["name"] == "Root login"
    assert document["reason"]["children"][0] == {
        "kind": "field",
        "label": "user.name",
        "matched": True,
        "field": "user.name",
        "value": "root",
        "pattern": "root",
    }
    document.pop("reason")
    assert flatten(document) == FINDING.as_event()


def test_entities_are_named_once_each() -> None:
    assert entities_of(EVENT) == ("host:web01", "user:root", "ip:10.0.0.7")
    assert entities_of({}) == ()
