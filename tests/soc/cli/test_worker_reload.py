"""`soc worker run` as a process: its rules change, break and are parked while it works."""

import signal
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from soc.model.time import iso
from soc.run.rules_parking import Parked, park, unpark
from soc.run.rules_watch import health
from soc.run.worker.slots import MATCHES, name_of
from soc.store.base import Store
from soc.store.open import open_store
from soc.store.query import parse
from tests.elastic.worker_flow import login
from tests.soc.run.test_rules_reload import IDS, SERIES, keyword, running, wait

GENERATING = SERIES.replace("1m", "3h") + "  generate: true\n"


def titles(store: Store) -> list[str]:
    found = store.search(parse("*"), collection="alerts").events
    return sorted(alert["rule.name"] for alert in found)


def counted(store: Store) -> bool:
    """Tell whether a correlation has counted something that is saved."""
    slots = [store.checkpoint(name_of(slot)) for slot in MATCHES]
    states = [saved.payload.get("state", {}).get("groups", {}) for saved in slots if saved]
    return any(one["groups"] for state in states for one in state.values())


class Saying:
    """Stores events that were received longer ago than the lateness: no correlation waits.

    Each happens 15 minutes after the one before, so that none comes late.
    """

    def __init__(self, store: Store) -> None:
        self.store = store
        self.count = 0
        self.received = datetime.now(UTC) - timedelta(minutes=10)

    def __call__(self, word: str) -> None:
        self.count += 1
        moment = self.received - timedelta(days=1) + self.count * timedelta(minutes=15)
        event = login(self.count, moment) | {"message": word, "event.original": word}
        event["event.created"] = iso(self.received)
        (verdict,) = self.store.append([event], now=datetime.now(UTC))
        assert verdict.outcome == "created"


@pytest.fixture
def home(tmp_path: Path) -> Path:
    rules = tmp_path / "rules"
    rules.mkdir()
    (rules / "one.yml").write_text(keyword("alpha", 1))
    (rules / "series.yml").write_text(GENERATING)
    (tmp_path / "soc.toml").write_text(
        f'[paths]\nstate = "{tmp_path}/state"\n[rules]\npaths = ["{rules}"]\n'
    )
    (tmp_path / "state").mkdir(mode=0o700)
    return tmp_path


def telling(home: Path) -> Callable[..., Callable[[], bool]]:
    def told(text: str, times: int = 1) -> Callable[[], bool]:
        return lambda: (home / "notes").read_text().count(text) >= times

    return told


@pytest.mark.slow
def test_a_worker_takes_up_refuses_and_parks(home: Path) -> None:
    two, told = home / "rules" / "two.yml", telling(home)
    with closing(open_store(home / "state" / "store")) as store:
        say = Saying(store)

        def raised(*expected: str) -> None:
            wait(lambda: titles(store) == sorted(expected), str(expected))

        with running(home, "worker", "run") as process:
            wait(told("with 2 rules"), "it starts")
            say("alpha")
            raised("Rule 1")
            wait(lambda: counted(store), "the first of two is counted")
            two.write_text(keyword("beta", 2))
            process.send_signal(signal.SIGHUP)
            wait(told("rules reloaded: 3 rules"), "the new rule is taken up")
            say("beta")
            raised("Rule 1", "Rule 2")
            say("alpha")  # the second of two
            raised("Rule 1", "Rule 1", "Rule 2", "Series")
            two.write_text("title: [")
            wait(told("not reloaded"), "without a signal, within seconds")
            assert "two.yml:" in (home / "notes").read_text()
            say("beta")
            raised("Rule 1", "Rule 1", "Rule 2", "Rule 2", "Series")
            two.write_text(keyword("beta", 2))
            park(store, Parked(IDS[2], "Rule 2", "test", "t", "2026-11-27T06:00:00.000Z"))
            wait(told("rules reloaded: 2 rules"), "parking is taken up")
        assert process.returncode == 0
        counts = health(store).total
        assert counts.judged == say.count
        assert counts.of(IDS[2]).matches == 2
        with running(home, "worker", "run"):
            wait(told("rule parked: Rule 2"), "a start names what is parked")
            wait(told("with 2 rules"), "and leaves it out")
            say("beta")
            say("alpha")
            raised("Rule 1", "Rule 1", "Rule 1", "Rule 2", "Rule 2", "Series")


@pytest.mark.slow
def test_a_worker_parks_a_correlation_and_says_who_starves(home: Path) -> None:
    told = telling(home)
    with closing(open_store(home / "state" / "store")) as store:
        say = Saying(store)

        def raised(*expected: str) -> None:
            wait(lambda: titles(store) == sorted(expected), str(expected))

        with running(home, "worker", "run"):
            wait(told("with 2 rules"), "it starts")
            say("alpha")
            wait(lambda: counted(store), "the first of two is counted")
            park(store, Parked(IDS[7], "Series", "test", "t", "2026-11-27T06:00:00.000Z"))
            wait(told("rule parked: Series"), "it is parked")
            wait(lambda: not counted(store), "and forgets what it counted")
            say("alpha")
            raised("Rule 1", "Rule 1")
            unpark(store, IDS[7])
            wait(told("rules reloaded: 2 rules"), "it is taken up again")
            say("alpha")
            wait(lambda: counted(store), "it begins anew")
            raised(*["Rule 1"] * 3)
            say("alpha")
            raised(*["Rule 1"] * 4, "Series")
            park(store, Parked(IDS[1], "Rule 1", "test", "t", "2026-11-27T06:00:00.000Z"))
            wait(told("correlation starved: Series"), "who needs a parked rule is told")
            unpark(store, IDS[1])
            wait(told("rules reloaded: 2 rules", 2), "and fed again")
            say("alpha")
            raised(*["Rule 1"] * 5, "Series")
