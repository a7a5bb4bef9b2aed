"""What the action gives the program `nft`, and what it makes of its answers."""

import socket
import sys
from datetime import UTC, datetime
from pathlib import Path

import orjson
import pytest

from playbooks.actions import nftables_block
from playbooks.effect import Request
from playbooks.load import find
from playbooks.plan import make
from playbooks.ports.nft import Nft, NftView, view
from soc.errors import InputError, StoreError
from soc.model.time import now
from tests.playbooks.kit import Machine
from tests.playbooks.test_guard import UNUSUAL

pytestmark = pytest.mark.slow

SPY = """#!{python}
import json, sys
with open({log!r}, "a") as log:
    log.write(json.dumps([sys.argv[1:], sys.stdin.read() if "-f" in sys.argv else ""]) + "\\n")
if "-f" not in sys.argv:
    print('{{"nftables": []}}')
"""


def spy(folder: Path) -> tuple[list[str], Path]:
    program, log = folder / "nft", folder / "log"
    program.write_text(SPY.format(python=sys.executable, log=str(log)), "utf-8")
    program.chmod(0o700)
    return [str(program)], log


def test_the_program_gets_fixed_arguments_and_json_only(tmp_path: Path) -> None:
    command, log = spy(tmp_path)
    port = Nft(command, sockets=list)
    for text in ("203.0.113.9", "2001:DB8::0:9", "198.51.100.0/24", "udp/53"):
        target = nftables_block.target({"target": text})
        request = Request(target, 60, datetime.now(UTC))
        nftables_block.apply(
            request, nftables_block.plan(request, nftables_block.observe(target, port)), port
        )
    calls = [orjson.loads(line) for line in log.read_text("utf-8").splitlines()]
    assert {tuple(argv) for argv, _ in calls} == {("-j", "list", "tables"), ("-j", "-f", "-")}
    given = [orjson.loads(text)["nftables"][-1]["add"]["element"] for _, text in calls if text]
    assert [element["elem"][0]["elem"]["val"] for element in given] == [
        "203.0.113.9",
        "2001:db8::9",
        {"prefix": {"addr": "198.51.100.0", "len": 24}},
        {"concat": ["udp", 53]},
    ]


def test_hostile_values_never_reach_the_program(tmp_path: Path) -> None:
    command, log = spy(tmp_path)
    reader, playbook = view(command), find("block-source-address")
    machine = Machine(tmp_path)
    for text in UNUSUAL:
        with pytest.raises(InputError):
            make(
                playbook,
                {"__source_address__": text},
                {"packet_filter": reader},
                machine.guard,
                now(),
            )
    assert not log.exists()


def test_a_program_that_fails_hangs_or_is_missing_is_an_error(tmp_path: Path) -> None:
    def saying(text: str) -> Nft:
        program = tmp_path / "nft"
        program.write_text(f"#!/bin/sh\n{text}\n", "utf-8")
        program.chmod(0o700)
        return Nft([str(program)], sockets=list)

    for text in (
        "exit 3",
        "echo no >&2; exit 1",
        "echo '{'",
        "echo []",
        "echo '{\"nftables\": 1}'",
    ):
        with pytest.raises(StoreError, match="packet filter"):
            saying(text).table("inet", "metrosoc")
    with pytest.raises(StoreError, match="install nftables"):
        Nft(["/nonexistent/nft"], sockets=list).table("inet", "metrosoc")


def test_open_connections_are_read_from_the_kernel() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        with socket.create_connection(("127.0.0.1", port)), server.accept()[0]:
            assert ("127.0.0.1", port) in {(str(a), p) for a, p in view(["nft"]).connections()}
    mapped = "0: 0000000000000000FFFF00000100007F:1F90 0000000000000000FFFF0000097100CB:C001 01 0"
    reader = NftView(lambda _what: b"", lambda: [mapped, "junk", mapped.replace(" 01 ", " 0A ")])
    assert [(str(a), p) for a, p in reader.connections()] == [("203.0.113.9", 8080)]
