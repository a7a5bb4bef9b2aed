"""The action against the real `nft` in network namespaces that the test makes (as root)."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from playbooks.actions import nftables_block
from playbooks.effect import Request
from playbooks.engine import Engine, Origin
from playbooks.load import loads
from playbooks.plan import make
from playbooks.ports.nft import Nft, view
from playbooks.ports.packet_filter import PacketFilter
from playbooks.ports.simulated_filter import SimulatedFilter
from playbooks.runs import open_runs
from soc.model.time import now
from tests.data import ROOT
from tests.playbooks.kit import SIMPLE, Clock, Machine

pytestmark = pytest.mark.slow

ATTACKER, VICTIM = "203.0.113.9", "203.0.113.1"
ATTACKER6, VICTIM6 = "2001:db8:1::9", "2001:db8:1::1"
PORT = 8080
SERVER = """
import socket, sys
family = socket.AF_INET6
server = socket.create_server(("::", int(sys.argv[1])), family=family, dualstack_ipv6=True)
print("ready", flush=True)
while True:
    connection, _ = server.accept()
    connection.close()
"""
CLIENT = """
import socket, sys
try:
    socket.create_connection((sys.argv[1], int(sys.argv[2])), timeout=0.6).close()
except OSError:
    sys.exit(1)
"""


def missing() -> str:
    """Return why there can be no namespaces here, "" if there can."""
    if not (shutil.which("nft", path=PATH) and shutil.which("ip", path=PATH)):
        return "nft or ip is missing: apt-get install nftables iproute2"
    if os.geteuid() != 0:
        return "network namespaces need root"
    return ""


PATH = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"
needs_namespaces = pytest.mark.skipif(
    bool(missing()) and os.environ.get("CI") != "true", reason=missing()
)


def sh(*argv: str) -> str:
    done = subprocess.run(argv, capture_output=True, text=True, env={"PATH": PATH}, check=False)
    assert done.returncode == 0, (argv, done.stderr)
    return done.stdout


@dataclass
class Lab:
    """Two namespaces and a cable between them: the victim filters and serves, the other attacks."""

    victim: str
    attacker: str

    def nft(self) -> list[str]:
        return [str(shutil.which("ip", path=PATH)), "netns", "exec", self.victim, "nft"]

    def rules(self) -> str:
        return sh(*self.nft(), "list", "ruleset")

    def connects(self, address: str = VICTIM, port: int = PORT) -> bool:
        argv = ["ip", "netns", "exec", self.attacker, sys.executable, "-c", CLIENT]
        argv += [address, str(port)]
        return subprocess.run(argv, env={"PATH": PATH}, check=False).returncode == 0

    def engine(self, machine: Machine) -> Engine:
        port = Nft(self.nft(), sockets=list)
        views = {"packet_filter": view(self.nft(), sockets=list)}
        ports = {"packet_filter": port}
        return replace(machine.engine, views=views, ports=ports, clock=now)


@pytest.fixture
def lab() -> Iterator[Lab]:
    assert not missing(), missing()
    names = [f"soc{os.getpid()}{side}" for side in "va"]
    made = Lab(*names)
    try:
        for name in names:
            sh("ip", "netns", "add", name)
            sh("ip", "-n", name, "link", "set", "lo", "up")
        sh(
            "ip",
            "-n",
            names[0],
            "link",
            "add",
            "v0",
            "type",
            "veth",
            "peer",
            "a0",
            "netns",
            names[1],
        )
        ends = ((names[0], "v0", VICTIM, VICTIM6), (names[1], "a0", ATTACKER, ATTACKER6))
        for name, link, four, six in ends:
            sh("ip", "-n", name, "address", "add", f"{four}/24", "dev", link)
            sh("ip", "-n", name, "address", "add", f"{six}/64", "dev", link, "nodad")
            sh("ip", "-n", name, "link", "set", link, "up")
        argv = ["ip", "netns", "exec", names[0], sys.executable, "-c", SERVER, str(PORT)]
        with subprocess.Popen(argv, env={"PATH": PATH}, stdout=subprocess.PIPE) as server:
            assert server.stdout
            assert server.stdout.readline() == b"ready\n"
            yield made
            server.kill()
    finally:
        for name in names:
            subprocess.run(["ip", "netns", "del", name], env={"PATH": PATH}, check=False)


@needs_namespaces
@pytest.mark.parametrize(
    ("target", "address"),
    [
        (ATTACKER, VICTIM),
        ("203.0.113.8/30", VICTIM),
        (ATTACKER6, VICTIM6),
        ("2001:db8:1::8/125", VICTIM6),
        (f"tcp/{PORT}", VICTIM),
    ],
)
def test_a_connection_works_is_cut_and_works_again(
    lab: Lab, tmp_path: Path, target: str, address: str
) -> None:
    machine = Machine(tmp_path)
    engine = lab.engine(machine)
    sh(*lab.nft(), "add", "table", "inet", "theirs")  # what others have is not ours to touch
    before = lab.rules()
    playbook = loads(SIMPLE, "try.yml")
    plan = make(playbook, {"__address__": target}, engine.views, machine.guard, now())
    assert lab.rules() == before
    assert lab.connects(address)
    report = engine.start("run-1", playbook, plan.inputs, plan.hash, Origin("lan"))
    assert report.status == "done"
    assert not lab.connects(address)
    assert lab.connects(VICTIM6 if address == VICTIM else VICTIM) is (target[:3] != "tcp")
    assert engine.undo("run-1", "lan")[0][1] == ""
    assert lab.connects(address)
    assert lab.rules() == before


@needs_namespaces
def test_the_kernel_ends_the_lease_with_nothing_running(lab: Lab, tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    engine = lab.engine(machine)
    before = lab.rules()
    playbook = loads(SIMPLE.replace("lease: 600", "lease: 3"), "try.yml")
    plan = make(playbook, {"__address__": ATTACKER}, engine.views, machine.guard, now())
    engine.start("run-1", playbook, plan.inputs, plan.hash, Origin("lan"))
    machine.journal.close()
    assert not lab.connects()
    time.sleep(3)
    assert lab.connects()
    later = lab.engine(Machine(tmp_path))
    assert later.reconcile("lan") == []
    assert lab.rules() == before


@needs_namespaces
def test_a_table_that_was_there_before_stays(lab: Lab, tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    engine = lab.engine(machine)
    playbook = loads(SIMPLE, "try.yml")
    plan = make(playbook, {"__address__": ATTACKER}, engine.views, machine.guard, now())
    commands: Any = [
        command
        for command in plan.as_dict()["effects"][0]["do"]
        if "element" not in str(command) and "transient" not in str(command)
    ]
    Nft(lab.nft()).submit(commands)
    before = lab.rules()
    plan = make(playbook, {"__address__": ATTACKER}, engine.views, machine.guard, now())
    engine.start("run-1", playbook, plan.inputs, plan.hash, Origin("lan"))
    assert not lab.connects()
    engine.undo("run-1", "lan")
    assert lab.rules() == before
    assert "table inet metrosoc" in before


@needs_namespaces
def test_extend_and_restore_against_the_kernel(lab: Lab, tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    engine = lab.engine(machine)
    playbook = loads(SIMPLE, "try.yml")
    plan = make(playbook, {"__address__": ATTACKER}, engine.views, machine.guard, now())
    engine.start("run-1", playbook, plan.inputs, plan.hash, Origin("lan"))
    (claim,) = engine.ledger.claims()
    engine.extend(claim, 7000, "lan")
    target = nftables_block.target({"target": ATTACKER})
    left = nftables_block.observe(target, engine.views["packet_filter"]).data["here"]["expires"]
    assert 6990 <= left <= 7000
    sh(*lab.nft(), "flush", "ruleset")
    assert lab.connects()
    (drift,) = engine.reconcile("lan")
    assert drift.done == "restored"
    assert not lab.connects()


class WithoutNames(SimulatedFilter):
    """Lists what nft lists where /etc/protocols is missing: numbers."""

    def table(self, family: str, name: str) -> Any:
        listed = json.dumps(super().table(family, name))
        return json.loads(listed.replace('"concat": ["tcp", 99]', '"concat": [6, 99]'))


def test_a_port_is_blocked_where_protocols_have_no_names() -> None:
    clock = Clock(datetime.now(UTC))
    simulated = WithoutNames(clock)
    request = Request(nftables_block.target({"target": "tcp/99"}), 30, clock())
    change = nftables_block.plan(request, nftables_block.observe(request.target, simulated))
    nftables_block.apply(request, change, simulated)
    assert "[6, 99]" in json.dumps(simulated.table("inet", "metrosoc"))
    assert nftables_block.verify(request, simulated).ok
    assert not nftables_block.plan(
        request, nftables_block.observe(request.target, simulated)
    ).needed
    nftables_block.revert(request, change, simulated)
    assert simulated.table("inet", "metrosoc") is None


@needs_namespaces
def test_the_simulated_filter_answers_as_the_real_one(lab: Lab) -> None:
    clock = Clock(datetime.now(UTC))
    real, simulated = Nft(lab.nft(), sockets=list), SimulatedFilter(clock)
    both: tuple[PacketFilter, PacketFilter] = (real, simulated)
    story = [("203.0.113.7", 60), ("203.0.113.64/26", 90), ("tcp/99", 30), ("203.0.113.7", 600)]
    for text, seconds in story:
        target = nftables_block.target({"target": text})
        request = Request(target, seconds, clock())
        states = [nftables_block.observe(target, each) for each in both]
        assert states[0].summary == states[1].summary
        changes = [nftables_block.plan(request, state) for state in states]
        assert replace(changes[0], cuts_off=()) == replace(changes[1], cuts_off=())
        for each, change in zip(both, changes, strict=True):
            nftables_block.apply(request, change, each)
            assert nftables_block.verify(request, each).ok
    for text, seconds in story:
        request = Request(nftables_block.target({"target": text}), seconds, clock())
        change = nftables_block.plan(request, nftables_block.observe(request.target, real))
        for each in both:
            nftables_block.revert(request, change, each)
            nftables_block.revert(request, change, each)
            assert not nftables_block.verify(request, each).ok
    assert real.table("inet", "metrosoc") is None
    assert simulated.table("inet", "metrosoc") is None


KILLED = """
import os, signal, sys
from pathlib import Path
from tests.playbooks.actions.test_nftables_block import ATTACKER, Lab, Machine, started
lab, limit, count = Lab(sys.argv[1], sys.argv[2]), int(sys.argv[4]), 0
machine = Machine(Path(sys.argv[3]))
engine = lab.engine(machine)
def step(frame, event, argument):
    global count
    if "playbooks" in frame.f_code.co_filename:
        count += 1
        if count == limit:
            os.kill(os.getpid(), signal.SIGKILL)
sys.setprofile(step)
started(engine, machine)
sys.setprofile(None)
print(count)
"""


def started(engine: Engine, machine: Machine) -> None:
    playbook = loads(SIMPLE, "try.yml")
    plan = make(playbook, {"__address__": ATTACKER}, engine.views, machine.guard, now())
    engine.start("run-1", playbook, plan.inputs, plan.hash, Origin("lan"))


@needs_namespaces
@pytest.mark.slow
def test_killed_anywhere_the_kernel_holds_the_block_once(lab: Lab, tmp_path: Path) -> None:
    def killed(limit: int) -> tuple[Path, subprocess.CompletedProcess[str]]:
        folder = tmp_path / str(limit)
        folder.mkdir()
        argv = [sys.executable, "-c", KILLED, lab.victim, lab.attacker, str(folder), str(limit)]
        environ = {"PATH": PATH, "PYTHONPATH": str(ROOT)}
        done = subprocess.run(argv, capture_output=True, text=True, env=environ, check=False)
        return folder, done

    before = lab.rules()
    _, whole = killed(0)
    sh(*lab.nft(), "flush", "ruleset")
    places = 15
    for number in range(places):
        folder, done = killed(1 + number * (int(whole.stdout) - 1) // (places - 1))
        assert done.returncode == -signal.SIGKILL, done.stderr
        machine = Machine(folder)
        engine = lab.engine(machine)
        for run in open_runs(list(machine.journal.records())):
            assert engine.resume(run).status == "done"
        if not list(machine.journal.records()):
            started(engine, machine)
        assert not lab.connects()
        assert lab.rules().count(ATTACKER) == 1
        assert [trouble for _, trouble in engine.undo("run-1", "lan")] == [""]
        assert lab.rules() == before
        machine.journal.close()
