"""Worker processes for tests, and events for them: on either store, killed or stopped at will."""

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from soc.model.event import Event, event_id
from soc.model.time import iso
from soc.store.base import Histogram, Store
from soc.store.query import parse
from tests.data import ROOT
from tests.elastic.cluster import Cluster
from tests.faults.test_row01_run_killed import CORRELATION, RULE, SERIES

DRIVER = """
import signal, sys, threading
from pathlib import Path
from soc.model.time import now
from soc.run.detection import detection
from soc.run.settings import load
from soc.run.worker.worker import Worker

stop = threading.Event()
signal.signal(signal.SIGTERM, lambda *_: stop.set())
config = load()
Worker(
    config.store.open(), detection(config.rules.paths), now,
    idle=float(sys.argv[2]), lateness=int(float(sys.argv[1]) * 1_000_000),
).run(stop)
"""
"""`soc worker run` with a lateness of seconds instead of five minutes."""
EVERY = 50


@dataclass
class Team:
    """Workers on one store; `home` has the rules and the configuration."""

    home: Path
    environment: dict[str, str]
    lateness: float = 10.0
    idle: float = 0.2
    processes: list["subprocess.Popen[bytes]"] = field(default_factory=list)

    def start(self) -> "subprocess.Popen[bytes]":
        kept = {k: v for k, v in os.environ.items() if not k.startswith("SOC_")}
        process = subprocess.Popen(
            [sys.executable, "-c", DRIVER, str(self.lateness), str(self.idle)],
            cwd=self.home,
            env={**kept, "PYTHONPATH": str(ROOT), **self.environment},
        )
        self.processes.append(process)
        return process

    def kill(self, process: "subprocess.Popen[bytes]") -> None:
        self.processes.remove(process)
        process.kill()
        process.wait()

    def end(self) -> None:
        for process in list(self.processes):
            process.send_signal(signal.SIGCONT)
            process.terminate()
            try:
                process.wait(15)
            finally:
                self.kill(process)


def team(home: Path, environment: dict[str, str], **options: Any) -> Team:
    """Write rules and configuration and return a team of nobody."""
    (home / "rules").mkdir(exist_ok=True)
    (home / "rules" / "marked.yml").write_text(RULE + SERIES.replace("2m", "5s"))
    text = f'[paths]\nstate = "{home}/state"\n[rules]\npaths = ["{home}/rules"]\n'
    (home / "soc.toml").write_text(text)
    (home / "state").mkdir(mode=0o700, exist_ok=True)
    return Team(home, environment, **options)


def access(cluster: Cluster, name: str) -> dict[str, str]:
    """Return the environment variables by which a process gets in."""
    given = cluster.access(name)
    known = {
        "SOC_STORE__URL": cluster.url,
        "SOC_STORE__ENVIRONMENT": name,
        "SOC_STORE__CA": str(cluster.ca or ""),
        "SOC_STORE__USER": given.user,
    }
    for secret_of in ("api_key", "password"):
        if secret := getattr(given, secret_of):
            known[f"SOC_STORE__{secret_of.upper()}"] = str(secret)
    return {key: value for key, value in known.items() if value}


def login(number: int, moment: datetime, dataset: str = "sshd", *, marked: bool = False) -> Event:
    """Return an event that was received at this moment; a marked one is worth an alert."""
    user = "marked" if marked else "lan"
    return {
        "@timestamp": iso(moment),
        "ecs.version": "9.5.0",
        "event.created": iso(moment),
        "event.dataset": dataset,
        "event.id": event_id(moment, b"key", "flow", str(number), 0),
        "event.kind": "event",
        "event.original": f"Accepted password for {user} from 192.0.2.7 port {number} ssh2",
        "message": f"Accepted password for {user} from 192.0.2.7 port {number} ssh2",
        "observer.name": "node-1",
        "process.name": "sshd",
        "source.ip": f"192.0.2.{number % 5}",
    }


def feed(
    store: Store, count: int, batch: int, pause: float, between: Callable[[int], None]
) -> list[Event]:
    """Append events as time goes on; return the marked ones."""
    marked = []
    for start in range(0, count, batch):
        now = datetime.now(UTC)
        events = [login(n, now, marked=n % EVERY == 0) for n in range(start, start + batch)]
        marked += [event for n, event in enumerate(events, start) if n % EVERY == 0]
        assert {verdict.outcome for verdict in store.append(events, now=now)} == {"created"}
        between(start)
        time.sleep(pause)
    return marked


def alerts(store: Store, query: str) -> list[Event]:
    """Return the alerts of a query, all of them."""
    found: list[Event] = []
    after = None
    while True:
        page = store.search(parse(query), collection="alerts", limit=1000, after=after)
        found += page.events
        if (after := page.next) is None:
            return found


def counted(store: Store, query: str) -> int:
    """Return how many alerts a query has."""
    days = store.aggregate(parse(query), Histogram(86_400), collection="alerts")
    return sum(day.count for day in days)


def series(marked: list[Event], span: float = 5.0) -> list[str]:
    """Return the ids of the events that complete a series: three of a source in five seconds."""
    from soc.model.time import parse_iso

    completing = []
    times: dict[str, list[float]] = {}
    fired: dict[str, float] = {}
    for event in sorted(marked, key=lambda e: (e["@timestamp"], e["event.id"])):
        source, at = str(event["source.ip"]), parse_iso(event["@timestamp"]).timestamp()
        known = [t for t in times.get(source, []) if at - t <= span + 1e-7] + [at]
        times[source] = known
        if len(known) >= 3 and at - fired.get(source, -1e9) > span + 1e-7:
            fired[source] = at
            completing.append(event["event.id"])
    return completing


def until(condition: Callable[[], bool], seconds: float) -> float:
    """Wait for something; return how long it took."""
    began = time.monotonic()
    while time.monotonic() - began < seconds:
        if condition():
            return time.monotonic() - began
        time.sleep(0.2)
    raise AssertionError(f"not within {seconds} s")


def whole(store: Store, marked: list[Event], seconds: float = 120) -> None:
    """Wait until every alert is there, then look that nothing else is."""
    single = "NOT rule.id:" + CORRELATION
    wanted = series(marked)
    until(lambda: counted(store, single) >= len(marked), seconds)
    until(lambda: counted(store, f"rule.id:{CORRELATION}") >= len(wanted), seconds)
    time.sleep(3)
    told = sorted(one["event.id"] for one in alerts(store, single))
    assert told == sorted(one["event.id"] for one in marked)
    completed = sorted(one["event.id"] for one in alerts(store, f"rule.id:{CORRELATION}"))
    assert completed == sorted(wanted)
    assert len(wanted) > 3


def harass(crew: Team, rng: random.Random) -> Callable[[int], None]:
    """Return what kills a worker now and then, or has it stand still, and starts another."""
    stopped: list[tuple[float, subprocess.Popen[bytes]]] = []

    def between(_: int) -> None:
        now = time.monotonic()
        for at, process in list(stopped):
            if now > at:
                process.send_signal(signal.SIGCONT)
                stopped.remove((at, process))
        chance = rng.random()
        running = [p for p in crew.processes if all(p is not other for _, other in stopped)]
        if chance < 0.06 and running:
            crew.kill(rng.choice(running))
            crew.start()
        elif chance < 0.1 and len(running) > 1 and not stopped:
            process = rng.choice(running)
            process.send_signal(signal.SIGSTOP)
            stopped.append((now + rng.choice((2, 20)), process))

    return between
