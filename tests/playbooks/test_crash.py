"""Kill the program anywhere, start it again: each effect has happened once, or is named.

A child process runs or undoes a playbook and is killed at its n-th step, where a step is the call
or return of any function of ours or of the libraries it uses: between two steps of the playbook,
between a record and its head, between the change of the device and the news of it.
"""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from playbooks.runs import open_runs
from tests.playbooks.kit import ADDRESS, SIMPLE, THREE, Machine

KILLS = 64
"""How many places in a run, evenly spread over all there are."""

CHILD = """
import os, signal, sys
from pathlib import Path
from tests.playbooks.kit import Machine, SIMPLE, THREE, KEY
from playbooks.load import loads
folder, job, limit = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
loads(THREE, "warm up").digest
count = 0
def step(frame, event, argument):
    global count
    name = frame.f_code.co_filename
    if "playbooks" in name or "audit" in name:
        count += 1
        if count == limit:
            os.kill(os.getpid(), signal.SIGKILL)
sys.setprofile(step)
machine = Machine(folder)
if job == "run":
    machine.run(THREE)
elif job == "undo":
    machine.engine.undo("run-1", "lan")
else:
    (claim,) = machine.engine.ledger.claims()
    machine.engine.extend(claim, 3000, "lan")
sys.setprofile(None)
print(count)
"""


def child(folder: Path, job: str, limit: int) -> subprocess.CompletedProcess[str]:
    argv = [sys.executable, "-c", CHILD, str(folder), job, str(limit)]
    root = str(Path(__file__).resolve().parents[2])
    return subprocess.run(
        argv, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": root}, check=False
    )


def made(folder: Path) -> Path:
    folder.mkdir()
    return folder


def prepared(folder: Path, text: str) -> Path:
    """Return a folder in which a playbook has run."""
    machine = Machine(made(folder))
    machine.run(text)
    machine.journal.close()
    return folder


def places(folder: Path, job: str, kills: int) -> list[int]:
    """Return the numbers of the steps to kill at, from a run that is not killed."""
    whole = child(folder, job, 0)
    assert whole.returncode == 0, whole.stderr
    steps = int(whole.stdout)
    assert steps > kills
    return [1 + number * (steps - 1) // (kills - 1) for number in range(kills)]


def killed(folder: Path, job: str, limit: int) -> Machine:
    done = child(folder, job, limit)
    assert done.returncode == -signal.SIGKILL, done.stderr
    machine = Machine(folder)
    assert machine.journal.verify().broken is None
    return machine


def additions(machine: Machine) -> int:
    """Return how many transactions have blocked something."""
    return sum(
        '"add"' in line and "timeout" in line for line in machine.filter.state()["transactions"]
    )


@pytest.mark.slow
def test_a_killed_run_goes_on_and_every_effect_happens_once(tmp_path: Path) -> None:
    inside = 0
    for limit in places(made(tmp_path / "whole"), "run", KILLS):
        machine = killed(made(tmp_path / str(limit)), "run", limit)
        waiting = open_runs(list(machine.journal.records()))
        for run in waiting:
            inside += 1
            report = machine.engine.resume(run)
            assert (report.status, len(report.effects)) == ("done", 3)
        if not list(machine.journal.records()):
            machine.run(THREE)
        assert len(machine.blocked()) == 3
        assert additions(machine) == 3
        assert len(machine.engine.ledger.claims()) == 3
        assert machine.journal.verify().broken is None
        machine.engine.undo("run-1", "lan")
        assert machine.filter.state()["tables"] == {}
        machine.journal.close()
    assert inside > KILLS // 2


@pytest.mark.slow
def test_a_killed_undo_can_be_done_again(tmp_path: Path) -> None:
    for limit in places(prepared(tmp_path / "whole", THREE), "undo", 30):
        machine = killed(prepared(tmp_path / str(limit), THREE), "undo", limit)
        if limit % 2:
            machine.engine.reconcile("lan")  # ends what was being ended, keeps the others
        listed = {claim.target for claim in machine.engine.ledger.claims()}
        assert listed >= set(machine.blocked())
        machine.engine.undo("run-1", "lan")
        assert machine.blocked() == []
        assert machine.filter.state()["tables"] == {}
        assert machine.engine.ledger.claims() == []
        machine.journal.close()


@pytest.mark.slow
def test_a_killed_extension_is_completed_by_reconciling(tmp_path: Path) -> None:
    for limit in places(prepared(tmp_path / "whole", SIMPLE), "extend", 20):
        machine = killed(prepared(tmp_path / str(limit), SIMPLE), "extend", limit)
        machine.engine.reconcile("lan")
        (claim,) = machine.engine.ledger.claims()
        machine.clock.turn(1000)
        held = machine.blocked() == [ADDRESS]
        assert held is (claim.until > machine.clock().isoformat())
        machine.journal.close()


@pytest.mark.slow
def test_a_lease_that_ran_out_before_the_resume_is_not_started_again(tmp_path: Path) -> None:
    seen = set()
    for limit in places(made(tmp_path / "whole"), "run", 20):
        machine = killed(made(tmp_path / str(limit)), "run", limit)
        before = [record["kind"] for record in machine.journal.records()]
        machine.clock.turn(700)
        for run in open_runs(list(machine.journal.records())):
            report = machine.engine.resume(run)
            seen.add(before[-1])
            if before[-1] == "effect.intended":
                assert report.status == "failed"
                assert "ran out" in report.detail
                assert machine.blocked() == []
            else:
                assert report.status == "done"
                assert len(machine.blocked()) == 3 - before.count("effect.done")
        machine.journal.close()
    assert {"effect.intended", "effect.done"} <= seen
