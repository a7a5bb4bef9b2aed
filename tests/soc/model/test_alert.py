"""Alerts: one id for one rule on one event, and a state that follows from the log alone."""

from dataclasses import replace

import pytest

from soc.model.alert import MUTABLE, STATES, TRANSITIONS, VERDICTS, Entry, alert_id, project
from soc.model.ecs import field_type, lookup

EVENT = "019a2b3c4d5e-00112233445566778899aabbccddeeff"


def entry(seq: int, action: str, before: str, after: str, **more: str) -> Entry:
    fields: dict[str, object] = {
        "alert_id": "a",
        "seq": seq,
        "at": f"2026-11-22T08:00:0{seq}.000000Z",
        "actor": "lan",
        "action": action,
        "state_from": before,
        "state_to": after,
        **more,
    }
    return Entry(**fields)  # type: ignore[arg-type]


ACK = entry(1, "ack", "new", "acknowledged", owner="lan")
CLOSE = entry(2, "close", "acknowledged", "closed", verdict="benign", reason="a planned scan")
REOPEN = entry(3, "reopen", "closed", "in_progress")


def test_the_id_is_the_same_for_the_same_rule_and_event_and_begins_with_the_time() -> None:
    assert alert_id("r", EVENT) == alert_id("r", EVENT)
    assert alert_id("r", EVENT).startswith("019a2b3c4d5e-")
    assert len({alert_id("r", EVENT), alert_id("s", EVENT), alert_id("r", EVENT[:-1] + "e")}) == 3


def test_rule_and_event_cannot_be_shifted_into_each_other() -> None:
    assert alert_id("ab", "c") != alert_id("a", "bc")


def test_an_alert_without_entries_is_new() -> None:
    assert project([]) == {"soc.alert.state": "new", "soc.alert.seq": 0}


def test_closing_sets_verdict_and_reason_and_reopening_takes_them_back() -> None:
    closed = project([ACK, CLOSE])
    assert closed["soc.alert.state"] == "closed"
    assert closed["soc.alert.verdict"] == "benign"
    assert closed["soc.alert.reason"] == "a planned scan"
    assert closed["soc.alert.owner"] == "lan"
    again = project([ACK, CLOSE, REOPEN])
    assert again["soc.alert.state"] == "in_progress"
    assert again["soc.alert.seq"] == 3
    assert "soc.alert.verdict" not in again
    assert "soc.alert.reason" not in again


def test_the_projection_writes_only_fields_that_may_change_and_that_have_a_type() -> None:
    assert project([ACK, CLOSE]).keys() <= MUTABLE
    assert all(lookup(name) for name in MUTABLE)
    assert field_type("soc.alert.seq") == "long"


def test_the_hash_changes_with_every_field() -> None:
    others = [
        replace(CLOSE, reason="other"),
        replace(CLOSE, actor="mai"),
        replace(CLOSE, at="2026-11-22T09:00:00.000000Z"),
        replace(CLOSE, previous="0"),
        replace(CLOSE, seq=9),
    ]
    assert len({CLOSE.hash, *(other.hash for other in others)}) == 6
    assert CLOSE.id == "a:2"


@pytest.mark.parametrize("action", TRANSITIONS)
def test_every_action_starts_and_ends_in_known_states(action: str) -> None:
    before, after = TRANSITIONS[action]  # type: ignore[index]
    assert set(before) <= set(STATES)
    assert after is None or after in STATES
    assert "true_positive" in VERDICTS
