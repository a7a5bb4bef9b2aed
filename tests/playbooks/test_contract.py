"""The engine with actions of other kinds: messages, and effects that no kernel ends."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from playbooks import effect
from playbooks.effect import from_module
from playbooks.engine import Origin
from playbooks.extension import EXTENSION
from playbooks.guard import Guard
from playbooks.load import loads
from playbooks.plan import make
from soc.errors import ContentError, Refused
from soc.registry import Plugin
from tests.playbooks import fake_message, fake_switch
from tests.playbooks.kit import Machine, end, sid, workflow


@pytest.fixture(autouse=True)
def _fakes(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    fakes = {
        name: Plugin(effect.KIND, name, f"tests.playbooks.{name}")
        for name in ("fake_message", "fake_switch")
    }
    monkeypatch.setattr(effect, "plugins", lambda _kind: fakes)
    effect.action.cache_clear()
    yield
    effect.action.cache_clear()


def step(number: int, action: str, arguments: str, undo: str, following: str) -> str:
    return f"""\
{sid("action", number)}:
  type: action
  name: step {number}
  commands: [{{type: soc-action}}]
  agent: {sid("security-category", 0)}
  on_completion: {following}
  step_extensions: {{{EXTENSION}: {{action: {action}, arguments: {arguments}, undo: {undo}}}}}
"""


TEXT = workflow(
    step(1, "fake_switch", "{lamp: red}", "revert", sid("action", 2)),
    step(2, "fake_message", "{text: the lamp is on}", "none", sid("end", 1)),
    end(1),
)


class House:
    def __init__(self, folder: Path) -> None:
        self.machine = Machine(folder)
        self.letters: list[Any] = []
        self.lamps: set[str] = set()
        ports = {"letters": self.letters, "lamps": self.lamps}
        views = {"letters": (), "lamps": self.lamps}
        self.engine = replace(self.machine.engine, views=views, ports=ports)

    def run(self) -> Any:
        playbook = loads(TEXT, "try.yml")
        plan = make(playbook, {}, self.engine.views, self.engine.guard, self.machine.clock())
        return self.engine.start("run-1", playbook, {}, plan.hash, Origin("lan"))


def test_a_message_is_sent_with_its_key_and_holds_nothing(tmp_path: Path) -> None:
    house = House(tmp_path)
    report = house.run()
    assert report.status == "done"
    ((key, _now, text),) = house.letters
    assert (len(key), text) == (32, "the lamp is on")
    assert [claim.target for claim in report.in_force] == ["red"]
    house.engine.undo("run-1", "lan")
    assert (house.lamps, len(house.letters)) == (set(), 1)


def test_a_message_cut_short_is_sent_again_with_the_same_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    house = House(tmp_path)
    sent = fake_message.apply

    def interrupted(*arguments: Any) -> None:
        sent(*arguments)
        raise KeyboardInterrupt

    monkeypatch.setattr(fake_message, "apply", interrupted)
    effect.action.cache_clear()
    with pytest.raises(KeyboardInterrupt):
        house.run()
    monkeypatch.setattr(fake_message, "apply", sent)
    effect.action.cache_clear()
    house.machine.clock.turn(30)
    assert house.engine.resume("run-1").status == "done"
    assert len(house.letters) == 2
    assert house.letters[0] == house.letters[1]


def test_a_lease_of_a_run_that_was_cut_short_ends_without_anybody_resuming_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    house = House(tmp_path)
    switched = fake_switch.apply

    def interrupted(*arguments: Any) -> None:
        switched(*arguments)
        raise KeyboardInterrupt

    monkeypatch.setattr(fake_switch, "apply", interrupted)
    effect.action.cache_clear()
    with pytest.raises(KeyboardInterrupt):
        house.run()
    effect.action.cache_clear()
    house.machine.clock.turn(30)
    house.engine.reconcile("worker", busy=["run-1"])
    assert house.lamps == {"red"}  # the run's own matter: it may be resumed
    house.machine.clock.turn(31)
    assert house.engine.reconcile("worker", busy=["run-1"]) == []
    assert house.lamps == set()
    report = house.engine.resume("run-1")
    assert (report.status, house.lamps) == ("failed", set())
    assert "ran out" in report.detail


def test_what_no_kernel_ends_is_ended_by_reconciling(tmp_path: Path) -> None:
    house = House(tmp_path)
    house.run()
    house.machine.clock.turn(61)
    assert house.lamps == {"red"}
    assert house.engine.reconcile("worker") == []
    assert house.lamps == set()


def test_the_change_that_is_made_is_the_one_that_was_agreed_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    house, made = House(tmp_path), []
    apply, verify = fake_switch.apply, fake_switch.verify

    def noted(request: Any, change: Any, port: Any) -> None:
        made.append(change)
        apply(request, change, port)

    def meddled(request: Any, view: Any) -> Any:
        # Somebody changes what `plan` would say, between the agreement and the change.
        monkeypatch.setattr(fake_switch, "plan", None)
        return verify(request, view)

    monkeypatch.setattr(fake_switch, "apply", noted)
    monkeypatch.setattr(fake_switch, "verify", meddled)
    effect.action.cache_clear()
    assert house.run().status == "done"
    assert [(change.summary, change.do) for change in made] == [("switch it on", {"on": "red"})]


def test_protected_accounts_are_never_touched(tmp_path: Path) -> None:
    house = House(tmp_path)
    house.engine = replace(house.engine, guard=Guard((), accounts=frozenset({"red"})))
    with pytest.raises(Refused, match="never touched"):
        house.run()


def test_a_capability_that_is_not_there_is_refused_before_anything_happens(tmp_path: Path) -> None:
    house = House(tmp_path)
    house.engine = replace(house.engine, views={"lamps": house.lamps})
    with pytest.raises(Refused, match="letters"):
        house.run()
    assert house.lamps == set()


def test_the_kill_switch_holds_messages_back_too(tmp_path: Path) -> None:
    house = House(tmp_path)
    house.machine.stopped = True
    with pytest.raises(Refused, match="kill switch"):
        house.run()


def test_a_module_that_breaks_the_contract_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(fake_switch, "revert")
    with pytest.raises(ContentError, match="revert"):
        from_module("fake_switch", fake_switch)
