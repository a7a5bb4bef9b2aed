"""Collector processes for tests: started, killed and started again on one state folder.

The oracle is conservation: every line that was written is stored once, by its text and by its id.
"""

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from soc.run import status
from soc.store.base import Store
from tests.data import ROOT


def marked(number: int) -> bool:
    """Tell whether a line is worth an alert; three in four seconds are a series."""
    return number % 200 in (0, 20, 40)


def line(number: int) -> str:
    """Return a line of its own for each number, ten a second."""
    day = 22 + number // 864_000
    user = "marked" if marked(number) else "lan"
    clock = f"{number // 36_000 % 24:02}:{number // 600 % 60:02}:{number // 10 % 60:02}"
    return (
        f"2026-11-{day}T{clock}.{number % 10}00000+07:00 gate sshd[{number}]: Accepted password "
        f"for {user} from 192.0.2.{number // 200 % 5} port {1024 + number % 60_000} ssh2"
    )


@dataclass
class Flow:
    """A node in a folder: its soc.toml, its log and its collector."""

    home: Path
    store: Mapping[str, str]
    """The section `[store]` of its configuration."""
    seed: int = 20261122
    written: int = 0
    kills: int = 0
    process: "subprocess.Popen[bytes] | None" = None
    chance: random.Random = field(default_factory=random.Random)

    def __post_init__(self) -> None:
        self.chance.seed(self.seed)
        store = "".join(f"{name} = {json.dumps(value)}\n" for name, value in self.store.items())
        (self.home / "soc.toml").write_text(
            f'[paths]\nstate = "{self.state}"\n[node]\nname = "node-1"\n'
            f'[store]\n{store}[[inputs]]\npath = "{self.home}/auth.log*"\nzone = "UTC"\n'
        )

    @property
    def state(self) -> Path:
        return self.home / "state"

    def start(self, *arguments: str) -> None:
        """Start the collector."""
        environment = {k: v for k, v in os.environ.items() if not k.startswith("SOC_")}
        environment["PYTHONPATH"] = str(ROOT)
        command = [sys.executable, "-m", "soc", *(arguments or ("collect", "run", "-q"))]
        with (self.home / "collector.log").open("ab") as log:
            self.process = subprocess.Popen(command, cwd=self.home, env=environment, stderr=log)

    def kill(self) -> None:
        """End it as a power failure would."""
        assert self.process is not None
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        self.kills += 1

    def stop(self) -> None:
        """End it as an admin does."""
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        assert self.process.wait(30) == 0, self.said()

    def said(self) -> str:
        return (self.home / "collector.log").read_text()[-3000:]

    def write(self, lines: int) -> None:
        """Append lines; the end of a line may come in a write of its own."""
        with (self.home / "auth.log").open("a") as log:
            for number in range(self.written, self.written + lines):
                log.write(line(number) + "\n")
                if self.chance.random() < 0.001:
                    log.flush()
        self.written += lines

    def rotate(self) -> None:
        (self.home / "auth.log").rename(self.home / f"auth.log.{self.written}")

    def write_while_killed(
        self, lines: int, kills: int, between: Callable[[int], None] = lambda kill: None
    ) -> None:
        """Write in shares; the collector is killed at a random moment of each.

        It is never more than two shares behind, so that kills meet it at work from first to last.
        """
        share = lines // kills
        for kill in range(kills):
            self.start()
            between(kill)
            until = time.monotonic() + self.chance.uniform(0.6, 2.0)
            self.write(share + (lines % kills if kill == 0 else 0))
            self._settled(self.written - 2 * share)
            time.sleep(max(until - time.monotonic(), 0))
            self.kill()
            if kill % 5 == 4:
                self.rotate()

    def _settled(self, frames: int, seconds: float = 600) -> None:
        deadline = time.monotonic() + seconds
        while frames > 0:
            found = status.read(self.state)
            if found is not None and found["spool"]["settled"] >= frames:
                return
            assert time.monotonic() < deadline, self.said()
            time.sleep(0.1)

    def figures(self) -> dict[str, Any]:
        """Return the status; the books balance."""
        found = status.read(self.state)
        assert found is not None
        assert status.wrong(found) == []
        return found

    def settle(self, seconds: float = 120) -> dict[str, Any]:
        """Let it send everything and stop it; return its figures."""
        self.start()
        deadline = time.monotonic() + seconds
        while True:
            time.sleep(0.5)
            assert time.monotonic() < deadline, f"{self.said()}\n{status.read(self.state)}"
            if status.read(self.state) is None:
                continue
            found = self.figures()
            received = found["spool"]["received"]
            if found["running"] and received >= self.written and not found["spool"]["pending"]:
                break
        self.stop()
        return self.figures()

    def check(self, store: Store) -> dict[str, Any]:
        """Assert that nothing was lost and nothing is there twice."""
        figures = self.settle()
        texts: Counter[str] = Counter()
        ids: Counter[str] = Counter()
        for event in drained(store):
            texts[event["event.original"]] += 1
            ids[event["event.id"]] += 1
        wanted = Counter(line(number) for number in range(self.written))
        assert sum((wanted - texts).values()) == 0, "lost"
        assert sum((texts - wanted).values()) == 0, "twice, or invented"
        assert max(ids.values()) == 1
        events = figures["events"]
        assert events["emitted"] == self.written
        assert events["stored"] + events["duplicate"] == self.written
        return figures


def drained(store: Store) -> Iterator[dict[str, Any]]:
    """Yield everything behind the tail."""
    cursor: str | None = None
    while (batch := store.tail(cursor, limit=5000)).events:
        yield from batch.events
        cursor = batch.cursor


@contextmanager
def flow(home: Path, store: Mapping[str, str]) -> Iterator[Flow]:
    """Give a node; its process is ended whatever happens."""
    made = Flow(home, store)
    try:
        yield made
    finally:
        if made.process is not None and made.process.poll() is None:
            made.process.kill()
            made.process.wait()
