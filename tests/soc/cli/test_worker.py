"""`soc worker` on the embedded store, as processes."""

import json
import signal
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest

from soc.store.open import open_store
from soc.store.query import parse
from tests.command import soc
from tests.data import ROOT
from tests.faults.test_row01_run_killed import CORRELATION, RULE, SERIES

LINES = 4


def line(number: int) -> str:
    return (
        f"2026-11-22T08:15:{number:02}+07:00 gate sshd[{number}]: "
        f"Accepted password for marked from 192.0.2.7 port {1024 + number} ssh2\n"
    )


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (tmp_path / "marked.yml").write_text(RULE + SERIES)
    (tmp_path / "soc.toml").write_text(
        f'[paths]\nstate = "{tmp_path}/state"\n[rules]\npaths = ["{tmp_path}/marked.yml"]\n'
    )
    (tmp_path / "auth.log").write_text("".join(map(line, range(LINES))))
    assert soc("collect", "file", "auth.log", "--to-store", home=tmp_path).code == 0
    return tmp_path


def test_a_worker_judges_what_is_stored_and_says_what_it_did(home: Path) -> None:
    command = [sys.executable, "-m", "soc", "worker", "run"]
    process = subprocess.Popen(
        command, cwd=home, env={"PYTHONPATH": str(ROOT)}, stderr=subprocess.PIPE, text=True
    )
    try:
        deadline = time.monotonic() + 30
        with closing(open_store(home / "state" / "store")) as store:
            while time.monotonic() < deadline:
                if len(store.search(parse("*"), collection="alerts").events) == LINES:
                    break
                time.sleep(0.1)
        (worker,) = soc("worker", "status", home=home).documents
        assert (worker["events"], worker["matches"]) == (32, 8)
        process.send_signal(signal.SIGTERM)
        _, told = process.communicate(timeout=20)
    finally:
        process.kill()
        process.wait()
    assert process.returncode == 0
    assert f"{LINES} events judged, {LINES} alerts raised" in told
    shards = soc("worker", "status", "--shards", home=home).documents
    assert {one["shard"].partition("-")[0] for one in shards} == {"events", "matches"}
    assert [one["behind"] for one in shards if one["shard"] == "events"] == [0]
    assert soc("worker", "status", home=home).documents == []


def test_backfill_raises_once_and_marks_it(home: Path) -> None:
    first = soc("worker", "backfill", "--since", "2026-11-22", "--until", "2026-11-23", home=home)
    assert first.code == 0
    assert f"{LINES} events judged: {LINES + 1} alerts raised, 0 were there" in first.err
    again = soc("worker", "backfill", "--since", "2026-11-22", "--until", "2026-11-23", home=home)
    assert f"0 alerts raised, {LINES + 1} were there" in again.err
    alerts = soc("alerts", "list", "--format", "ndjson", home=home).documents
    assert all(one["soc"]["alert"]["backfill"] for one in alerts)
    assert sum(one["rule"]["id"] == CORRELATION for one in alerts) == 1


def test_backfill_of_one_rule(home: Path) -> None:
    span = ("--since", "2026-11-22", "--until", "2026-11-23")
    ran = soc("worker", "backfill", *span, "--rule", CORRELATION, home=home)
    assert f"{LINES + 1} alerts raised" in ran.err  # with the rule that it is about
    wrong = soc("worker", "backfill", *span, "--rule", "none", home=home)
    assert wrong.code == 2
    assert json.dumps("soc rules list")[1:-1] in wrong.err
    backwards = soc(
        "worker", "backfill", "--since", "2026-11-23", "--until", "2026-11-22", home=home
    )
    assert backwards.code == 2


def test_backfill_leaves_parked_rules_out(home: Path) -> None:
    span = ("--since", "2026-11-22", "--until", "2026-11-23")
    assert soc("rules", "park", CORRELATION, "--reason", "test", home=home).code == 0
    named = soc("worker", "backfill", *span, "--rule", CORRELATION, home=home)
    assert (named.code, f"soc rules unpark {CORRELATION}" in named.err) == (2, True)
    ran = soc("worker", "backfill", *span, home=home)
    assert f"{LINES} alerts raised" in ran.err
    assert "rule parked" in ran.err


def test_the_status_names_what_is_parked(home: Path) -> None:
    assert soc("rules", "park", CORRELATION, "--reason", "ticket 19", home=home).code == 0
    told = soc("worker", "status", home=home)
    assert told.code == 0
    assert "rule parked" in told.err
    assert "ticket 19" in told.err
