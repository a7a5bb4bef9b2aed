from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from playbooks.effect import Action, action
from playbooks.engine import Origin
from playbooks.load import find, loads
from playbooks.plan import from_alert, make
from playbooks.ports.simulated_filter import SimulatedFilter
from soc.errors import InputError, Refused, StoreError
from tests.playbooks.kit import (
    ADDRESS,
    EXTERNAL,
    SIMPLE,
    THREE,
    Machine,
    end,
    sid,
    workflow,
)
from tests.playbooks.kit import action as step


class Broken(SimulatedFilter):
    """Refuses the transactions whose numbers it is told, or does them and says that it did not."""

    refuse: frozenset[int] = frozenset()
    lie: frozenset[int] = frozenset()
    count = 0

    def submit(self, commands: Any) -> None:
        self.count += 1
        if self.count not in self.refuse:
            super().submit(commands)
        if self.count in self.refuse | self.lie:
            raise StoreError("no answer")


def broken(
    machine: Machine, *, refuse: set[int] | None = None, lie: set[int] | None = None
) -> None:
    port = Broken(machine.clock, machine.folder / "filter.json")
    port.refuse, port.lie = frozenset(refuse or ()), frozenset(lie or ())
    machine.engine = replace(machine.engine, ports={"packet_filter": port})


def test_a_run_blocks_and_its_undo_leaves_everything_as_before(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    before = machine.filter.state()["tables"]
    done = machine.run(THREE)
    assert (done.status, len(done.effects)) == ("done", 3)
    assert machine.blocked() == ["198.51.100.0/24", ADDRESS, "tcp/8080"]
    assert {claim.state for claim in done.in_force} == {"in_force"}
    undone = machine.engine.undo("run-1", "lan")
    assert [trouble for _, trouble in undone] == ["", "", ""]
    assert machine.filter.state()["tables"] == before
    assert machine.engine.ledger.claims() == []
    assert machine.journal.verify().broken is None


def test_a_plan_changes_nothing_and_holds_nothing_that_could(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    playbook = loads(THREE, "try.yml")
    plan = machine.plan(playbook)
    assert machine.filter.state() == {"tables": {}, "transactions": []}
    assert not list(machine.journal.records())
    view: Any = machine.engine.views["packet_filter"]
    assert not [name for name in dir(view) if name in ("submit", "state")]
    assert [effect.change.needed for effect in plan.effects] == [True] * 3
    document = plan.as_dict()
    assert document["effects"][0]["present"] == "not blocked"
    assert document["effects"][0]["undo"]
    assert document["hash"] == machine.plan(playbook).hash


def test_the_hash_changes_with_everything_that_matters(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    first = machine.plan(loads(SIMPLE, "try.yml")).hash
    assert machine.plan(loads(SIMPLE, "try.yml"), "203.0.113.10").hash != first
    assert machine.plan(loads(SIMPLE.replace("600", "601"), "try.yml")).hash != first
    assert machine.plan(loads(SIMPLE.replace("name: Try", "name: Tri"), "t.yml")).hash != first
    machine.clock.turn(5000)
    assert machine.plan(loads(SIMPLE, "other.yml")).hash == first
    machine.run(SIMPLE)
    assert machine.plan(loads(SIMPLE, "try.yml")).hash != first


def test_a_plan_that_is_not_the_agreed_one_is_not_carried_out(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    playbook = loads(SIMPLE, "try.yml")
    agreed = machine.plan(playbook)
    other = {"__address__": "203.0.113.10"}
    with pytest.raises(Refused, match="not the plan"):
        machine.engine.start("run-1", playbook, other, agreed.hash, Origin("lan"))
    machine.run(SIMPLE, run="run-0")
    with pytest.raises(Refused, match="not the plan"):
        machine.engine.start("run-1", playbook, agreed.inputs, agreed.hash, Origin("lan"))
    assert machine.blocked() == [ADDRESS]


def test_who_is_connected_is_shown_but_is_not_part_of_the_hash(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    playbook = loads(SIMPLE, "try.yml")
    quiet = machine.plan(playbook)
    target = action("nftables_block").target({"target": ADDRESS})
    peers = [(target.networks[0].network_address, 443)]
    busy = SimulatedFilter(machine.clock, peers=peers).view()
    plan = make(playbook, quiet.inputs, {"packet_filter": busy}, machine.guard, machine.clock())
    assert plan.as_dict()["effects"][0]["cuts_off"] == [f"{ADDRESS} on our port 443"]
    assert plan.hash == quiet.hash


def test_the_never_touch_list_is_asked_again_before_the_change(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    playbook = loads(SIMPLE, "try.yml")
    with pytest.raises(Refused, match="the gateway"):
        machine.plan(playbook, "192.0.2.1")
    plan = machine.plan(playbook)
    late = Machine(tmp_path / "late", never=((ADDRESS, "a new resolver"),))
    with pytest.raises(Refused, match="a new resolver"):
        late.engine.start("run-1", playbook, plan.inputs, plan.hash, Origin("lan"))
    assert late.blocked() == []


def test_what_is_blocked_already_by_others_is_left_alone(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    machine.run(SIMPLE)
    other = Machine(tmp_path / "other")
    other.filter = machine.filter
    other.engine = replace(
        other.engine,
        views={"packet_filter": machine.filter.view()},
        ports={"packet_filter": machine.filter},
    )
    done = other.run(SIMPLE.replace("600", "60"))
    assert done.status == "done"
    assert done.effects[0]["detail"].startswith("already so")
    other.engine.undo("run-1", "lan")
    assert machine.blocked() == [ADDRESS]


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


def test_a_failed_step_ends_the_run_and_says_what_is_in_force(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    broken(machine, refuse={2})
    report = machine.run(THREE)
    assert report.status == "failed"
    assert "no answer" in report.detail
    assert "not in force" in report.detail
    assert [claim.target for claim in report.in_force if claim.state == "in_force"] == [ADDRESS]
    assert machine.blocked() == [ADDRESS]


def test_an_answer_that_got_lost_is_looked_up(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    broken(machine, lie={2})
    report = machine.run(THREE)
    assert report.status == "done"
    assert len(machine.blocked()) == 3
    assert machine.engine.ledger.spent(machine.clock()) == 3


def test_on_failure_takes_the_other_path(tmp_path: Path) -> None:
    text = workflow(
        step(1, ADDRESS, f"on_success: {sid('end', 1)}\non_failure: {sid('action', 2)}"),
        step(2, "tcp/8080", f"on_completion: {sid('end', 1)}"),
        end(1),
    )
    machine = Machine(tmp_path)
    plan = make(loads(text, "t.yml"), {}, machine.engine.views, machine.guard, machine.clock())
    assert [effect.when for effect in plan.effects] == ["", "block 1 fails"]
    broken(machine, refuse={1})
    report = machine.engine.start("run-1", plan.playbook, {}, plan.hash, Origin("lan"))
    assert report.status == "done"
    assert "block 1" in report.detail
    assert machine.blocked() == ["tcp/8080"]


def test_a_failure_without_a_path_takes_the_exception_path(tmp_path: Path) -> None:
    text = workflow(
        step(1, ADDRESS, f"on_completion: {sid('end', 1)}"),
        end(1),
        step(3, "tcp/8080", f"on_completion: {sid('end', 2)}"),
        end(2),
        extra=f"workflow_exception: {sid('action', 3)}\n",
    )
    machine = Machine(tmp_path)
    plan = make(loads(text, "t.yml"), {}, machine.engine.views, machine.guard, machine.clock())
    broken(machine, refuse={1})
    report = machine.engine.start("run-1", plan.playbook, {}, plan.hash, Origin("lan"))
    assert report.status == "failed"
    assert machine.blocked() == ["tcp/8080"]


@pytest.mark.parametrize(("address", "blocked"), [("10.7.7.7", []), (ADDRESS, [ADDRESS])])
def test_the_shipped_playbook_leaves_our_own_networks_to_people(
    tmp_path: Path, address: str, blocked: list[str]
) -> None:
    machine = Machine(tmp_path)
    playbook = find("block-source-address")
    inputs = from_alert(playbook, {"source.ip": address, "rule.name": "Web shell"})
    plan = make(playbook, inputs, machine.engine.views, machine.guard, machine.clock())
    assert [effect.target.name for effect in plan.effects] == blocked
    report = machine.engine.start("run-1", playbook, inputs, plan.hash, Origin("lan"))
    assert report.status == "done"
    assert machine.blocked() == blocked


def test_an_alert_with_several_addresses_or_none_needs_a_person(tmp_path: Path) -> None:
    playbook = find("block-source-address")
    with pytest.raises(InputError, match="several values"):
        from_alert(playbook, {"source.ip": [ADDRESS, "203.0.113.10"]})
    machine = Machine(tmp_path)
    with pytest.raises(InputError, match="missing"):
        make(
            playbook, from_alert(playbook, {}), machine.engine.views, machine.guard, machine.clock()
        )
    with pytest.raises(InputError, match="not an input"):
        machine.plan(playbook)


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


def test_the_kill_switch_stops_changes_but_not_their_end(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    machine.run(SIMPLE)
    machine.stopped = True
    with pytest.raises(Refused, match="kill switch"):
        machine.run(SIMPLE, "203.0.113.10", run="run-2")
    (claim,) = machine.engine.ledger.claims()
    with pytest.raises(Refused, match="kill switch"):
        machine.engine.extend(claim, 7200, "lan")
    machine.engine.release(claim, "lan")
    assert machine.blocked() == []


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


def test_a_run_is_started_once(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    machine.run(SIMPLE)
    with pytest.raises(Refused, match="already"):
        machine.run(SIMPLE, "203.0.113.10")
    with pytest.raises(InputError, match="no run"):
        machine.engine.resume("run-7")


def test_foreign_rules_in_our_table_are_not_overwritten(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    place = {"family": "inet", "table": "metrosoc"}
    machine.filter.submit(
        [
            {"add": {"table": {"family": "inet", "name": "metrosoc"}}},
            {"add": {"chain": {**place, "name": "theirs"}}},
        ]
    )
    with pytest.raises(Refused, match="somebody else"):
        machine.plan(loads(SIMPLE, "try.yml"))


def test_an_undo_leaves_what_others_have_put_into_our_table(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    machine.run(SIMPLE)
    place = {"family": "inet", "table": "metrosoc"}
    machine.filter.submit([{"add": {"chain": {**place, "name": "theirs"}}}])
    assert [trouble for _, trouble in machine.engine.undo("run-1", "lan")] == [""]
    items = machine.filter.table("inet", "metrosoc") or []
    assert "theirs" in [item["chain"]["name"] for item in items if "chain" in item]
    assert machine.blocked() == []


def test_an_undo_after_somebody_made_the_table_anew_is_done(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    machine.run(SIMPLE)
    table = {"table": {"family": "inet", "name": "metrosoc"}}
    machine.filter.submit([{"delete": table}, {"add": table}])
    assert [trouble for _, trouble in machine.engine.undo("run-1", "lan")] == [""]
    assert machine.engine.ledger.claims() == []


def test_overlapping_networks_are_refused_with_what_to_do(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    machine.run(SIMPLE, "198.51.100.0/24")
    with pytest.raises(Refused, match=r"overlaps 198\.51\.100\.0/24"):
        machine.plan(loads(SIMPLE, "try.yml"), "198.51.100.0/25")


def test_every_action_keeps_the_contract() -> None:
    from playbooks.effect import KIND
    from soc.registry import plugins

    for name in plugins(KIND):
        found = action(name)
        assert isinstance(found, Action)
        assert found.summary
        assert found.tier in ("low", "medium", "high")
        assert found.inputs
        if found.lease:
            assert 0 < found.lease.default <= found.lease.longest


def test_an_external_variable_is_needed(tmp_path: Path) -> None:
    assert EXTERNAL in SIMPLE
    machine = Machine(tmp_path)
    with pytest.raises(InputError, match="__address__ is missing") as caught:
        make(loads(SIMPLE, "t.yml"), {}, machine.engine.views, machine.guard, machine.clock())
    assert caught.value.hint.startswith("--input __address__=...")
