"""Row 1 of the fault matrix: SIGKILL of `soc run` at random moments while a log is written.

The oracle is conservation: every line that was written is stored once, every alert that the lines
call for is there once, nothing else is.
"""

import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from soc.store.base import Store
from soc.store.open import open_store
from soc.store.query import parse

LINES = 20_000
EVERY = 500
SEED = 20261122

RULE = """\
title: The marked account logs in
id: 5d0c6a4e-7f0b-4c39-9d5b-0c4f8f0f9a11
status: test
logsource: {product: linux, service: sshd}
detection:
    selection:
        - 'Accepted password for marked'
    condition: selection
level: high
"""


def line(number: int) -> str:
    user = "marked" if number % EVERY == 0 else "lan"
    clock = f"08:{number // 600 % 60:02}:{number // 10 % 60:02}.{number % 10}00000"
    return (
        f"2026-11-22T{clock}+07:00 gate sshd[{number}]: "
        f"Accepted password for {user} from 192.0.2.7 port {1024 + number} ssh2\n"
    )


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (tmp_path / "rules").mkdir()
    (tmp_path / "rules" / "marked.yml").write_text(RULE)
    (tmp_path / "soc.toml").write_text(
        f'[paths]\nstate = "{tmp_path}/state"\n[rules]\npaths = ["{tmp_path}/rules"]\n'
        f'[node]\nname = "node-1"\n[[inputs]]\npath = "{tmp_path}/auth.log*"\n'
    )
    return tmp_path


@contextmanager
def running(home: Path) -> Iterator[subprocess.Popen[bytes]]:
    environment = {k: v for k, v in os.environ.items() if not k.startswith("SOC_")}
    command = [sys.executable, "-m", "soc", "run", "-q"]
    process = subprocess.Popen(command, cwd=home, env=environment)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def write_while_killed(home: Path, kills: int, lines: int) -> None:
    rng = random.Random(SEED)
    path, written, share = home / "auth.log", 0, lines // kills
    for kill in range(kills):
        with running(home) as process, path.open("a") as log:
            until = time.monotonic() + rng.uniform(0.3, 1.2)
            for number in range(written, written + share):
                log.write(line(number))
                if rng.random() < 0.02:  # the line end may come in a write of its own
                    log.flush()
                    time.sleep(rng.uniform(0, 0.01))
            time.sleep(max(until - time.monotonic(), 0))
            process.send_signal(signal.SIGKILL)
        written += share
        if kill % 10 == 9:
            path.rename(home / f"auth.log.{kill}")
    assert written == lines


def until_locked(home: Path, process: subprocess.Popen[bytes]) -> None:
    """Wait until the process is at work."""
    lock = home / "state" / "run.lock"
    deadline = time.monotonic() + 30
    while not (lock.exists() and lock.read_text().strip() == str(process.pid)):
        assert time.monotonic() < deadline, "soc run does not start"
        time.sleep(0.05)


def settle(home: Path, lines: int) -> None:
    """Let it finish and stop it as an admin does."""
    with running(home) as process:
        until_locked(home, process)
        deadline = time.monotonic() + 60
        with closing(open_store(home / "state" / "store")) as store:
            while time.monotonic() < deadline:
                saved = store.checkpoint("detect")
                tail = store.tail(saved.payload["cursor"] if saved else None, limit=1)
                if store.info().events >= lines and not tail.events:
                    break
                time.sleep(0.1)
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0


def stored_lines(store: Store) -> Counter[str]:
    found: Counter[str] = Counter()
    cursor: str | None = None
    while (batch := store.tail(cursor, limit=5000)).events:
        found.update(event["event.original"] for event in batch.events)
        cursor = batch.cursor
    return found


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_every_line_is_stored_once_and_every_alert_raised_once(home: Path) -> None:
    write_while_killed(home, kills=50, lines=LINES)
    settle(home, LINES)
    with closing(open_store(home / "state" / "store")) as store:
        assert stored_lines(store) == Counter(line(n).rstrip("\n") for n in range(LINES))
        alerts = store.search(parse("*"), collection="alerts", limit=1000).events
        events = store.get([event for alert in alerts for event in alert["soc.event_ids"]])
    fired = Counter(event["event.original"] for event in events)
    assert fired == Counter(line(n).rstrip("\n") for n in range(0, LINES, EVERY))


def test_a_second_run_on_the_same_state_is_refused_with_the_owner(home: Path) -> None:
    (home / "auth.log").write_text(line(1))
    with running(home) as first:
        until_locked(home, first)
        second = subprocess.run(
            [sys.executable, "-m", "soc", "run"],
            cwd=home,
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
        assert second.returncode == 6
        assert str(first.pid) in second.stderr
