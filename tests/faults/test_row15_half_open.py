"""Row 15: half-open connections and bytes that come one by one: nothing hangs, nothing is lost.

The time of a request is 0.6 s here instead of a minute.
"""

import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from soc.errors import StoreError
from soc.run.worker.roster import Roster
from soc.store.base import Silent
from soc.store.elastic import ElasticStore, client
from tests.data import ROOT
from tests.faults.sending import Node, line
from tests.faults.servers.line import Line, State
from tests.faults.servers.store_server import StoreServer, status

pytestmark = pytest.mark.slow
SECONDS = 0.6
LINES = 2_500
BAD: list[State] = ["dead", "slow answers", "slow requests"]


@pytest.fixture(autouse=True)
def _hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "SECONDS", SECONDS)


@pytest.fixture
def way(server: StoreServer) -> Iterator[Line]:
    """A line to the fake."""
    with Line(server.url).running() as running:
        yield running


@pytest.fixture
def remote(way: Line, tmp_path: Path) -> Iterator[Node]:
    """A node at the other end of the line."""
    store = ElasticStore(way.url)
    made = Node(tmp_path / "state", store)
    yield made
    made.stop()
    store.close()


def originals(server: StoreServer) -> list[bytes]:
    return sorted(one["event"]["original"].encode() for one in server.documents.values())


def sending() -> int:
    return sum(thread.name == "send" for thread in threading.enumerate())


@pytest.mark.parametrize("state", BAD)
def test_a_line_that_goes_bad_in_mid_flow(
    remote: Node, server: StoreServer, way: Line, state: State
) -> None:
    remote.receive([line(n) for n in range(LINES)])
    remote.until(lambda: len(server.documents) >= 1_000)
    way.state = state
    began = time.monotonic()
    remote.receive([line(n) for n in range(LINES, 2 * LINES)], at=LINES)
    remote.until(lambda: remote.sender.figures()["trouble"] != "", 20)
    assert time.monotonic() - began < 5 * SECONDS, "bounded as a whole"
    assert "did not answer in time" in remote.sender.figures()["trouble"]
    tried = way.connections
    remote.until(lambda: way.connections >= tried + 2, 20)
    assert sending() <= 2, "no thread is stuck"
    way.state = "sound"
    remote.drain()
    assert originals(server) == sorted(line(n) for n in range(2 * LINES))
    events = remote.check()
    assert events["emitted"] == events["stored"] + events["duplicate"] == 2 * LINES
    assert remote.sender.figures()["trouble"] == ""


@pytest.mark.parametrize("state", BAD)
def test_a_server_that_never_answered(server: StoreServer, tmp_path: Path, state: State) -> None:
    """The first request of all: what it accepts it does not read, or not answer."""
    with Line(server.url, state).running() as way:
        store = ElasticStore(way.url)
        node = Node(tmp_path / "state", store)
        node.receive([line(n) for n in range(10)])
        node.until(lambda: node.sender.trouble.failures >= 2, 20)
        assert server.documents == {}
        way.state = "sound"
        node.drain()
        assert originals(server) == sorted(line(n) for n in range(10))
        node.stop()
        store.close()


def test_an_answer_a_byte_at_a_time_was_carried_out_and_is_marked(
    remote: Node, server: StoreServer, way: Line
) -> None:
    remote.receive([line(1)])
    remote.drain()
    way.state = "slow answers"
    remote.receive([line(2)], at=1)
    remote.until(lambda: len(server.bulks) >= 3, 20)
    way.state = "sound"
    remote.drain()
    events = remote.check()
    assert (events["stored"], events["duplicate"]) == (1, 1)
    assert all(parcel == server.bulks[1] for parcel in server.bulks[1:]), "the same again"


def test_a_parcel_that_is_too_much_for_the_line_goes_in_parts(
    remote: Node, server: StoreServer, way: Line
) -> None:
    """A line that carries some in time, but not a thousand: it must not try that for ever."""
    sizes: list[int] = []

    def slow(exchange: object) -> tuple[int, bytes] | None:
        sizes.append(len(exchange.actions))  # type: ignore[attr-defined]
        if sizes[-1] > 200:
            time.sleep(1.5 * SECONDS)
            return None
        return exchange.carry_out()  # type: ignore[attr-defined, no-any-return]

    server.always = slow
    remote.receive([line(n) for n in range(900)])
    remote.drain()
    assert originals(server) == sorted(line(n) for n in range(900))
    assert len(sizes) < 25, sizes


@pytest.mark.parametrize("state", ["dead", "slow answers"])
def test_what_a_worker_reads_ends_in_time(server: StoreServer, way: Line, state: State) -> None:
    server.always = status(200)
    store = ElasticStore(way.url)
    with pytest.raises(StoreError, match="may not"):
        store.shards()  # the fake lets nobody look; the connection stays
    way.state = state
    roster = Roster(store, "worker-1", time.monotonic)
    for ask in (store.shards, lambda: roster.beat({}, {}, lambda slots: None)):
        began = time.monotonic()
        with pytest.raises(Silent, match="in time"):
            ask()
        assert time.monotonic() - began < 2 * SECONDS
    store.close()


@pytest.mark.parametrize("state", BAD)
def test_store_status_says_that_nobody_answers(way: Line, tmp_path: Path, state: State) -> None:
    way.state = state
    began = time.monotonic()
    said = ["store", "status", "--store", way.url]
    program = f"from soc.store.elastic import client; client.SECONDS = {SECONDS}"
    program += f"; import sys; from soc.cli.main import main; sys.exit(main({said}))"
    ran = subprocess.run(
        [sys.executable, "-c", program],
        cwd=tmp_path,
        env={**os.environ, "SOC_PATHS__STATE": str(tmp_path / "state"), "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert time.monotonic() - began < SECONDS + 5
    assert ran.returncode == 5, ran.stderr
    assert "did not answer in time" in ran.stderr
