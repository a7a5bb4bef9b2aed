"""Syslog over TCP with real sockets, a real spool and the real event loop."""

import asyncio
import random
import socket
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from collectors.inputs import syslog_tcp
from collectors.inputs.syslog_tcp import SyslogTcp
from collectors.spool.receive import take_in
from collectors.spool.record import Record
from collectors.spool.spool import Spool
from soc.errors import InputError


class World:
    """A spool that takes in what comes to a port on loopback."""

    def __init__(self, spool: Spool) -> None:
        self.spool = spool
        self.stop = asyncio.Event()
        self.input = SyslogTcp("net", "127.0.0.1", 0, spool.count)

    def records(self) -> list[Record]:
        return [record for _number, record in self.spool.read(0, 1_000_000)]

    def raws(self) -> list[bytes]:
        return [record.frame.raw for record in self.records()]

    async def listening(self) -> None:
        while not self.input.port:
            await asyncio.sleep(0.005)

    async def until(self, what: Callable[[], bool], seconds: float = 10.0) -> None:
        async with asyncio.timeout(seconds):
            while not what():
                await asyncio.sleep(0.01)

    async def connect(self, source: str = "127.0.0.1") -> socket.socket:
        made = socket.socket()
        made.bind((source, 0))
        made.setblocking(False)
        await asyncio.get_running_loop().sock_connect(made, ("127.0.0.1", self.input.port))
        return made

    async def send(self, data: bytes, *, close: bool = True) -> socket.socket:
        made = await self.connect()
        await asyncio.get_running_loop().sock_sendall(made, data)
        if close:
            made.close()
        return made

    def counted(self, what: str) -> int:
        found = self.spool.status()["inputs"].get("net", {})
        return int(found.get(what, 0))


def run(folder: Path, story: Callable[[World], Awaitable[None]]) -> Spool:
    """Play a story with the input running; return the closed spool."""
    spool = Spool.open(folder / "spool")

    async def play() -> None:
        world = World(spool)
        task = asyncio.create_task(take_in(spool, [world.input], world.stop))
        try:
            await world.listening()
            await story(world)
        finally:
            world.stop.set()
            await task

    asyncio.run(play())
    spool.close()
    return spool


def test_both_framings_from_several_connections_arrive_with_their_peer(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        await world.send(b"<13>a\n<13>b\n")
        await world.send(b"5 <13>c5 <13>d")
        await world.until(lambda: world.spool.committed == 4)
        assert sorted(world.raws()) == [b"<13>a", b"<13>b", b"<13>c", b"<13>d"]
        assert {(r.peer, r.input, r.path) for r in world.records()} == {("127.0.0.1", "net", "")}
        assert len({(r.origin, r.frame.position) for r in world.records()}) == 4

    run(tmp_path, story)


def test_a_stop_keeps_what_was_sent_before_also_half_a_message(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        open_ones.append(await world.send(b"<13>whole\n<13>half", close=False))
        await asyncio.sleep(0.1)

    open_ones: list[socket.socket] = []
    run(tmp_path, story)
    open_ones[0].close()
    spool = Spool.open(tmp_path / "spool")
    assert [r.frame.raw for _n, r in spool.read(0, 9)] == [b"<13>whole", b"<13>half"]
    spool.close()


def test_messages_too_long_are_cut_flagged_and_counted(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        await world.send(b"<13>" + b"x" * (3 << 20) + b"\n<13>next\n")
        await world.until(lambda: world.spool.committed == 2)
        long, after = world.records()
        assert (len(long.frame.raw), long.frame.truncated) == (1 << 20, True)
        assert (after.frame.raw, after.frame.truncated) == (b"<13>next", False)
        assert world.counted("truncated") == 1

    run(tmp_path, story)


def test_a_slow_message_is_ended_and_others_are_not_disturbed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(syslog_tcp, "SLOW", 0.5)
    monkeypatch.setattr(syslog_tcp, "LOOK", 0.05)

    async def story(world: World) -> None:
        loop = asyncio.get_running_loop()
        idle = await world.send(b"<13>idle is fine\n", close=False)
        slow = await world.connect()
        gone = False
        for _byte in range(30):
            try:
                await loop.sock_sendall(slow, b"x")
            except OSError:
                gone = True
                break
            await asyncio.sleep(0.1)
        assert gone
        await loop.sock_sendall(idle, b"<13>still here\n")
        await world.until(lambda: b"<13>still here" in world.raws())
        idle.close()
        slow.close()
        assert world.counted("connections timed out") == 1
        (cut,) = [raw for raw in world.raws() if raw.startswith(b"x")]
        assert len(cut) < 20

    run(tmp_path, story)


def test_a_silent_connection_is_closed_in_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(syslog_tcp, "IDLE", 0.3)
    monkeypatch.setattr(syslog_tcp, "LOOK", 0.05)

    async def story(world: World) -> None:
        silent = await world.connect()
        async with asyncio.timeout(5):
            assert await asyncio.get_running_loop().sock_recv(silent, 1) == b""
        silent.close()

    run(tmp_path, story)


def test_two_thousand_idle_connections_leave_room_for_another(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        crowd = [await world.connect(f"127.0.1.{number % 200 + 1}") for number in range(2000)]
        await world.send(b"<13>through the crowd\n")
        await world.until(lambda: world.raws() == [b"<13>through the crowd"])
        for one in crowd:
            one.close()

    syslog_tcp._allow_files(5000)
    run(tmp_path, story)


def test_one_peer_cannot_take_every_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(syslog_tcp, "PER_PEER", 5)

    async def story(world: World) -> None:
        loop = asyncio.get_running_loop()
        many = [await world.connect("127.0.0.9") for _number in range(5)]
        refused = await world.connect("127.0.0.9")
        async with asyncio.timeout(5):
            assert await loop.sock_recv(refused, 1) == b""
        await world.send(b"<13>another peer\n")
        await world.until(lambda: world.raws() == [b"<13>another peer"])
        await world.until(lambda: world.counted("connections refused") == 1)
        for one in many:
            one.close()
        await asyncio.sleep(0.1)
        again = await world.connect("127.0.0.9")
        await loop.sock_sendall(again, b"<13>again\n")
        await world.until(lambda: b"<13>again" in world.raws())
        again.close()
        refused.close()

    run(tmp_path, story)


def test_refused_connections_are_counted_for_good_though_nothing_is_received(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(syslog_tcp, "CONNECTIONS", 2)
    monkeypatch.setattr(syslog_tcp, "LOOK", 0.2)

    async def story(world: World) -> None:
        many = [await world.connect() for _number in range(7)]
        await world.until(lambda: world.counted("connections refused") == 5)
        many += [await world.connect() for _number in range(2)]
        await asyncio.sleep(0.05)  # refused, and the input is stopped before it looks again
        for one in many:
            one.close()

    run(tmp_path, story)
    spool = Spool.open(tmp_path / "spool")
    assert spool.status()["inputs"] == {"net": {"connections refused": 7}}
    spool.close()


@pytest.mark.slow
def test_a_full_spool_makes_the_sender_wait_and_goes_on_by_itself(tmp_path: Path) -> None:
    rng = random.Random(20261127)
    spool = Spool.open(tmp_path / "spool", limit=2_000_000)
    messages = [b"<13>%05d " % n + rng.randbytes(500).hex().encode() for n in range(20_000)]

    async def play() -> None:
        world = World(spool)
        task = asyncio.create_task(take_in(spool, [world.input], world.stop))
        await world.listening()
        sending = asyncio.create_task(world.send(b"".join(m + b"\n" for m in messages)))
        await world.until(lambda: spool.full)
        await asyncio.sleep(0.3)
        assert not sending.done(), "the sender has to wait"
        received = []
        async with asyncio.timeout(60):
            while len(received) < len(messages):
                page = spool.read(spool.checkpoint, 2000)
                received += [record.frame.raw for _number, record in page]
                spool.settle(spool.checkpoint + len(page))
                await asyncio.sleep(0.01)
        assert received == messages
        world.stop.set()
        await task

    monkeypatch = pytest.MonkeyPatch()
    monkeypatch.setattr("collectors.spool.tail.SEGMENT", 200_000)
    monkeypatch.setattr("collectors.spool.receive.RETRY", 0.05)
    asyncio.run(play())
    monkeypatch.undo()
    spool.close()


def test_an_address_in_use_is_said(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        spool = Spool.open(tmp_path / "spool")
        port = taken.getsockname()[1]
        there = SyslogTcp(f"tcp://127.0.0.1:{port}", "127.0.0.1", port, spool.count)
        with pytest.raises(InputError, match="cannot be listened on"):
            asyncio.run(take_in(spool, [there], asyncio.Event()))
        spool.close()
