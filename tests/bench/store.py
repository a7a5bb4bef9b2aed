"""Measure the embedded store over many events, and print a table.

python -m tests.bench.store --events 1000000 [--out FILE] [--json]
"""

import argparse
import json
import os
import platform
import random
import sqlite3
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import orjson

from soc.model.event import Event, event_id
from soc.model.time import iso
from soc.store.base import Histogram, Position, Store, Terms
from soc.store.query import Node, parse
from soc.store.sqlite import SqliteStore

START = datetime(2026, 11, 22, tzinfo=UTC)
BATCH = 1000
USERS = ["root", "deploy", "backup", "lan.nguyen", "minh.tran", "hoa.le", "www-data", "postgres"]
PATHS = ["/", "/login", "/api/v1/tickets", "/static/app.js", "/permits/search", "/admin/config.php"]
AGENTS = [
    f"Mozilla/5.0 (X11; Linux x86_64; rv:{n}.0) Gecko/20100101 Firefox/{n}.0"
    for n in range(90, 130)
]


def events(count: int, seed: int = 7) -> Iterator[Event]:
    """Yield varied events of about 650 bytes as flat JSON: logins, requests, DNS, processes."""
    rng = random.Random(seed)
    makers = (login, request, lookup, process)
    moment = START
    for number in range(count):
        moment += timedelta(microseconds=rng.randrange(1, 160_000))
        stamp = iso(moment)
        dataset, fields = makers[rng.randrange(4)](rng)
        yield {
            "@timestamp": stamp,
            "ecs.version": "9.5.0",
            "event.kind": "event",
            "event.dataset": dataset,
            "event.id": event_id(moment, b"bench", "", str(number), 0),
            "event.created": iso(moment + timedelta(milliseconds=rng.randrange(900))),
            "observer.name": f"node{rng.randrange(778):03d}",
            "host.name": f"web{rng.randrange(200):03d}",
            "organization.unit": f"district-{rng.randrange(24):02d}",
            "log.file.path": f"/var/log/{dataset}.log",
            "log.offset": number * 181,
            **fields,
        }


def address(rng: random.Random) -> str:
    return f"10.{rng.randrange(32)}.{rng.randrange(256)}.{rng.randrange(1, 255)}"


def login(rng: random.Random) -> tuple[str, dict[str, Any]]:
    user, ip, port = rng.choice(USERS), address(rng), rng.randrange(1024, 65535)
    good = rng.random() < 0.2
    message = f"{'Accepted' if good else 'Failed'} password for {user} from {ip} port {port} ssh2"
    return "sshd", {
        "event.category": ["authentication"],
        "event.action": "ssh_login",
        "event.outcome": "success" if good else "failure",
        "user.name": user,
        "source.ip": ip,
        "source.port": port,
        "process.name": "sshd",
        "process.pid": rng.randrange(300, 90000),
        "message": message,
        "event.original": f"Nov 22 08:15:30 web sshd[811]: {message}",
    }


def request(rng: random.Random) -> tuple[str, dict[str, Any]]:
    ip, path, size = address(rng), rng.choice(PATHS), rng.randrange(90000)
    status = rng.choice([200, 200, 200, 304, 404, 500])
    agent = rng.choice(AGENTS)
    return "nginx.access", {
        "event.category": ["web"],
        "source.ip": ip,
        "http.request.method": "GET",
        "http.response.status_code": status,
        "http.response.body.bytes": size,
        "url.original": f"{path}?id={rng.randrange(100000)}",
        "url.path": path,
        "user_agent.original": agent,
        "event.original": f'{ip} - - [22/Nov/2026:08:15:30] "GET {path}" {status} {size} "{agent}"',
    }


def lookup(rng: random.Random) -> tuple[str, dict[str, Any]]:
    name = f"{rng.choice(['cdn', 'api', 'mail', 'time'])}{rng.randrange(3000)}.example.net"
    return "dns", {
        "event.category": ["network"],
        "source.ip": address(rng),
        "source.port": rng.randrange(1024, 65535),
        "destination.ip": "10.0.0.53",
        "destination.port": 53,
        "network.transport": "udp",
        "dns.question.name": name,
        "dns.question.type": "A",
        "dns.answers": [{"data": f"203.0.113.{rng.randrange(255)}", "type": "A", "ttl": 300}],
        "dns.response_code": "NOERROR",
        "event.original": f"client query: {name} IN A + ({rng.randrange(100000)})",
    }


def process(rng: random.Random) -> tuple[str, dict[str, Any]]:
    user, pid = rng.choice(USERS), rng.randrange(300, 90000)
    line = f"/usr/bin/python3 /opt/jobs/job{rng.randrange(400)}.py --run {rng.randrange(1000000)}"
    return "auditd", {
        "event.category": ["process"],
        "event.action": "executed",
        "user.name": user,
        "process.name": "python3",
        "process.executable": "/usr/bin/python3",
        "process.pid": pid,
        "process.command_line": line,
        "process.parent.name": "cron",
        "process.parent.pid": rng.randrange(300, 900),
        "process.working_directory": "/opt/jobs",
        "event.original": f"type=EXECVE pid={pid} uid={user} cmd={line}",
    }


QUERIES = {
    "equality, common": "user.name:root",
    "equality, common, time bound": "user.name:root",
    "equality, rare": "dns.question.name:cdn77.example.net",
    "equality, one event (log.offset)": "log.offset:{offset}",
    "equality, one event (event.id)": "event.id:{id}",
    "equality in a list of objects": "dns.answers.data:203.0.113.7",
    "equality, no event": "user.name:nobody",
    "two fields": "user.name:root AND host.name:web007",
    "two fields, never together": "user.name:root AND dns.question.type:A",
    "bare word": "accepted",
    "bare word, rare": "job77",
    "phrase": '"password for backup from"',
    "address, bare": "10.3.200.7",
    "prefix": "dns.question.name:cdn1*",
    "prefix, rare": "process.command_line:\\/usr\\/bin\\/python3\\ \\/opt\\/jobs\\/job77.py*",
    "CIDR /24": "source.ip:10.3.200.0/24",
    "CIDR /16": "source.ip:10.3.0.0/16",
    "CIDR /8, every event": "source.ip:10.0.0.0/8",
    "number range, common": "source.port:>1024",
    "exists": "_exists_:dns.question.name",
    "NOT": "NOT event.dataset:sshd",
    "scan: inner wildcard, no event": "process.command_line:*mimikatz*",
    "scan: regular expression, no event": "user.name:/no(body|where)[0-9]+/",
    "scan: number range, no event": "source.port:<0",
}
"""What is asked for the 50 newest; braces are filled from an event in the middle."""


def timed(run: Callable[[], Any], repeat: int = 5) -> tuple[float, float, Any]:
    """Return the median seconds of some runs (at most about 10 s of them), of the clock and of
    this thread's processor time, and the answer."""
    walls: list[float] = []
    cpus: list[float] = []
    answer = None
    while len(walls) < repeat and sum(walls) < 10:
        begin, begin_cpu = time.perf_counter(), time.thread_time()
        answer = run()
        cpus.append(time.thread_time() - begin_cpu)
        walls.append(time.perf_counter() - begin)
    return statistics.median(walls), statistics.median(cpus), answer


def append_all(store: Store, count: int) -> dict[str, Any]:
    """Append events in batches and return the rates; making the events is not counted."""
    cpu = wall = 0.0
    size = 0
    middle: Event = {}
    source = events(count)
    number = 0
    while batch := list(islice(source, BATCH)):
        size += sum(len(orjson.dumps(event)) for event in batch)
        middle = batch[0] if number <= count // 2 else middle
        begin, begin_wall = time.process_time(), time.perf_counter()
        position = Position("bench", {"offset": number})
        verdicts = store.append(batch, now=START, position=position)
        cpu += time.process_time() - begin
        wall += time.perf_counter() - begin_wall
        number += len(batch)
        if any(verdict.outcome != "created" for verdict in verdicts):
            raise AssertionError("an event was not stored")
    return {
        "events": number,
        "json_bytes_per_event": round(size / number),
        "append_events_per_cpu_second": round(number / cpu),
        "append_events_per_second": round(number / wall),
        "append_us_per_event": round(cpu / number * 1e6, 1),
        "bytes_per_event": round(store.info().bytes / number),
        "middle": {"id": middle["event.id"], "offset": middle["log.offset"]},
    }


def ask_all(store: Store, filled: dict[str, Any], count: int) -> dict[str, Any]:
    """Return milliseconds and hits per query, and the scan rate."""
    answers: dict[str, Any] = {}
    for name, text in QUERIES.items():
        query = text.format(**filled) if "{" in text else text
        node = parse(query)
        since = START + timedelta(hours=1) if "time bound" in name else None
        until = since + timedelta(hours=1) if since else None
        seconds, cpu, page = timed(partial(store.search, node, since=since, until=until))
        answers[name] = {
            "query": query,
            "ms": round(seconds * 1000, 2),
            "cpu_ms": round(cpu * 1000, 2),
            "hits": len(page.events),
        }
        if name.startswith("scan"):
            answers[name]["events_per_cpu_second"] = round(count / cpu)
    return answers


def count_all(store: Store) -> dict[str, float]:
    """Return CPU milliseconds of aggregations over everything."""
    every, root = parse("*"), parse("user.name:root")
    asked: dict[str, tuple[Node, Terms | Histogram]] = {
        "terms of user.name, all events": (every, Terms("user.name")),
        "terms of source.ip, user.name:root": (root, Terms("source.ip")),
        "histogram by minute, all events": (every, Histogram(60)),
        "histogram by hour, user.name:root": (root, Histogram(3600)),
    }
    return {
        name: round(timed(partial(store.aggregate, query, by), 3)[1] * 1000, 1)
        for name, (query, by) in asked.items()
    }


def tail_rate(store: Store, count: int) -> int:
    """Return events per CPU second that the tail delivers in batches of 1000."""
    begin, cursor = time.thread_time(), None
    while (batch := store.tail(cursor)).events:
        cursor = batch.cursor
    return round(count / (time.thread_time() - begin))


def measure(count: int, folder: Path) -> dict[str, Any]:
    """Return every figure."""
    store = SqliteStore(folder)
    figures = append_all(store, count)
    figures["queries"] = ask_all(store, figures.pop("middle"), count)
    figures["aggregations_cpu_ms"] = count_all(store)
    figures["tail_events_per_cpu_second"] = tail_rate(store, count)
    figures["machine"] = {
        "python": platform.python_version(),
        "sqlite": sqlite3.sqlite_version,
        "cpus": os.cpu_count(),
    }
    store.close()
    return figures


def table(figures: dict[str, Any]) -> str:
    """Return the figures as Markdown tables."""
    lines = ["| store | |", "|---|---:|"]
    lines += [f"| {k} | {v:,} |" for k, v in figures.items() if isinstance(v, int | float)]
    lines += ["", "| 50 newest of | query | hits | ms | CPU ms |", "|---|---|---:|---:|---:|"]
    for name, row in figures["queries"].items():
        rate = row.get("events_per_cpu_second")
        note = f" ({rate:,} events/s)" if rate else ""
        times = f"{row['ms']:,} | {row['cpu_ms']:,}{note}"
        lines.append(f"| {name} | `{row['query']}` | {row['hits']} | {times} |")
    lines += ["", "| aggregation | CPU ms |", "|---|---:|"]
    lines += [f"| {name} | {ms:,} |" for name, ms in figures["aggregations_cpu_ms"].items()]
    return "\n".join(lines) + "\n"


def main() -> None:
    """Measure, print, write."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--events", type=int, default=1_000_000)
    options.add_argument("--out", type=Path, help="write the result there too")
    options.add_argument("--json", action="store_true", help="figures as JSON, no table")
    given = options.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        figures = measure(given.events, Path(folder) / "store")
    text = json.dumps(figures, indent=2) + "\n" if given.json else table(figures)
    sys.stdout.write(text)
    if given.out:
        given.out.write_text(text, "utf-8")


if __name__ == "__main__":
    main()
