"""Row 9: a store that is down: the spool takes everything, memory stays flat, age goes first."""

from itertools import pairwise

from collectors.sender.sender import WAITING
from tests.faults.sending import Node, line
from tests.faults.servers.store_server import Exchange, StoreServer, status

ROUNDS = 30


def test_five_minutes_without_a_server(node: Node, server: StoreServer) -> None:
    """Time is compressed: the clock of the sender runs, nobody waits."""
    server.down = True
    for round_ in range(ROUNDS):
        node.receive([line(1_000 * round_ + n) for n in range(1_000)], at=1_000 * round_)
        until = 300 / ROUNDS * (round_ + 1)
        node.until(lambda until=until: node.clock.seconds > until)  # type: ignore[misc]
        assert node.sender.ledger.waiting <= 2_000, "what is not sent is not read"
        assert node.check()["stored"] == 0
    assert node.sender.figures()["trouble"] != ""
    assert node.spool.status()["pending"] == 1_000 * ROUNDS
    server.down = False
    order: list[int] = []

    def noted(exchange: Exchange) -> tuple[int, bytes]:
        order.append(min(int(one["process"]["pid"]) for one in exchange.documents))
        return exchange.carry_out()

    server.always = noted
    node.drain()
    assert node.check()["stored"] == 1_000 * ROUNDS
    assert len(server.documents) == 1_000 * ROUNDS
    assert max(a - b for a, b in pairwise(order)) <= 1_000, "oldest first"
    assert node.sender.figures()["trouble"] == ""


def test_a_busy_server_bounds_what_is_in_memory(node: Node, server: StoreServer) -> None:
    server.always = status(429)
    node.receive([line(n) for n in range(30_000)])
    node.until(lambda: node.sender.ledger.waiting >= WAITING)
    node.until(lambda: len(server.bulks) > 60)
    assert node.sender.ledger.waiting < WAITING + 1_000
    server.always = None
    node.drain()
    assert node.check()["stored"] == 30_000
