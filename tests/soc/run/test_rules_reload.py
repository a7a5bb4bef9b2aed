"""Changed rules are taken up between two batches; what got worse is refused, and said."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from detectors.sigma.load import Rejection, load
from soc.errors import StoreError
from soc.run.correlating import Correlating
from soc.run.rules_parking import Parked, Table, park
from soc.run.rules_reload import EVERY, Reloader, worse
from soc.store.open import open_store
from soc.store.query import parse
from tests.data import ROOT
from tests.detectors.sigma.correlation.material import event, pipelines
from tests.detectors.sigma.sigma_rules import rule
from tests.soc.run.test_judging import LATENESS, REPORT, Clock, alerts, happened, judge
from tests.soc.run.worker.team import received

LINUX = "{product: linux}"
IDS = [f"00000000-0000-4000-8000-{number:012d}" for number in range(9)]
SERIES = """\
title: Series
id: 00000000-0000-4000-8000-000000000007
correlation:
  type: event_count
  rules: 00000000-0000-4000-8000-000000000001
  timespan: 1m
  condition: {gte: 2}
"""


class Seconds:
    """A monotonic clock that goes when it is told to."""

    at = 0.0

    def __call__(self) -> float:
        return self.at


class Files:
    """A folder of rules and what reloads them."""

    def __init__(self, folder: Path) -> None:
        self.rules, self.clock = folder / "rules", Seconds()
        self.rules.mkdir()
        self.parked: Table = {}
        self.put("one", keyword("bad", 1))
        self.put("two", keyword("worse", 2))
        self.reloader = Reloader(
            [self.rules], folder / "state", lambda: self.parked, now=self.clock
        )

    def put(self, name: str, text: str) -> None:
        (self.rules / f"{name}.yml").write_text(text, "utf-8")

    def poll(self) -> list[str] | None:
        self.clock.at += EVERY + 1
        new = self.reloader.poll()
        return None if new is None else sorted(one.id for one in new.engine.rules)

    def park(self, *rules: str) -> None:
        self.parked = {one: Parked(one, one, "test", "t", "2026-11-27") for one in rules}

    @property
    def ids(self) -> list[str]:
        return [one.id for one in self.reloader.current.engine.rules]


def keyword(word: str, number: int) -> str:
    return rule(f"s: [{word}]\ncondition: s", number=number, logsource=LINUX)


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return Files(tmp_path)


def test_nothing_changed_is_nothing_new(files: Files) -> None:
    assert files.poll() is None
    files.put("three", keyword("new", 3))
    files.reloader.now = lambda: files.clock.at  # too early to look again
    assert files.reloader.poll() is None


def test_a_new_a_changed_and_a_deleted_rule(files: Files) -> None:
    files.put("three", keyword("new", 3))
    assert files.poll() == IDS[1:4]
    files.put("one", keyword("other", 1))
    assert files.poll() == IDS[1:4]
    (files.rules / "two.yml").unlink()
    assert files.poll() == [IDS[1], IDS[3]]
    assert files.poll() is None


def test_asking_needs_no_waiting(files: Files) -> None:
    files.put("three", keyword("new", 3))
    assert files.reloader.poll() is None
    files.reloader.ask()
    assert files.reloader.poll() is not None


def broken_rule(files: Files) -> str:
    files.put("two", keyword("worse", 2).replace("condition: s", "condition: t"))
    return "two.yml:"


def all_gone(files: Files) -> str:
    for path in files.rules.iterdir():
        path.unlink()
    return "no usable rule"


def folder_gone(files: Files) -> str:
    files.rules.rename(files.rules.with_name("moved"))
    return "there is no"


@pytest.mark.parametrize("damage", [broken_rule, all_gone, folder_gone])
def test_a_set_that_got_worse_is_refused_and_said_once(
    files: Files, caplog: pytest.LogCaptureFixture, damage: Callable[[Files], str]
) -> None:
    why = damage(files)
    for _ in range(3):
        assert files.poll() is None
    assert files.ids == IDS[1:3]
    assert caplog.text.count("not reloaded, the 2 loaded before stay in force") == 1
    assert why in caplog.text


def test_a_rule_that_never_loaded_stops_nobody(files: Files) -> None:
    files.put("four", "title: half written")
    assert files.poll() == IDS[1:3]


def test_a_correlation_or_filter_that_got_worse_counts_too(files: Files) -> None:
    files.put("series", SERIES)
    assert files.poll() == IDS[1:3]
    files.put("series", SERIES.replace("gte", "about"))
    assert files.poll() is None
    files.put("series", SERIES)
    filter_ = "title: F\nlogsource: {product: linux}\nfilter:\n  rules: any\n  s: [x]\n"
    filter_ += "  condition: not s\n"
    files.put("filter", filter_)
    assert files.poll() == IDS[1:3]
    files.put("filter", filter_.replace("not s", "not t"))
    assert files.poll() is None


def test_a_folder_that_cannot_be_read_any_more_got_worse(tmp_path: Path) -> None:
    inner = tmp_path / "rules" / "inner"
    inner.mkdir(parents=True)
    (inner / "one.yml").write_text(keyword("bad", 1), "utf-8")
    old = load([tmp_path / "rules"])
    unread = Rejection(str(inner), 1, "the folder cannot be read")
    assert worse(old, replace(old, rules=(), rejected=(unread,))) == [unread]
    beside = replace(unread, path=str(inner)[:-1])
    assert worse(old, replace(old, rules=(), rejected=(beside,))) == []


def test_a_store_that_is_away_costs_no_change(files: Files) -> None:
    def away() -> Table:
        raise StoreError("away")

    files.put("three", keyword("new", 3))
    files.reloader.look = away
    files.reloader.ask()
    with pytest.raises(StoreError):
        files.poll()
    files.reloader.look = lambda: files.parked
    assert files.poll() == IDS[1:4]


def test_parking_works_also_while_the_files_are_broken(files: Files) -> None:
    broken_rule(files)
    assert files.poll() is None
    files.park(IDS[1])
    assert files.poll() == [IDS[2]]
    files.park()
    assert files.poll() == IDS[1:3]


def test_a_parked_rule_keeps_its_correlation_and_whom_it_keeps_quiet(files: Files) -> None:
    files.put("series", SERIES)
    files.park(IDS[1])
    files.poll()
    assert [one.id for one in files.reloader.current.report.correlations] == [IDS[7]]


def test_a_parked_correlation_stays_and_counts_nothing(files: Files) -> None:
    files.put("series", SERIES)
    for parked in ((IDS[7],), (), (IDS[7], IDS[1])):
        files.park(*parked)
        assert files.poll() == [one for one in IDS[1:3] if one not in parked]
        (series,) = files.reloader.current.report.correlations
        assert series.parked == (IDS[7] in parked)
    files.put("three", keyword("new", 3))  # files that change do not wake it
    assert files.poll() == IDS[2:4]
    assert files.reloader.current.report.correlations[0].parked


def test_what_is_parked_is_forgotten_and_begins_anew(tmp_path: Path) -> None:
    """Two of three are counted, then it is parked: one more is not enough afterwards."""
    (many,) = (one.id for one in REPORT.correlations if one.name == "many")
    every = [event(n, n * 2, kind, {"User": "u"}) for n, kind in enumerate("aacccab")]
    for parked, expected in ((set[str](), ["then"]), ({many}, [])):
        with closing(open_store(tmp_path / f"store{len(parked)}")) as store:
            one = judge(store, Clock())
            for position, some in enumerate((every[:5], every[5:])):
                store.append(received(some), now=datetime(2026, 11, 22, tzinfo=UTC))
                while one.step():
                    pass
                one.save()
                if not position:
                    for ids in (parked, set[str]()):
                        one.use(
                            one.detector, Correlating(REPORT.without(ids), pipelines(), LATENESS)
                        )
            one.finish()
            assert [alert[1] for alert in alerts(store)] == expected


@pytest.mark.parametrize("seed", range(3))
def test_correlations_go_on_over_a_swap(tmp_path: Path, seed: int) -> None:
    events, found = happened(120, seed), []
    for swaps in (False, True):
        with closing(open_store(tmp_path / f"store{swaps}")) as store:
            one = judge(store, Clock())
            for start in range(0, len(events), 20):
                store.append(events[start : start + 20], now=datetime(2026, 11, 22, tzinfo=UTC))
                while one.step():
                    pass
                if swaps:  # the same rules, loaded again, with nothing counted
                    one.use(one.detector, Correlating(REPORT, pipelines(), LATENESS))
            one.finish()
            found.append(alerts(store))
    assert found[0] == found[1]
    assert found[0]


@contextmanager
def running(home: Path, *command: str) -> Iterator[subprocess.Popen[str]]:
    environment = os.environ | {"PYTHONPATH": str(ROOT), "SOC_LANG": "en"}
    with (home / "notes").open("w") as notes:
        process = subprocess.Popen(
            [sys.executable, "-c", "from soc.cli.main import main; main()", *command],
            cwd=home,
            env=environment,
            stderr=notes,
            text=True,
        )
        try:
            yield process
        finally:
            process.terminate()
            process.wait(30)


def wait(condition: Callable[[], object], what: str) -> None:
    end = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < end, what
        time.sleep(0.1)


@pytest.mark.slow
def test_a_real_process_takes_up_refuses_and_parks(tmp_path: Path) -> None:
    rules, log = tmp_path / "rules", tmp_path / "auth.log"
    rules.mkdir()
    (rules / "one.yml").write_text(keyword("alpha", 1))
    log.write_text("")
    (tmp_path / "soc.toml").write_text(
        f'[paths]\nstate = "{tmp_path}/state"\n[rules]\npaths = ["{rules}"]\n'
        f'[[inputs]]\npath = "{log}"\nparser = "syslog"\nzone = "UTC"\n'
    )
    notes = tmp_path / "notes"
    count = 0

    def say(word: str) -> None:
        nonlocal count
        count += 1
        with log.open("a") as file:
            file.write(f"2026-11-27T06:00:{count:02d}Z host app[1]: {word}\n")

    def titles() -> list[str]:
        with closing(open_store(tmp_path / "state" / "store")) as store:
            found = store.search(parse("*"), collection="alerts").events
        return sorted(alert["rule.name"] for alert in found)

    def told(text: str) -> Callable[[], bool]:
        return lambda: text in notes.read_text()

    with running(tmp_path, "run") as process:
        wait(told("following"), "it starts")
        say("alpha")
        wait(lambda: titles() == ["Rule 1"], "the first rule works")
        (rules / "two.yml").write_text(keyword("beta", 2))
        process.send_signal(signal.SIGHUP)
        wait(told("rules reloaded: 2 rules"), "the new rule is taken up")
        say("beta")
        wait(lambda: titles() == ["Rule 1", "Rule 2"], "the new rule works")
        (rules / "two.yml").write_text("title: [")
        wait(told("not reloaded"), "without a signal, within seconds")
        assert "two.yml:" in notes.read_text()
        say("beta")
        wait(lambda: len(titles()) == 3, "the old set goes on")
        with closing(open_store(tmp_path / "state" / "store")) as store:
            park(store, Parked(IDS[2], "Rule 2", "test", "t", "2026-11-27T06:00:00.000Z"))
        wait(told("rules reloaded: 1 rules"), "parking is taken up")
        say("beta")
        say("alpha")
        wait(lambda: titles().count("Rule 1") == 2, "the rest goes on")
        assert len(titles()) == 4
    with running(tmp_path, "run"):
        wait(told("rule parked: Rule 2"), "a start names what is parked")
