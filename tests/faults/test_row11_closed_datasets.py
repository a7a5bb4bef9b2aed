"""Row 11: a dataset that is not taken (denied to the key, blocked) waits and holds nobody up."""

import random
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from collectors.sender.sender import WAITING
from collectors.spool.record import Batch
from collectors.spool.segments import listing
from collectors.spool.spool import Spool, SpoolFull
from soc.model.time import iso
from soc.run import status
from soc.store.base import Denied
from soc.store.elastic import ElasticStore
from tests.command import soc
from tests.elastic.flow import flow
from tests.faults.sending import INPUT, NOON, Node, line
from tests.faults.servers.store_server import Answered, Exchange, Fault, StoreServer, items

DENIED = (403, "security_exception")
BLOCKED = (403, "cluster_block_exception")
FULL = (400, "validation_exception")
"""No index can be made: the cluster has as many shards as it may have."""
AWAY = (503, "unavailable_shards_exception")


def sudo(number: int) -> bytes:
    return (
        f"2026-11-22T08:00:00.{number:06}+07:00 gate sudo[{number}]:      lan : TTY=pts/0 ; "
        f"PWD=/ ; USER=root ; COMMAND=/bin/true {number}"
    ).encode()


def su(number: int) -> bytes:
    return f"2026-11-22T08:00:00.{number:06}+07:00 gate su[{number}]: hello {number}".encode()


class Shut:
    """Refuses documents of some datasets; counts the requests that had any of them."""

    def __init__(self, server: StoreServer, *names: str, how: tuple[int, str] = DENIED) -> None:
        self.names, self.how, self.asked = set(names), how, 0
        server.always = self

    def __call__(self, exchange: Exchange) -> Answered | None:
        code, kind = self.how
        fault: Fault = items(
            lambda one: code if one["event"]["dataset"] in self.names else None, kind
        )
        self.asked += any(one["event"]["dataset"] in self.names for one in exchange.documents)
        return fault(exchange)


def stored(server: StoreServer) -> Counter[str]:
    return Counter(index.split(".")[1].split("-")[0] for index, _ in server.documents)


def mixed(count: int) -> list[bytes]:
    return [sudo(n) if n % 3 else line(n) for n in range(count)]


@pytest.mark.parametrize("how", [DENIED, BLOCKED, AWAY, FULL], ids=lambda how: how[1])
def test_what_is_closed_waits_and_the_rest_goes_on(
    node: Node, server: StoreServer, how: tuple[int, str], caplog: pytest.LogCaptureFixture
) -> None:
    shut = Shut(server, "sudo", how=how)
    node.receive(mixed(6_000))
    node.until(lambda: stored(server)["sshd"] == 2_000)
    node.until(lambda: node.sender.ledger.away()["sudo"] == 4_000)
    node.receive([line(n) for n in range(6_000, 8_000)], at=6_000)
    node.until(lambda: stored(server)["sshd"] == 4_000)
    began = node.clock.seconds
    asked = shut.asked
    node.until(lambda: node.clock.seconds > began + 300)
    assert shut.asked - asked <= 12, "one try in 30 seconds"
    assert (stored(server)["sudo"], node.letters.count()) == (0, 0)
    assert node.check()["queued"] == 4_000
    figures = node.sender.figures()
    known = figures["closed"]["sudo"]
    assert how[1] in known["why"]
    assert (known["since"], known["waiting"]) == (iso(NOON), 4_000)
    assert figures["trouble"] == "", "the sending as a whole goes on"
    assert status.wrong(figures) == []
    assert sum("sudo" in one.message for one in caplog.records) == 1, "said once"
    shut.names.clear()
    node.drain()
    assert stored(server) == {"sshd": 4_000, "sudo": 4_000}
    assert node.check()["stored"] == 8_000
    assert node.sender.figures()["closed"] == {}


@pytest.mark.slow
def test_more_than_fits_into_memory_may_wait(node: Node, server: StoreServer) -> None:
    shut = Shut(server, "sudo")
    for start in range(0, 3 * WAITING, 5_000):
        node.receive([sudo(n) for n in range(start, start + 5_000)], at=start)
    last = 3 * WAITING
    node.receive([line(n) for n in range(last, last + 100)], at=last)
    node.until(lambda: stored(server)["sshd"] == 100)
    assert node.sender.ledger.away()["sudo"] == 3 * WAITING
    assert node.sender.ledger.waiting <= 2_000
    assert node.sender.ledger.mark == 0, "what waits keeps its place in the spool"
    shut.names.clear()
    node.until(lambda: node.sender.ledger.waiting == 0 and node.sender.ledger.mark == last + 100)
    assert node.check()["stored"] == last + 100
    assert len(server.documents) == last + 100


@pytest.mark.slow
def test_a_long_wait_takes_no_memory(node: Node, server: StoreServer) -> None:
    """A trickle: each event comes by itself, and for every one that waits others are done."""
    shut = Shut(server, "sudo")
    for number in range(600):
        node.receive([sudo(number) if number % 3 == 0 else line(number)], at=number)
        node.until(lambda number=number: node.sender.ledger.behind == number + 1)  # type: ignore[misc]
    node.until(lambda: node.sender.ledger.waiting == 0)
    assert len(node.sender.ledger._open) < 130
    assert node.check()["queued"] == 200
    shut.names.clear()
    node.drain()
    assert node.check()["stored"] == 600
    assert len(server.documents) == 600


def test_one_of_two_opens(node: Node, server: StoreServer) -> None:
    shut = Shut(server, "sudo", "syslog")
    lines = [(sudo, su, line)[n % 3](n) for n in range(3_000)]
    node.receive(lines)
    node.until(lambda: node.sender.ledger.away().total() == 2_000)
    shut.names.discard("sudo")
    node.until(lambda: stored(server)["sudo"] == 1_000)
    node.check()
    shut.names.clear()
    node.drain()
    assert node.check()["stored"] == 3_000


def test_a_crash_in_between_costs_conflicts_only(node: Node, server: StoreServer) -> None:
    shut = Shut(server, "sudo")
    node.receive(mixed(3_000))
    node.until(lambda: node.sender.ledger.away()["sudo"] == 2_000)
    node.crash()
    assert node.sender.ledger.away()["sudo"] == 0
    node.until(lambda: node.sender.ledger.away()["sudo"] == 2_000)
    shut.names.clear()
    node.drain()
    events = node.check()
    assert (events["stored"], events["duplicate"]) == (2_000, 1_000)
    assert stored(server) == {"sshd": 1_000, "sudo": 2_000}


def test_what_the_disk_loses_meanwhile_is_told_and_the_rest_is_sent(
    node: Node, server: StoreServer, caplog: pytest.LogCaptureFixture
) -> None:
    shut = Shut(server, "sudo")
    node.receive(mixed(900))
    node.until(lambda: node.sender.ledger.held["sudo"] == 600)
    (segment,) = listing(node.state / "spool")
    data = bytearray(segment.path.read_bytes())
    data[100] ^= 1
    segment.path.write_bytes(data)
    shut.names.clear()
    node.drain()
    node.check()
    assert 300 < stored(server)["sudo"] < 600
    assert stored(server)["sshd"] == 300
    assert any("not what they were" in one.message for one in caplog.records)


def test_a_loss_that_may_not_be_told_waits_alone(node: Node, server: StoreServer) -> None:
    shut = Shut(server, "collector")
    node.sender._told_at = -1e9
    node.spool.count(INPUT, "dropped: too long", 3)
    node.receive([line(n) for n in range(10)])
    node.until(lambda: stored(server)["sshd"] == 10 and shut.asked >= 3)
    assert node.check()["queued"] == 1
    shut.names.clear()
    node.drain()
    node.until(lambda: node.sender.ledger.waiting == 0)
    assert stored(server)["collector"] == 1


def test_at_the_limit_of_the_spool_inputs_wait(server: StoreServer, tmp_path: Path) -> None:
    """The mark moves over settled frames only: what waits keeps all behind it on the disk."""
    shut = Shut(server, "sudo")
    store = ElasticStore(server.url)
    node = Node(tmp_path / "state", store)
    node.spool.close()
    node.spool = node.sender.spool = Spool.open(tmp_path / "state" / "spool", limit=100_000)
    node.sender._reading._spool = node.spool
    node.receive([sudo(0)])
    received = 500
    with suppress(SpoolFull):
        while received < 100_000:
            node.receive([line(received + n) for n in range(500)], at=received)
            received += 500
    assert node.spool.full
    node.until(lambda: stored(server)["sshd"] == received - 500)
    figures = node.sender.figures()
    assert "limit" in figures["spool"]["problem"]
    assert figures["closed"]["sudo"]["waiting"] == 1
    shut.names.clear()
    node.drain()
    node.spool.commit()  # what an input waited with
    node.drain()
    assert node.check()["stored"] == received + 1
    assert node.sender.figures()["spool"]["problem"] == ""
    node.stop()
    store.close()


def test_a_patient_append_is_told_and_the_rest_is_stored(server: StoreServer) -> None:
    Shut(server, "sudo")
    store = ElasticStore(server.url)
    events = [
        {"event.id": str(n), "event.dataset": name, "@timestamp": iso(NOON)}
        for n, name in enumerate(["sshd", "sudo", "sshd"])
    ]
    with pytest.raises(Denied, match="may not do this") as raised:
        store.append(events, now=NOON)
    assert [one and one.outcome for one in raised.value.verdicts] == ["created", None, "created"]
    assert list(raised.value.closed) == ["sudo"]
    assert len(server.bulks) == 1, "nobody waits for what needs a person"
    store.close()


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(5))
def test_whatever_opens_and_closes_everything_is_stored_once(
    node: Node, server: StoreServer, seed: int
) -> None:
    chance = random.Random(seed)
    kinds: dict[str, Callable[[int], bytes]] = {"sudo": sudo, "sshd": line, "su": su}
    names = ["sudo", "sshd", "syslog"]
    shut = Shut(server)
    total = 0
    for _round in range(25):
        shut.names = {name for name in names if chance.random() < 0.4}
        shut.how = chance.choice([DENIED, BLOCKED, AWAY, FULL])
        count = chance.choice([1, 3, 50, 700])
        lines = [chance.choice(list(kinds.values()))(total + n) for n in range(count)]
        batch = Batch(
            INPUT, lines, 1_795_348_800_000_000, "f", "/a", "", list(range(total, total + count))
        )
        node.spool.append([batch])
        node.spool.commit()
        total += count
        until = node.clock.seconds + chance.choice([2, 40, 200])
        node.until(lambda until=until: node.clock.seconds > until)  # type: ignore[misc]
        node.check()
        if chance.random() < 0.15:
            node.crash()
    shut.names = set()
    node.drain()
    events = node.check()
    assert events["stored"] + events["duplicate"] == total
    assert len(server.documents) == total
    assert node.letters.count() == 0


def test_status_and_doctor_say_it_loudly(server: StoreServer, tmp_path: Path) -> None:
    shut = Shut(server, "sudo")
    with flow(tmp_path, {"url": server.url}) as node:
        text = b"\n".join([sudo(1), line(2), sudo(3), b""])
        (tmp_path / "auth.log").write_bytes(text)
        node.start()
        deadline = time.monotonic() + 60
        while not ((found := status.read(node.state)) and found["closed"] and stored(server)):
            assert time.monotonic() < deadline, node.said()
            time.sleep(0.1)
        ran = soc("collect", "status", home=tmp_path)
        assert ran.code == 1
        assert "sudo is not sent since" in ran.err
        assert "2 events of it wait: security_exception" in ran.err
        assert "stays in the spool" in ran.err
        checks = soc("doctor", home=tmp_path).documents
        (check,) = [one for one in checks if one["check"] == "collector"]
        assert check["state"] == "failure"
        assert "sudo is not sent" in check["detail"]
        shut.names.clear()
        node.written = 3
        node.stop()
        node.settle()
        assert soc("collect", "status", home=tmp_path).code == 0
    assert stored(server) == {"sudo": 2, "sshd": 1}
