"""Measure a cluster through the store, and print a table; the server is one of its own.

python -m tests.bench.elastic --events 100000 [--json]

`ceiling` sends prepared requests and reads nothing: the server's limit with this mapping. Processor
seconds of both sides are the figures to reckon with: they hold on a machine that others use too.
"""

import argparse
import base64
import json
import ssl
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from http.client import HTTPSConnection
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psutil

from soc.model.event import Event
from soc.store.elastic import ElasticStore
from soc.store.elastic.wire import encode
from tests.bench.store import START, events
from tests.elastic.cluster import Cluster, of_node, with_init
from tests.elastic.server import single

BATCH = 1_000
Row = dict[str, Any]


def server_cpu(cluster: Cluster) -> float:
    """Return the processor seconds that the server has used."""
    if cluster.node is None or cluster.node.process is None:
        raise AssertionError("the server is not one of ours")
    first = psutil.Process(cluster.node.process.pid)
    times = [one.cpu_times() for one in (first, *first.children(recursive=True))]
    return sum(one.user + one.system for one in times)


def timed(cluster: Cluster, name: str, count: int, work: Callable[[], object]) -> Row:
    """Return a row: how long, how fast, and the processor time of both sides of the wire."""
    wall, cpu, server = time.perf_counter(), time.process_time(), server_cpu(cluster)
    work()
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    server = server_cpu(cluster) - server
    return {
        "step": name,
        "events": count,
        "seconds": round(wall, 2),
        "per_second": round(count / wall),
        "client_cpu_per_10k": round(cpu / count * 10_000, 2),
        "server_cpu_per_10k": round(server / count * 10_000, 2),
    }


def batches(some: Sequence[Event]) -> Iterator[Sequence[Event]]:
    for start in range(0, len(some), BATCH):
        yield some[start : start + BATCH]


def ceiling(cluster: Cluster, place: str, some: Sequence[Event]) -> Callable[[], None]:
    """Prepare the requests; return what sends them, one after another."""
    bodies = []
    for part in batches(some):
        lines = []
        for event in part:
            action = {"_index": f"logs-soc.{event['event.dataset']}-{place}"}
            action["_id"] = event["event.id"]
            lines += [json.dumps({"create": action}).encode(), encode(event, "event.id")]
        bodies.append(b"\n".join(lines) + b"\n")
    parts = urlsplit(cluster.url)
    context = ssl.create_default_context(cafile=str(cluster.ca))
    token = base64.b64encode(f"{cluster.user}:{cluster.secret.resolve()}".encode()).decode()
    headers = {"Authorization": f"Basic {token}", "Content-Type": "application/x-ndjson"}

    def send() -> None:
        connection = HTTPSConnection(str(parts.hostname), parts.port, context=context, timeout=60)
        for body in bodies:
            connection.request("POST", "/_bulk?filter_path=errors", body, headers)
            answer = connection.getresponse()
            if json.load(answer)["errors"]:
                raise AssertionError("a document was refused")
        connection.close()

    return send


def append(store: ElasticStore, some: Sequence[Event], outcome: str) -> None:
    for part in batches(some):
        if any(one.outcome != outcome for one in store.append(part, now=datetime.now(UTC))):
            raise AssertionError(f"not every event was {outcome}")


def tail(store: ElasticStore, count: int) -> None:
    cursor, seen = None, 0
    while (batch := store.tail(cursor, limit=5_000)).events:
        cursor, seen = batch.cursor, seen + len(batch.events)
    if seen != count:
        raise AssertionError(f"{seen} of {count} events were read")


def bytes_on_disk(cluster: Cluster, place: str) -> int:
    """Return the bytes after a merge into one segment, as an index of yesterday has them."""
    pattern = f"logs-soc.*-{place}"
    cluster.ask("POST", f"/{pattern}/_forcemerge?max_num_segments=1&flush=true")
    stats = cluster.ask("GET", f"/{pattern}/_stats/store?expand_wildcards=all")
    return int(stats["_all"]["primaries"]["store"]["size_in_bytes"])


def measure(cluster: Cluster, count: int) -> Iterator[Row]:
    some = list(events(count))
    warm = [one | {"event.id": f"w{one['event.id']}"} for one in some[:20_000]]
    ceiling(cluster, "warm", warm)()
    yield timed(cluster, "ceiling", count, ceiling(cluster, "raw", some))
    store = cluster.store("append")
    yield timed(cluster, "append", count, lambda: append(store, some, "created"))
    yield timed(cluster, "tail", count, lambda: tail(store, count))
    yield timed(cluster, "replay", count, lambda: append(store, some, "duplicate"))
    store.close()
    size = bytes_on_disk(cluster, "append")
    sent = sum(len(encode(one, "event.id")) for one in some)
    row = {"step": "disk", "events": count, "bytes_per_event": round(size / count)}
    yield row | {"sent_bytes_per_event": round(sent / count), "start": START.isoformat()}


def main() -> int:
    """Print a row for each step, a ratio to the ceiling where there is one."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=100_000)
    parser.add_argument("--heap", default="1g")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="metrosoc-es-") as root:
        node = single(Path(root), heap=options.heap)
        try:
            cluster = of_node(node)
            with_init(cluster)
            limit = 0
            for row in measure(cluster, options.events):
                limit = limit or row["per_second"]
                if "per_second" in row:
                    row["of_ceiling"] = round(row["per_second"] / limit, 2)
                text = " ".join(f"{name}={value}" for name, value in row.items())
                print(json.dumps(row) if options.json else text, flush=True)
        finally:
            node.stop()
    return 0


if __name__ == "__main__":
    sys.exit(main())
