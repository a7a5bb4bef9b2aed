"""All in one: from a line in a file to an alert, and what happens when something is in the way."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from soc.errors import StoreError
from soc.model.event import Event
from soc.model.finding import Finding, RuleInfo
from soc.model.reason import Reason
from soc.run.allinone import Input, Runner
from soc.store.base import Retention, Store
from soc.store.open import open_store
from soc.store.query import parse

START = datetime(2026, 11, 22, 8, tzinfo=UTC)
RULE = RuleInfo("rule-1", "Says bad", "high")


class SaysBad:
    """A detector without rules: the message holds `bad`."""

    def evaluate(self, event: Event) -> Sequence[Finding]:
        if "bad" not in event["message"]:
            return []
        reason = Reason("field", "message", True, (), "message", event["message"], "bad")
        return [Finding(RULE, [event], reason)]


class Clock:
    """A wall clock that goes when it is told to."""

    def __init__(self) -> None:
        self.at = START

    def __call__(self) -> datetime:
        return self.at


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    made = open_store(tmp_path / "store")
    yield made
    made.close()


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "app.log"


def runner(store: Store, log: Path, clock: Clock | None = None, **more: object) -> Runner:
    clock = clock or Clock()
    return Runner(
        store=store,
        inputs=[Input(str(log), UTC)],
        detector=SaysBad(),
        key=b"k" * 32,
        observer="node-1",
        clock=clock,
        now=lambda: clock.at.timestamp(),
        **more,  # type: ignore[arg-type]
    )


def messages(store: Store, query: str = "*") -> list[str]:
    return [e["message"] for e in reversed(store.search(parse(query), limit=100).events)]


def test_a_line_becomes_an_event_and_a_bad_one_an_alert(store: Store, log: Path) -> None:
    log.write_text("good\nbad\n")
    run = runner(store, log)
    run.drain()
    assert sorted(messages(store)) == ["bad", "good"]
    (alert,) = store.search(parse("*"), collection="alerts").events
    assert alert["rule.id"] == "rule-1"
    assert alert["soc.reason"]["value"] == "bad"
    assert store.get(alert["soc.event_ids"])[0]["event.original"] == "bad"
    c = run.counters
    assert (c.received, c.stored, c.duplicate, c.rejected, c.alerts) == (2, 2, 0, 0, 1)


def test_a_new_start_goes_on_where_the_old_one_stopped(store: Store, log: Path) -> None:
    log.write_text("one\n")
    runner(store, log).drain()
    with log.open("a") as file:
        file.write("bad two\n")
    second = runner(store, log)
    second.drain()
    assert second.counters.received == 1
    assert second.counters.alerts == 1


def test_alerts_are_not_raised_again_when_the_cursor_was_lost(store: Store, log: Path) -> None:
    """A crash after the alerts and before the cursor: the batch is judged again."""
    log.write_text("bad\n")
    first = runner(store, log)
    refused = store.save_checkpoint

    def crash(_checkpoint: object) -> object:
        raise StoreError("killed here")

    store.save_checkpoint = crash  # type: ignore[method-assign,assignment]
    with pytest.raises(StoreError):
        first.drain()
    store.save_checkpoint = refused  # type: ignore[method-assign]
    second = runner(store, log)
    second.drain()
    assert second.counters.alerts == 0
    assert len(store.search(parse("*"), collection="alerts").events) == 1


def test_a_store_that_refuses_loses_nothing(store: Store, log: Path) -> None:
    from threading import Event as Flag
    from threading import Thread

    log.write_text("one\ntwo\n")
    run, stop, works = runner(store, log), Flag(), store.append
    tries: list[int] = []

    def full(*arguments: object, **more: object) -> object:
        tries.append(1)
        if len(tries) == 1:
            raise StoreError("the disk is full")
        return works(*arguments, **more)  # type: ignore[arg-type]

    store.append = full  # type: ignore[method-assign,assignment]
    thread = Thread(target=run.run, args=(stop,))
    thread.start()
    for _ in range(100):
        if len(messages(store)) == 2:
            break
        stop.wait(0.1)
    stop.set()
    thread.join(10)
    assert messages(store) == ["one", "two"]
    assert len(tries) >= 2


def test_a_binary_file_costs_nobody_else_anything(
    store: Store, log: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "app.log.bin").write_bytes(bytes(range(256)) * 100 + b"\n")
    log.write_text("one\n")
    run = runner(store, log)
    run.inputs = [Input(str(log) + "*", UTC)]
    run.drain()
    assert messages(store) == ["one"]
    assert caplog.text.count("app.log.bin") == 1


def test_a_binary_first_line_hides_no_others(
    store: Store, log: Path, caplog: pytest.LogCaptureFixture
) -> None:
    run = runner(store, log)
    with log.open("ab", buffering=0) as file:
        for line in (b"GET /\1\2\3\4\5\n", b"\6\7\1\n", b"Nov 22 08:00:00 web app: two\n"):
            file.write(line)
            run.drain()
    assert messages(store) == ["two"]
    assert len(caplog.records) == 1


def test_a_first_line_that_nobody_knows_does_not_decide_what_a_log_is(
    store: Store, tmp_path: Path
) -> None:
    log = tmp_path / "auth.log"
    run = runner(store, log)
    run.inputs = [Input(str(log), UTC)]
    for line in ("a banner", "Nov 22 08:00:00 web sshd[1]: Server listening on :: port 22."):
        with log.open("a") as file:
            file.write(f"{line}\n")
        run.drain()
    found = store.search(parse("*"), limit=100).events
    assert sorted(event["event.dataset"] for event in found) == ["syslog", "text"]


def test_retention_drops_whole_days_and_says_so(
    store: Store, log: Path, caplog: pytest.LogCaptureFixture
) -> None:
    clock = Clock()
    run = runner(store, log, clock, retention=Retention(days=7))
    for day in range(10):
        clock.at = START + timedelta(days=day)
        with log.open("a") as file:
            file.write(f"day {day}\n")
        run.drain()
        run._retain()
    assert messages(store) == [f"day {day}" for day in range(2, 10)]
    assert "events-2026-11-22 was dropped" in caplog.text


def test_leases_are_looked_at_at_the_start_and_then_every_few_seconds(
    store: Store, log: Path, caplog: pytest.LogCaptureFixture
) -> None:
    from soc.errors import Refused

    clock, looks = Clock(), list[bool]()

    def tend(start: bool) -> None:
        looks.append(start)
        if len(looks) == 1:
            raise Refused("somebody acts at the moment")

    run = runner(store, log, clock, tend=tend)
    for _ in range(20):
        run._tend()
        clock.at += timedelta(seconds=1)
    assert looks == [True, True, False, False]  # what failed at the start is done again
    assert caplog.text.count("somebody acts") == 1


def test_a_device_that_does_not_answer_does_not_keep_detection_waiting(
    store: Store, log: Path
) -> None:
    clock, looks = Clock(), list[datetime]()

    def tend(_start: bool) -> None:
        looks.append(clock.at)
        clock.at += timedelta(seconds=30)

    run = runner(store, log, clock, tend=tend)
    for _ in range(600):
        run._tend()
        clock.at += timedelta(seconds=1)
    assert len(looks) == 3
