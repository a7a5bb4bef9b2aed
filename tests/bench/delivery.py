"""Measure the way of a record into Elasticsearch, beside rsyslog, and print a table.

python -m tests.bench.delivery --events 100000

S: prepared bulk requests into the same index, two connections: the server's ceiling. P: spool to a
sink that encodes and throws away: ours, for a second of one core. E: syslog over TCP to events in
the store, every process on the same two cores. What both ceilings allow together on two cores is
1 / (1/S + 1/2P).
"""

import argparse
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from collectors.sender.understanding import Meaning, Understanding
from soc.model.event import Event
from soc.run import status
from soc.store.base import Verdict
from soc.store.elastic.bulk import Item
from soc.store.elastic.wire import encode
from tests.elastic.cluster import Cluster, environment, running
from tests.elastic.flow import Flow, flow
from tests.elastic.server import free_port
from tests.faults.sending import INPUT, KEY, Clock, Node

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
PATIENCE = 600


def line(number: int) -> bytes:
    """Return a syslog line of about 250 bytes, as sshd, sudo and a proxy write them."""
    stamp = f"2026-11-22T08:{number // 60_000 % 60:02}:{number // 1000 % 60:02}.{number % 1000:03}"
    user, peer = f"user{number % 500}", f"192.0.2.{number % 250}"
    filling = f"session {number:08x} " + "of the portal's night shift, " * 4
    return (
        f"<38>1 {stamp}000+07:00 web{number % 40:02} sshd {number % 30000} - - "
        f"Accepted publickey for {user} from {peer} port {1024 + number % 60000} ssh2: "
        f"RSA SHA256:{number:043d} {filling}"
    ).encode()[:250]


class Sink:
    """A store that takes everything after doing a client's work for it."""

    def append(self, documents: Sequence[Event], **_: Any) -> list[Verdict]:
        return [Verdict(one["event.id"], "created") for one in documents if encode(one, "event.id")]


def parsed(count: int) -> list[Event]:
    """Return the events of so many lines."""
    understanding = Understanding({INPUT: Meaning(UTC, "syslog")}, KEY, "node-1")
    with tempfile.TemporaryDirectory() as folder:
        node = Node(Path(folder), Sink())  # type: ignore[arg-type]
        node.receive([line(n) for n in range(count)])
        events, mark = [], 0
        while records := node.spool.read(mark, 1000):
            mark = records[-1][0] + 1
            events += understanding.events(records)
        node.stop()
    return events


def timed(work: Callable[[], None]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def ceiling(cluster: Cluster, place: str, lines: Sequence[tuple[str, bytes]]) -> float:
    """Return documents a second of prepared requests over two connections."""
    stream = f"logs-soc.sshd-{place}"
    store = cluster.store(place)
    store._prepared()
    made = [Item(stream, identity, one) for identity, one in lines]
    halves = [made[::2], made[1::2]]
    bodies = [
        [
            b"".join(b"%s\n%s\n" % (one.action, one.line) for one in half[start : start + 1000])
            for start in range(0, len(half), 1000)
        ]
        for half in halves
    ]

    def send(half: list[bytes]) -> None:
        for body in half:
            store._client.send("PUT", "/_bulk", body, filter_path="items.*.status")

    def all_() -> None:
        threads = [threading.Thread(target=send, args=(half,)) for half in bodies]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    seconds = timed(all_)
    store.close()
    return len(lines) / seconds


def pipeline(count: int) -> float:
    """Return events for a second of one core, from the spool to a sink."""
    with tempfile.TemporaryDirectory() as folder:
        node = Node(Path(folder), Sink(), Clock(1e-6))  # type: ignore[arg-type]
        node.sender.understanding = Understanding({INPUT: Meaning(UTC, "syslog")}, KEY, "n")
        node.receive([line(n) for n in range(count)])
        began = time.process_time()
        node.until(lambda: node.sender.ledger.mark == count, PATIENCE)
        seconds = time.process_time() - began
        node.stop()
    return count / seconds


def resent(cluster: Cluster, place: str, count: int) -> float:
    """Return events a second when all of them are there already (409)."""
    store = cluster.store(place)
    events = parsed(count)
    batches = [events[n : n + 1000] for n in range(0, count, 1000)]
    for batch in batches:
        store.append(batch, now=NOW)
    seconds = timed(lambda: [store.append(batch, now=NOW) for batch in batches] and None)
    store.close()
    return count / seconds


def talk(port: int, count: int) -> None:
    """Send the lines over one connection."""
    with socket.create_connection(("127.0.0.1", port)) as connection:
        for start in range(0, count, 2000):
            stop = min(start + 2000, count)
            connection.sendall(b"".join(line(n) + b"\n" for n in range(start, stop)))


def end_to_end(cluster: Cluster, place: str, count: int) -> float:
    """Return events a second from TCP into the store, `soc collect run` between."""
    section = {
        "url": cluster.url,
        "environment": place,
        "user": cluster.user,
        "password": str(cluster.secret),
    }
    if cluster.ca:
        section["ca"] = str(cluster.ca)
    with tempfile.TemporaryDirectory() as folder, flow(Path(folder), section) as node:
        port = free_port()
        configuration = node.home / "soc.toml"
        text = configuration.read_text().partition("[[inputs]]")[0]
        configuration.write_text(f'{text}[[inputs]]\nlisten = "tcp://127.0.0.1:{port}"\n')
        node.start()
        _until(partial(_listening, port))
        talker = subprocess.Popen(
            [sys.executable, "-m", "tests.bench.delivery", "--talk", str(port), str(count)]
        )
        began = time.perf_counter()
        _until(lambda: _stored(node) >= count)
        seconds = time.perf_counter() - began
        talker.wait()
        node.stop()
    return count / seconds


def _stored(node: Flow) -> int:
    found = status.read(node.state)
    return int(found["events"]["stored"]) if found else 0


def _listening(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _until(reached: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not reached():
        if time.monotonic() > deadline:
            raise SystemExit("it took too long")
        time.sleep(0.05)


RSYSLOG = """\
module(load="imtcp")
module(load="omelasticsearch")
global(workDirectory="{folder}")
main_queue(queue.size="200000" queue.dequeueBatchSize="2000")
input(type="imtcp" address="127.0.0.1" port="{port}")
template(name="doc" type="list" option.jsonf="on") {{
  property(outname="@timestamp" name="timereported" dateFormat="rfc3339" format="jsonf")
  property(outname="host" name="hostname" format="jsonf")
  property(outname="program" name="programname" format="jsonf")
  property(outname="severity" name="syslogseverity-text" format="jsonf")
  property(outname="message" name="msg" format="jsonf")
}}
template(name="id" type="string" string="%uuid%")
action(type="omelasticsearch" server="127.0.0.1" serverport="{server}" usehttps="{https}"
  uid="{user}" pwd="{password}" tls.cacert="{ca}" allowunsignedcerts="on" skipverifyhost="on"
  searchType="" searchIndex="{index}" template="doc" bulkmode="on" maxbytes="5m"
  writeoperation="create" dynbulkid="on" bulkid="id" errorFile="{folder}/errors"
  queue.type="linkedList" queue.size="200000" queue.dequeueBatchSize="2000" queue.workerThreads="2"
  action.resumeRetryCount="-1")
"""


def rsyslog(cluster: Cluster, place: str, count: int) -> float | None:
    """Return messages a second of rsyslog's omelasticsearch, a queue in memory; None without it."""
    program = shutil.which("rsyslogd", path="/usr/sbin:/usr/bin:/sbin")
    if program is None:
        return None
    index = f"bench-rsyslog-{place}"
    user, password = cluster.user, cluster.secret.resolve()
    address = cluster.url.partition("://")[2].split(":")
    with tempfile.TemporaryDirectory() as folder:
        port = free_port()
        Path(folder, "rsyslog.conf").write_text(
            RSYSLOG.format(
                folder=folder,
                port=port,
                server=address[1].strip("/"),
                https="on" if cluster.url.startswith("https") else "off",
                user=user,
                password=password,
                ca=cluster.ca or "",
                index=index,
            )
        )
        process = subprocess.Popen(
            [program, "-n", "-f", f"{folder}/rsyslog.conf", "-i", f"{folder}/pid"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            _until(partial(_listening, port))
            talker = subprocess.Popen(
                [sys.executable, "-m", "tests.bench.delivery", "--talk", str(port), str(count)]
            )
            began = time.perf_counter()
            _until(lambda: _written(cluster, index) >= count)
            seconds = time.perf_counter() - began
            talker.wait()
        finally:
            process.terminate()
            process.wait()
            cluster.ask("DELETE", f"/{index}?ignore_unavailable=true")
    return count / seconds


def _written(cluster: Cluster, index: str) -> int:
    path = f"/{index}/_stats/indexing?ignore_unavailable=true"
    found: Any = cluster.ask("GET", path)
    return int(found["_all"]["primaries"].get("indexing", {}).get("index_total", 0))


def main() -> None:
    """Measure and print."""
    asked = argparse.ArgumentParser()
    asked.add_argument("--events", type=int, default=100_000)
    asked.add_argument("--talk", type=int, nargs=2)
    given = asked.parse_args()
    if given.talk:
        talk(*given.talk)
        return
    count = given.events
    cluster = running()
    lines = [(one["event.id"], encode(one, "event.id")) for one in parsed(count)]
    size = sum(len(one) for _, one in lines) // count
    with environment(cluster) as place:
        ceiling(cluster, place, lines)  # a server is slow until it has compiled its own paths
    with environment(cluster) as place:
        s = ceiling(cluster, place, lines)
    p = pipeline(count)
    with environment(cluster) as place:
        e = end_to_end(cluster, place, count)
    with environment(cluster) as place:
        again = resent(cluster, place, count // 4)
    with environment(cluster) as place:
        other = rsyslog(cluster, place, count)
    together = 1 / (1 / s + 1 / (2 * p))
    rows = [
        ("lines", f"{count:,}"),
        ("bytes of a line, of its document", f"{len(line(1))}, {size}"),
        ("S: prepared bulk requests, documents/s", f"{s:,.0f}"),
        ("P: spool to sink, events/s of one core", f"{p:,.0f}"),
        ("E: TCP to Elasticsearch, events/s", f"{e:,.0f}"),
        ("what S and P allow together, 1/(1/S + 1/2P)", f"{together:,.0f}"),
        ("E of that (target 0.8)", f"{e / together:.2f}"),
        ("sent again, all there already (409), events/s", f"{again:,.0f}"),
        (
            "rsyslog omelasticsearch, queue in memory, 5 fields, messages/s",
            "not installed" if other is None else f"{other:,.0f}",
        ),
    ]
    print("| delivery | |\n|---|---:|")
    for name, value in rows:
        print(f"| {name} | {value} |")


if __name__ == "__main__":
    main()
