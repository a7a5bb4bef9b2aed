"""What playbooks hold: leases, budget, several holders, clocks that jump, devices that fail."""

from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from playbooks.engine import Origin
from playbooks.load import find, loads
from playbooks.plan import make
from playbooks.ports.simulated_filter import SimulatedFilter
from soc.errors import InputError, Refused
from tests.playbooks.kit import (
    ADDRESS,
    SIMPLE,
    THREE,
    Machine,
    broken,
)


@pytest.mark.parametrize("first", ["run-1", "run-2"])
def test_two_runs_may_hold_one_address_and_the_last_lets_go(tmp_path: Path, first: str) -> None:
    machine = Machine(tmp_path)
    machine.run(SIMPLE)
    machine.run(SIMPLE.replace("600", "3600"), run="run-2")
    second = "run-2" if first == "run-1" else "run-1"
    _, ((claim, why),) = machine.engine.abandon(first, "lan")
    assert (claim.target, f"still held by run {second}" in why) == (ADDRESS, True)
    assert machine.blocked() == [ADDRESS]
    machine.clock.turn(900)
    assert machine.blocked() == ([ADDRESS] if second == "run-2" else [])
    machine.engine.undo(second, "lan")
    assert machine.filter.state()["tables"] == {}


def test_in_the_last_second_of_a_lease_nothing_is_blocked_for_good(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    machine.run(SIMPLE)
    machine.run(SIMPLE.replace("600", "3600"), run="run-2")
    machine.clock.turn(599.5)
    machine.engine.undo("run-2", "lan")  # run-1 holds for half a second more
    assert machine.plan(loads(SIMPLE, "t.yml")).effects[0].state.summary == "blocked for a while"
    machine.clock.turn(2)
    assert machine.blocked() == []


def test_a_thousand_alerts_do_not_exceed_the_budget(tmp_path: Path) -> None:
    machine = Machine(tmp_path, budget=20)
    playbook = find("block-source-address")
    refused: list[str] = []
    for number in range(1000):
        inputs = {"__source_address__": f"198.51.{number // 250}.{number % 250 + 1}"}
        plan = make(playbook, inputs, machine.engine.views, machine.guard, machine.clock())
        machine.clock.turn(1)
        try:
            machine.engine.start(f"run-{number}", playbook, inputs, plan.hash, Origin("lan"))
        except Refused as error:
            refused.append(error.message)
    assert (len(machine.blocked()), len(refused)) == (20, 980)
    assert all("budget" in message for message in refused)
    machine.clock.turn(3600)
    machine.run(SIMPLE, run="an hour later")
    assert ADDRESS in machine.blocked()


def test_a_clock_that_was_a_year_ahead_makes_no_lease_longer(tmp_path: Path) -> None:
    machine = Machine(tmp_path, budget=2)
    machine.clock.turn(365 * 86400)
    machine.run(SIMPLE)
    machine.run(SIMPLE, "203.0.113.10", run="run-2")
    machine.clock.turn(-365 * 86400)
    (tmp_path / "filter.json").unlink()  # a reboot, and the clock is right again
    first = machine.engine.reconcile("lan")
    assert [drift.done for drift in first] == ["restored", "restored"]
    assert len(machine.blocked()) == 2
    assert machine.engine.reconcile("lan") == []
    machine.clock.turn(601)
    assert machine.blocked() == []
    assert machine.engine.reconcile("lan") == []
    assert machine.engine.ledger.claims() == []


def test_a_clock_that_was_a_year_ahead_spends_no_budget(tmp_path: Path) -> None:
    machine = Machine(tmp_path, budget=1)
    machine.clock.turn(365 * 86400)
    machine.run(SIMPLE)
    machine.clock.turn(-365 * 86400)
    assert machine.run(SIMPLE, "203.0.113.10", run="run-2").status == "done"
    machine.clock.turn(-1800)
    with pytest.raises(Refused, match="budget"):
        machine.run(SIMPLE, "203.0.113.11", run="run-3")


def test_a_clock_set_back_in_the_middle_of_an_effect_does_not_hide_it(tmp_path: Path) -> None:
    machine = Machine(tmp_path)

    class Jumping(SimulatedFilter):
        def submit(self, commands: Any) -> None:
            machine.clock.turn(-7200)  # a kernel counts 600 seconds from here all the same
            super().submit(commands)

    port = Jumping(machine.clock, tmp_path / "filter.json")
    machine.engine = replace(machine.engine, ports={"packet_filter": port})
    assert machine.run(SIMPLE).status == "done"
    assert [claim.state for claim in machine.engine.ledger.claims()] == ["in_force"]


def test_the_budget_holds_inside_a_run_and_across_restarts(tmp_path: Path) -> None:
    report = Machine(tmp_path, budget=2).run(THREE)
    assert report.status == "failed"
    assert "budget" in report.detail
    again = Machine(tmp_path, budget=2)
    assert len(again.blocked()) == 2
    with pytest.raises(Refused, match="budget"):
        again.run(SIMPLE, "203.0.113.77", run="run-2")


def test_extend_holds_longer_and_release_ends_it(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    machine.run(SIMPLE)
    (claim,) = machine.engine.ledger.claims()
    with pytest.raises(InputError, match="already holds"):
        machine.engine.extend(claim, 60, "lan")
    with pytest.raises(InputError, match="604800"):
        machine.engine.extend(claim, 604801, "lan")
    extended = machine.engine.extend(claim, 3600, "lan")
    machine.clock.turn(3000)
    assert machine.blocked() == [ADDRESS]
    assert machine.engine.ledger.get(claim.key[:6]) == extended
    machine.engine.release(extended, "lan")
    assert machine.filter.state()["tables"] == {}
    machine.run(SIMPLE, "203.0.113.10", run="run-2")
    (ended,) = machine.engine.ledger.claims()
    machine.clock.turn(601)
    with pytest.raises(InputError, match="has ended"):
        machine.engine.extend(ended, 3600, "lan")
    assert machine.blocked() == []
    assert machine.engine.release(machine.engine.ledger.get(claim.key), "lan").state == "released"


def test_reconcile_ends_what_ran_out_and_restores_what_is_gone(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    machine.run(SIMPLE)
    machine.run(SIMPLE.replace("600", "6000"), "203.0.113.10", run="run-2")
    assert machine.engine.reconcile("lan") == []
    (tmp_path / "filter.json").unlink()
    machine.clock.turn(601)
    (drift,) = machine.engine.reconcile("lan")
    assert (drift.claim.target, drift.done) == ("203.0.113.10", "restored")
    assert machine.blocked() == ["203.0.113.10"]
    states = {c.target: c.state for c in machine.engine.ledger.claims(holding=False)}
    assert states == {ADDRESS: "expired", "203.0.113.10": "in_force"}
    machine.clock.turn(6000)
    assert machine.engine.reconcile("lan") == []
    assert machine.filter.state()["tables"] == {}


def test_reconcile_restores_nothing_while_the_switch_is_on(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    machine.run(SIMPLE)
    (tmp_path / "filter.json").unlink()
    machine.stopped = True
    (drift,) = machine.engine.reconcile("lan")
    assert "kill switch" in drift.done
    assert machine.blocked() == []


def test_an_end_that_failed_stays_listed_and_can_be_tried_again(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    machine.run(SIMPLE)
    broken(machine, refuse={1})
    ((claim, trouble),) = machine.engine.undo("run-1", "lan")
    assert (claim.state, trouble) == ("ending", "no answer")
    assert machine.engine.ledger.claims() == [claim]
    ((claim, trouble),) = machine.engine.undo("run-1", "lan")
    assert (claim.state, trouble) == ("released", "")
    assert machine.blocked() == []


def test_an_empty_name_means_no_run_and_no_claim(tmp_path: Path) -> None:
    machine = Machine(tmp_path)  # `soc playbook undo "$RUN"` with RUN unset
    machine.run(SIMPLE)
    for taking in (machine.engine.abandon, machine.engine.undo):
        with suppress(InputError):
            taking("", "lan")
        assert machine.blocked() == [ADDRESS]
    for nobody in ("", "\udcff"):
        with pytest.raises(InputError, match="no run"):
            machine.engine.resume(nobody)
        with pytest.raises(InputError, match="no claim"):
            machine.engine.ledger.get(nobody)


def test_a_device_that_does_not_answer_fills_no_journal(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    machine.run(SIMPLE)
    broken(machine, refuse={1, 2, 3})
    machine.clock.turn(601)
    for _ in range(3):
        (drift,) = machine.engine.reconcile("soc run")
        assert "no answer" in drift.found
    kinds = [record["kind"] for record in machine.journal.records()]
    assert kinds.count("effect.ending") == 1
    assert machine.engine.reconcile("soc run") == []
    assert machine.engine.ledger.claims() == []
