"""Runs: plans that are agreed on, steps that fail, and what is undone."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from playbooks.effect import Action, action
from playbooks.engine import Origin
from playbooks.load import find, loads
from playbooks.plan import from_alert, make
from playbooks.ports.simulated_filter import SimulatedFilter
from soc.errors import InputError, Refused
from tests.playbooks.kit import (
    ADDRESS,
    EXTERNAL,
    SIMPLE,
    THREE,
    Machine,
    broken,
    end,
    sid,
    workflow,
)
from tests.playbooks.kit import action as step


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
