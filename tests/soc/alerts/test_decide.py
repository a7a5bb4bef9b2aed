"""What may be done with an alert, and what its log says afterwards."""

from datetime import UTC, datetime, timedelta

import pytest

from soc.alerts.triage import Decision, decide
from soc.errors import Refused, SocError, UsageError
from soc.model.alert import STATES, TRANSITIONS, Entry, alert_id, project

NOW = datetime(2026, 11, 22, 8, tzinfo=UTC)
ALERT = alert_id("rule", "019aa0000000-00")
CLOSE = Decision("close", "lan", "benign", "the nightly backup")


def play(*decisions: Decision) -> list[Entry]:
    log: list[Entry] = []
    for minute, decision in enumerate(decisions):
        log.append(decide(log, ALERT, decision, NOW + timedelta(minutes=minute)))
    return log


def test_the_usual_way_of_an_alert() -> None:
    log = play(Decision("ack", "lan"), Decision("assign", "lan", owner="minh"), CLOSE)
    assert [entry.state_to for entry in log] == ["acknowledged", "in_progress", "closed"]
    fields = project(log)
    assert fields["soc.alert.state"] == "closed"
    assert fields["soc.alert.owner"] == "minh"
    assert fields["soc.alert.verdict"] == "benign"
    assert fields["soc.alert.reason"] == "the nightly backup"
    assert fields["soc.alert.seq"] == 3


def test_reopening_takes_the_verdict_back_and_keeps_the_log() -> None:
    log = play(CLOSE, Decision("reopen", "minh", reason="it came again"))
    assert project(log)["soc.alert.state"] == "in_progress"
    assert "soc.alert.verdict" not in project(log)
    assert log[0].verdict == "benign"


def test_a_note_changes_no_state() -> None:
    assert (
        project(play(Decision("note", "lan", reason="asked the owner")))["soc.alert.state"] == "new"
    )


@pytest.mark.parametrize(
    "decision",
    [
        Decision("close", "lan", None, "reason"),
        Decision("close", "lan", "benign", "  "),
        Decision("close", "lan", "nonsense", "reason"),  # type: ignore[arg-type]
        Decision("assign", "lan", owner=" "),
        Decision("reopen", "lan"),
        Decision("note", "lan"),
    ],
)
def test_words_and_verdict_are_demanded(decision: Decision) -> None:
    with pytest.raises(UsageError):
        play(CLOSE, decision) if decision.action == "reopen" else play(decision)


def test_a_closed_alert_cannot_be_acknowledged_and_the_way_out_is_named() -> None:
    with pytest.raises(Refused, match="closed") as refusal:
        play(CLOSE, Decision("ack", "lan"))
    assert "reopen" in refusal.value.hint


def test_every_action_from_every_state_is_allowed_or_refused_as_the_table_says() -> None:
    to_state: dict[str, tuple[Decision, ...]] = {
        "new": (),
        "acknowledged": (Decision("ack", "a"),),
        "in_progress": (Decision("assign", "a", owner="b"),),
        "closed": (CLOSE,),
    }
    for state in STATES:
        for action, (allowed, _) in TRANSITIONS.items():
            decision = Decision(action, "a", "benign", "words", "b")
            try:
                play(*to_state[state], decision)
            except SocError:
                assert state not in allowed
            else:
                assert state in allowed


def test_entries_are_chained_by_hash() -> None:
    log = play(Decision("ack", "lan"), Decision("note", "lan", reason="x"), CLOSE)
    assert [entry.previous for entry in log] == ["", log[0].hash, log[1].hash]
    assert len({entry.hash for entry in log}) == 3


def test_the_same_rule_on_the_same_event_is_the_same_alert() -> None:
    assert alert_id("r", "019aa0000000-00") == alert_id("r", "019aa0000000-00")
    assert alert_id("r", "019aa0000000-00") != alert_id("r", "019aa0000000-01")
    assert alert_id("q", "019aa0000000-00") != alert_id("r", "019aa0000000-00")
