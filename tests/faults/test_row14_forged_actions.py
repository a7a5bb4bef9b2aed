"""Row 14: what a record says never becomes an action of its own in a bulk request."""

from tests.faults.sending import Node
from tests.faults.servers.store_server import Exchange, StoreServer

FORGED = '{"delete":{"_index":"logs-soc.sshd-default","_id":"1"}}'
RECORDS = [
    b'2026-11-22T08:00:00+07:00 gate sshd[1]: "}\\n' + FORGED.encode() + b"\\n",
    b'2026-11-22T08:00:00+07:00 gate"},"_id":"x sshd[2]: \r' + FORGED.encode(),
    b'{"event": {"dataset": "a\\"}}\\n'
    + FORGED.replace('"', '\\"').encode()
    + b'", "id": "x\\ny"}}',
    "2026-11-22T08:00:00+07:00 gate sshd[3]: \u2028\u2029\x85".encode(),
]


def test_a_body_has_as_many_actions_as_events(node: Node, server: StoreServer) -> None:
    seen: list[int] = []

    def counted(exchange: Exchange) -> tuple[int, bytes]:
        lines = exchange.body.rstrip(b"\n").split(b"\n")
        seen.append(len(lines))
        assert all(set(one) == {"_index", "_id"} for one in exchange.actions)
        return exchange.carry_out()

    server.always = counted
    node.receive(RECORDS)
    node.drain()
    assert seen == [2 * len(RECORDS)]
    assert node.check()["stored"] == len(RECORDS)
    assert all(index.startswith("logs-soc.") for index, _ in server.documents)
