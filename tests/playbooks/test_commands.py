"""`soc playbook`, `soc contain`, `soc audit` as a person uses them, on a simulated filter."""

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from playbooks.extension import EXTENSION
from playbooks.journal import Journal
from playbooks.ledger import Claim, Ledger
from playbooks.ports.directory import Account
from playbooks.runs import Report
from soc.cli.plans import report_lines
from soc.model.time import iso, now
from soc.run.node import node_key, only_one
from soc.run.respond import devices, rehearsal, tend
from soc.run.settings import load
from tests.command import Ran, soc
from tests.playbooks.kit import ADDRESS, SIMPLE, Clock, end, sid, workflow

pytestmark = pytest.mark.slow

NAME = "block-source-address"
INPUT = ("-i", f"__source_address__={ADDRESS}")
ENVIRON = {"SOC_PLAYBOOKS__PACKET_FILTER": "simulated", "SOC_PLAYBOOKS__BUDGET": "1"}


def run(home: Path, *arguments: str, **more: str) -> Ran:
    return soc(*arguments, home=home, environ={**ENVIRON, **more})


def applied(home: Path, address: str = ADDRESS, **more: str) -> Ran:
    given = ("-i", f"__source_address__={address}")
    plan = run(home, "playbook", "plan", NAME, *given).documents[0]
    return run(home, "playbook", "run", NAME, *given, "--apply", "--plan", plan["hash"], **more)


def test_from_plan_to_undo(tmp_path: Path) -> None:
    dry = run(tmp_path, "playbook", "run", NAME, *INPUT, "-f", "table")
    assert dry.code == 0
    assert "drop every packet from and to 203.0.113.9" in dry.out
    assert "nothing was changed" in dry.err
    assert "simulated" in dry.err
    assert not (tmp_path / "state" / "playbooks").exists()
    done = applied(tmp_path)
    assert done.code == 0
    (report,) = done.documents
    assert report["status"] == "done"
    (claim,) = run(tmp_path, "contain", "list").documents
    assert (claim["target"], claim["state"]) == (ADDRESS, "in_force")
    assert run(tmp_path, "contain", "extend", claim["key"][:8], "--for", "2h").code == 0
    (extended,) = run(tmp_path, "contain", "list").documents
    assert extended["until"] > claim["until"]
    assert run(tmp_path, "playbook", "undo", report["run"]).code == 0
    assert run(tmp_path, "contain", "list").documents == []
    assert run(tmp_path, "contain", "list", "--all").documents[0]["state"] == "released"
    assert run(tmp_path, "playbook", "status").documents[0]["run"] == report["run"]
    assert run(tmp_path, "playbook", "resume").documents == []


def test_runs_are_one_document_in_json_and_rows_in_csv(tmp_path: Path) -> None:
    assert json.loads(run(tmp_path, "playbook", "status", "--json").out) == []
    done = [applied(tmp_path, f"203.0.113.{n}", SOC_PLAYBOOKS__BUDGET="2") for n in (9, 10)]
    names = [ran.documents[0]["run"] for ran in done]
    found = json.loads(run(tmp_path, "playbook", "status", "--json").out)
    assert sorted(one["run"] for one in found) == sorted(names)
    rows = run(tmp_path, "playbook", "status", "-f", "csv").out.splitlines()
    assert rows[0] == "run,playbook,status,started,detail"
    assert len(rows) == 3
    assert json.loads(run(tmp_path, "playbook", "undo", names[0], "--json").out)["run"] == names[0]


def test_the_exact_change_is_shown_when_asked_for(tmp_path: Path) -> None:
    shown = run(tmp_path, "playbook", "plan", NAME, *INPUT, "-f", "table", "--full").out
    assert '"timeout":3600' in shown
    assert '"delete":{"element"' in shown
    document = run(tmp_path, "playbook", "plan", NAME, *INPUT).documents[0]
    assert len(document["hash"]) == 64


@pytest.mark.parametrize(
    ("more", "code"),
    [
        (("--apply",), 2),
        (("--apply", "--plan", "00"), 6),
        (("--apply", "--plan", "0" * 64), 6),
        (("-i", "__source_address__=0x7f.1"), 4),
        (("-i", "__source_address__=127.0.0.1"), 6),
        (("-i", "nonsense"), 2),
        (("-i", "__other__=1"), 4),
    ],
)
def test_what_is_not_agreed_or_not_allowed_is_refused(
    tmp_path: Path, more: tuple[str, ...], code: int
) -> None:
    assert run(tmp_path, "playbook", "run", NAME, *INPUT, *more).code == code
    assert run(tmp_path, "contain", "list", "--all").documents == []


def test_the_kill_switch_and_the_budget(tmp_path: Path) -> None:
    assert run(tmp_path, "contain", "stop").code == 0
    assert applied(tmp_path).code == 6
    assert run(tmp_path, "contain", "start").code == 0
    assert [applied(tmp_path, f"203.0.113.{last}").code for last in (1, 2)] == [0, 6]
    (claim,) = run(tmp_path, "contain", "list").documents
    assert run(tmp_path, "contain", "release", claim["key"], "zz").code == 4
    assert len(run(tmp_path, "contain", "list").documents) == 1
    assert run(tmp_path, "contain", "release", claim["key"]).code == 0
    assert run(tmp_path, "contain", "list").documents == []


def test_configured_hosts_are_never_touched(tmp_path: Path) -> None:
    (tmp_path / "soc.toml").write_text('[playbooks]\nnever_touch = ["203.0.113.0/24"]\n', "utf-8")
    refused = run(tmp_path, "playbook", "plan", NAME, *INPUT)
    assert refused.code == 6
    assert "configured" in refused.err
    (tmp_path / "soc.toml").write_text('[playbooks]\nnever_touch = ["no such host"]\n', "utf-8")
    assert run(tmp_path, "playbook", "plan", NAME, *INPUT).code == 3


LOCK = Claim(
    key="5" * 32,
    run="run-1",
    step=sid("action", 1),
    action="ldap_lock_account",
    target="an.nguyen",
    arguments={"user": "an.nguyen"},
    change={"summary": "", "do": {}, "undo": {}},
    playbook="Lock",
    actor="lan",
    reason="",
    alert="",
    state="in_force",
    since=iso(now() - timedelta(hours=9)),
    until=iso(now() - timedelta(hours=1)),
)


NFT = """\
#!/bin/sh
case "$*" in
*list*) echo '{"nftables": []}' ;;
*) touch changing; exec sleep 60 ;;
esac
"""


def test_ctrl_c_in_the_middle_says_how_to_go_on_or_back(tmp_path: Path) -> None:
    (tmp_path / "nft").write_text(NFT, "utf-8")
    (tmp_path / "nft").chmod(0o755)
    path = f"{tmp_path}:{os.environ['PATH']}"
    real = {"SOC_PLAYBOOKS__PACKET_FILTER": "nft", "PATH": path}
    plan = run(tmp_path, "playbook", "plan", NAME, *INPUT, **real).documents[0]
    argv = ("playbook", "run", NAME, *INPUT, "--apply", "--plan", plan["hash"])
    running = subprocess.Popen(
        [sys.executable, "-m", "soc", *argv],
        cwd=tmp_path,
        env=os.environ
        | real
        | {"HOME": str(tmp_path), "SOC_PATHS__STATE": str(tmp_path / "state")},
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    with running:
        deadline = time.monotonic() + 30  # a busy machine starts a program slowly
        while not (tmp_path / "changing").exists():
            assert running.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.02)
        os.killpg(running.pid, signal.SIGINT)  # as a terminal does: the child gets it too
        _, said = running.communicate(timeout=30)
    (open_run,) = run(tmp_path, "playbook", "status").documents
    assert open_run["status"] == "open"
    assert f"soc playbook resume {open_run['run']}" in said


def test_who_comes_second_is_told_to_wait_and_not_to_kill(tmp_path: Path) -> None:
    (tmp_path / "state").mkdir()
    with only_one(tmp_path / "state", "playbook"):
        second = run(tmp_path, "playbook", "resume")
    assert second.code == 6
    assert "try again" in second.err
    assert "kill" not in second.err


def test_an_undo_that_fails_says_why(tmp_path: Path) -> None:
    key = node_key(tmp_path / "state")
    with Journal(tmp_path / "state" / "playbooks", key) as journal, journal.write() as writer:
        writer.record("run.started", "run-1", now(), plan={"playbook": {"name": "Lock"}})
        Ledger(journal.connection).put(LOCK)
    failed = run(tmp_path, "playbook", "undo", "run-1")
    assert failed.code == 5
    assert "ldap_lock_account an.nguyen: ldap_lock_account needs directory" in failed.err


def test_a_lock_that_nobody_has_ended_yet_is_listed_as_in_force(tmp_path: Path) -> None:
    # No kernel ends it: `soc run` is not running, or the directory does not answer.
    block = replace(LOCK, key="6" * 32, action="nftables_block", arguments={"target": ADDRESS})
    with Journal(tmp_path / "state" / "playbooks", b"k" * 32) as journal, journal.write():
        for claim in (LOCK, block):
            Ledger(journal.connection).put(claim)
    listed = run(tmp_path, "contain", "list").documents
    assert [(row["action"], row["state"]) for row in listed] == [("ldap_lock_account", "in_force")]
    report = Report("run-1", "Lock", "done", "", LOCK.since, (), (LOCK, block))
    assert [line for line in report_lines(report) if ": ldap_lock_account" in line]
    assert not [line for line in report_lines(report) if ": nftables_block" in line]
    everything = run(tmp_path, "contain", "list", "--all").documents
    assert [row["state"] for row in everything] == ["in_force", "expired"]


DIRECTORY = """\
[playbooks]
never_touch_accounts = ["Root"]
[directory]
url = "ldaps://203.0.113.9"
base = "dc=city,dc=example"
bind = "cn=responder,dc=city,dc=example"
secret = "file:/etc/metrosoc/ldap-bind"
protected = ["duty"]
"""


def test_the_directory_is_never_blocked(tmp_path: Path) -> None:
    (tmp_path / "soc.toml").write_text(DIRECTORY, "utf-8")
    refused = run(tmp_path, "playbook", "plan", NAME, *INPUT)
    assert refused.code == 6
    assert "the directory" in refused.err


def test_an_account_is_never_touched_by_any_of_its_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "soc.toml").write_text(DIRECTORY, "utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SOC_PATHS__STATE", str(tmp_path / "state"))
    configured, found = load(), Account("uid=alias,dc=city,dc=example", "1", ("alias",), "", None)
    for directory in (devices(configured).views, devices(configured).ports()):
        assert directory["directory"].protection(found) == ""
        for name in ("root", "DUTY"):
            named = replace(found, names=("alias", name))
            assert "protected" in directory["directory"].protection(named)


MESSAGE = f"""\
{sid("action", 1)}:
  type: action
  name: tell the duty desk
  commands: [{{type: soc-action}}]
  agent: {sid("security-category", 0)}
  on_completion: {sid("end", 1)}
  step_extensions:
    {EXTENSION}:
      action: notify_webhook
      arguments: {{hook: duty, subject: a test, text: nothing, about: nobody}}
      undo: none
"""
TOML = """\
[[webhooks]]
name = "duty"
url = "https://192.0.2.7/hook"
[mail]
host = "mail.city.example"
sender = "soc@city.example"
recipients = ["duty@city.example"]
"""


def test_the_standing_worker_ends_what_has_run_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    applied(tmp_path)
    for name, value in {**ENVIRON, "SOC_PATHS__STATE": str(tmp_path / "state")}.items():
        monkeypatch.setenv(name, value)
    clock, configured = Clock(now()), load()
    assert tend(configured, clock) == []
    assert tend(configured, clock, start=True) == []
    assert len(run(tmp_path, "contain", "list").documents) == 1
    with only_one(tmp_path / "state", "playbook"):
        assert tend(configured, clock) == []  # nothing to do: nobody is kept waiting
    clock.turn(3601)
    assert tend(configured, clock) == []
    assert run(tmp_path, "contain", "list", "--all").documents[0]["state"] == "expired"


def test_other_devices_are_there_when_they_are_configured(tmp_path: Path) -> None:
    (tmp_path / "tell.yml").write_text(workflow(MESSAGE, end(1)), "utf-8")
    missing = run(tmp_path, "playbook", "plan", "tell.yml")
    assert missing.code == 6
    assert "webhook" in missing.err
    (tmp_path / "soc.toml").write_text(TOML, "utf-8")
    plan = run(tmp_path, "playbook", "plan", "tell.yml")
    assert plan.code == 0, plan.err
    assert "192.0.2.7" in plan.documents[0]["effects"][0]["present"]


def test_tampering_with_the_journal_is_named_by_position(tmp_path: Path) -> None:
    assert run(tmp_path, "audit", "verify").code == 0
    applied(tmp_path)
    assert run(tmp_path, "audit", "verify").code == 0
    head = run(tmp_path, "audit", "head").out.strip()
    assert run(tmp_path, "audit", "verify", "--head", head).code == 0
    assert run(tmp_path, "audit", "verify", "--head", "x").code == 2
    connection = sqlite3.connect(tmp_path / "state" / "playbooks" / "journal.db")
    with connection:
        connection.execute("DELETE FROM journal WHERE position = 2")
    connection.close()
    broken = run(tmp_path, "audit", "verify")
    assert broken.code == 5
    assert "record 2 is broken" in broken.err


def test_lint_names_file_and_line(tmp_path: Path) -> None:
    good, bad = tmp_path / "good.yml", tmp_path / "bad.yml"
    good.write_text(SIMPLE, "utf-8")
    bad.write_text(SIMPLE.replace("lease: 600", "lease: -1"), "utf-8")
    assert run(tmp_path, "playbook", "lint", str(good)).code == 0
    wrong = run(tmp_path, "playbook", "lint", str(good), str(bad))
    assert wrong.code == 3
    assert "bad.yml:" in wrong.err
    bad.write_bytes(SIMPLE.replace("name: Try", "name: Ch\u1eb7n").encode("utf-16"))
    wrong = run(tmp_path, "playbook", "lint", str(tmp_path / "none.yml"), str(bad))
    assert wrong.code == 3
    assert "none.yml" in wrong.err
    assert "bad.yml" in wrong.err


def test_list_and_show(tmp_path: Path) -> None:
    assert NAME in {row["name"] for row in run(tmp_path, "playbook", "list").documents}
    vietnamese = run(tmp_path, "playbook", "show", NAME, SOC_LANG="vi").out
    assert "Chặn địa chỉ nguồn" in vietnamese
    (document,) = run(tmp_path, "playbook", "show", NAME, "--json").documents
    assert document["spec_version"] == "cacao-2.0"
    assert run(tmp_path, "playbook", "show", "none").code == 2


def test_a_rehearsal_answers_an_alert_on_a_simulated_filter() -> None:
    alert = {"rule.id": "x", "threat.technique.id": ["T1505.003"], "source.ip": ADDRESS}
    plan = rehearsal(alert, Clock(now()))
    assert plan is not None
    assert [effect.target.name for effect in plan.effects] == [ADDRESS]
    assert rehearsal({"rule.id": "x", "source.ip": ADDRESS}, Clock(now())) is None
