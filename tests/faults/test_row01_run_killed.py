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
from tests.data import ROOT

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

CORRELATION = "5d0c6a4e-7f0b-4c39-9d5b-0c4f8f0f9a12"
SERIES = """\
---
title: The marked account logs in again and again
id: 5d0c6a4e-7f0b-4c39-9d5b-0c4f8f0f9a12
correlation:
    type: event_count
    rules: 5d0c6a4e-7f0b-4c39-9d5b-0c4f8f0f9a11
    group-by: source.ip
    timespan: 2m
    condition: {gte: 3}
    generate: true
level: high
"""
DRIVER = """
import signal, sys, threading
from pathlib import Path
from zoneinfo import ZoneInfo
from soc.model.time import now
from soc.run.allinone import Input, Runner
from soc.run.correlating import Correlating
from soc.run.detection import detection
from soc.store.open import open_store

home, stop = Path(sys.argv[1]), threading.Event()
signal.signal(signal.SIGTERM, lambda *_: stop.set())
loaded = detection([home / "rules"])
store = open_store(home / "state" / "store")
Runner(
    store=store,
    inputs=[Input(str(home / "auth.log*"), ZoneInfo("UTC"))],
    detector=loaded.engine,
    correlating=lambda: Correlating(loaded.report, loaded.pipelines, lateness=10_000_000),
    key=b"k" * 32,
    observer="node-1",
    clock=now,
).run(stop)
store.close()
"""
"""`soc run` with a lateness of ten seconds instead of five minutes."""


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
def running(home: Path, driver: str = "") -> Iterator[subprocess.Popen[bytes]]:
    environment = {k: v for k, v in os.environ.items() if not k.startswith("SOC_")}
    environment["PYTHONPATH"] = str(ROOT)
    command = [sys.executable, "-m", "soc", "run", "-q"]
    if driver:
        command = [sys.executable, "-c", driver, str(home)]
    process = subprocess.Popen(command, cwd=home, env=environment)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def write_while_killed(home: Path, kills: int, lines: int, driver: str = "") -> None:
    rng = random.Random(SEED)
    path, written, share = home / "auth.log", 0, lines // kills
    for kill in range(kills):
        with running(home, driver) as process, path.open("a") as log:
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


def series(lines: int) -> list[str]:
    """Return the lines that complete a series: three marked ones in two minutes, then quiet."""
    marked = [(number // 10, line(number).rstrip("\n")) for number in range(0, lines, EVERY)]
    completing, fired = [], -1000
    for position, (at, text) in enumerate(marked):
        inside = [t for t, _ in marked[: position + 1] if at - t <= 120]
        if len(inside) >= 3 and at - fired > 120:
            fired = at
            completing.append(text)
    return completing


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_correlation_fires_once_for_each_series_wherever_it_is_killed(home: Path) -> None:
    lines = 12_000
    (home / "rules" / "marked.yml").write_text(RULE + SERIES)
    (home / "state").mkdir(mode=0o700)
    write_while_killed(home, kills=20, lines=lines, driver=DRIVER)
    wanted = series(lines)
    with running(home, DRIVER) as process, closing(open_store(home / "state" / "store")) as store:
        deadline = time.monotonic() + 90
        while time.monotonic() < deadline:
            alerts = store.search(parse(f"rule.id:{CORRELATION}"), collection="alerts", limit=99)
            if len(alerts.events) >= len(wanted):
                break
            time.sleep(0.2)
        time.sleep(3)
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0
        found = store.search(parse(f"rule.id:{CORRELATION}"), collection="alerts", limit=99).events
        completing = store.get([alert["event.id"] for alert in found])
    assert sorted(event["event.original"] for event in completing) == sorted(wanted)
    assert len(wanted) > 5


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
