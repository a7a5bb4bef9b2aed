"""The collector killed at random, the server once and started again: nothing lost or twice."""

import threading
from pathlib import Path

import pytest

from tests.elastic.cluster import Cluster
from tests.elastic.flow import flow
from tests.elastic.server import installed

pytestmark = [pytest.mark.elastic, pytest.mark.slow]


@pytest.mark.timeout(900)
@pytest.mark.parametrize(
    ("lines", "kills"),
    [(100_000, 30), pytest.param(1_000_000, 60, marks=pytest.mark.soak)],
)
def test_collector_and_server_are_killed(
    own: Cluster, tmp_path: Path, lines: int, kills: int
) -> None:
    place = "killed"
    section = {
        "url": own.url,
        "environment": place,
        "ca": str(own.ca),
        "user": own.user,
        "password": str(own.secret),
    }
    restarting: list[threading.Thread] = []

    def between(kill: int) -> None:
        if kill == kills // 2:
            assert own.node is not None
            own.node.kill()
            restarting.append(threading.Thread(target=again))
            restarting[0].start()

    def again() -> None:
        assert own.node is not None
        own.node.start(installed())
        own.node.wait()

    with flow(tmp_path, section) as node:
        node.write_while_killed(lines, kills, between)
        restarting[0].join()
        store = own.store(place)
        figures = node.check(store)
        assert own.ask("GET", f"/logs-soc.sshd-{place}/_count")["count"] == lines
        store.close()
    print(
        f"{lines} lines, {node.kills} kills of the collector, 1 of the server: {figures['events']}"
    )
