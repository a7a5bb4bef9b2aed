"""Processes that receive into a spool and tell on standard output what is acknowledged."""

import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from collectors.spool.spool import Spool
from tests.data import ROOT

SEED = 20261127

RECEIVE = """
import asyncio, os, signal, sys
from pathlib import Path
from collectors.inputs.following import Following
from collectors.inputs.syslog_tcp import SyslogTcp
from collectors.spool import tail
from collectors.spool.receive import take_in
from collectors.spool.spool import Spool

tail.SEGMENT = 200_000
folder, pattern = Path(sys.argv[1]), sys.argv[2]
spool = Spool.open(folder)

class Telling:
    def __init__(self, one):
        self.one, self.name = one, one.name
    async def run(self, receive, stop):
        async def told(batches, position):
            await receive(batches, position)
            acked = b"".join(raw + b"\\n" for batch in batches for raw in batch.raws)
            while acked:
                acked = acked[os.write(1, acked):]
        await self.one.run(told, stop)

async def main():
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    net = SyslogTcp("net", "127.0.0.1", 0, spool.count)
    inputs = [Telling(net), Telling(Following(pattern, spool.position(pattern)))]
    task = asyncio.create_task(take_in(spool, inputs, stop))
    while not net.port and not task.done():
        await asyncio.sleep(0.002)
    os.write(1, b"port %d\\n" % net.port)
    await task

asyncio.run(main())
spool.close()
"""
"""Takes syslog on a port, which it prints, and follows files, until SIGTERM."""

COMMIT = """
import os, sys, time
from pathlib import Path
from collectors.spool import tail
from collectors.spool.record import Batch
from collectors.spool.spool import Spool
from soc.errors import StoreError

tail.SEGMENT = 700
folder, rounds, pause = Path(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])
spool = Spool.open(folder, clock=iter(range(10**9)).__next__)
begin = spool.committed
for number in range(begin, begin + rounds):
    frame = b"frame %06d " % number + b"x%d" % (number * 7919) * 9
    spool.append([Batch("in", [frame], 1)], ("in", {"at": number}))
    while True:
        try:
            mark = spool.commit()
            break
        except StoreError as error:
            os.write(2, str(error).encode() + b"\\n")
            time.sleep(0.01)
    os.write(1, frame + b"\\n")
    if number % 3 == 2:
        spool.settle(spool.checkpoint + 2)
    time.sleep(pause)
spool.close()
os.write(1, b"done\\n")
"""
"""Commits frames one by one, settles two thirds of them; the frames are told by their number."""


def frame(number: int) -> bytes:
    return b"frame %06d " % number + b"x%d" % (number * 7919) * 9


def start(
    driver: str, *arguments: str | Path, under: Sequence[str] = ()
) -> subprocess.Popen[bytes]:
    """Start a driver, perhaps under strace."""
    return subprocess.Popen(
        [*under, sys.executable, "-c", driver, *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"},
    )


def whole_lines(output: bytes) -> list[bytes]:
    """Return the lines that were written whole before the process died."""
    return output.split(b"\n")[:-1]


def contents(folder: Path) -> dict[int, bytes]:
    """Return what waits in a spool, by number; also proves that it opens."""
    spool = Spool.open(folder)
    try:
        found = {n: record.frame.raw for n, record in spool.read(spool.checkpoint, 10_000_000)}
        assert spool.status()["lost"] == 0
    finally:
        spool.close()
    return found


def check_commits(folder: Path, acked: Sequence[bytes]) -> None:
    """Every acknowledged frame that is not settled comes out, none is invented or changed."""
    found = contents(folder)
    assert all(raw == frame(number) for number, raw in found.items())
    spool = Spool.open(folder)
    settled, end = spool.checkpoint, spool.committed
    position = spool.position("in")
    status = spool.status()
    spool.close()
    received = sum(one["received"] for one in status["inputs"].values())
    assert received == status["received"] == settled + status["pending"], "the books"
    assert sorted(found) == list(range(settled, end))
    numbers = [int(line.split()[1]) for line in acked if line.startswith(b"frame")]
    assert all(number < end for number in numbers), "an acknowledged frame is lost"
    if end:
        assert position == {"at": end - 1}


def message(source: str, number: int) -> bytes:
    return f"<13>{source} {number:07} {number * 2654435761 % 2**32:08x}".encode() + b"." * 60


class Client:
    """Sends messages over TCP until the other side dies; what it may have sent is remembered."""

    def __init__(self) -> None:
        self.sent = 0

    def send_until_it_breaks(self, port: int) -> None:
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=5) as link:
            while True:
                numbers = range(self.sent, self.sent + 50)
                self.sent += 50
                octets = self.sent % 100 == 0
                link.sendall(
                    b"".join(
                        b"%d %s" % (len(m), m) if octets else m + b"\n"
                        for m in (message("net", n) for n in numbers)
                    )
                )
                time.sleep(0.001)


def collect(out: IO[bytes], told: bytearray) -> None:
    """Read what a process tells, as it comes."""
    while data := os.read(out.fileno(), 1 << 16):
        told += data


@dataclass(slots=True)
class Seen:
    """What a client sent, how many lines were written, and everything acknowledged."""

    client: Client
    lines: int
    acked: list[bytes]


def receive_while_dying(
    home: Path,
    folder: Path,
    times: int,
    die: Callable[[subprocess.Popen[bytes]], None],
    *,
    late: bool = True,
) -> Seen:
    """Receive into a spool from a TCP client and a file while the receiver dies again and again.

    `die` is called at random moments and must leave the process dead. Without `late` only what
    was acknowledged before it was called counts: a process does not outlive its power, but here
    it runs for some more milliseconds, in which the kernel may say yes to a sync that is too late.
    """
    rng, client, lines, acked = random.Random(SEED), Client(), 0, list[bytes]()
    for _time in range(times):
        process = start(RECEIVE, folder, home / "*.log")
        assert process.stdout is not None
        port = int(process.stdout.readline().split()[1])
        sending = threading.Thread(target=client.send_until_it_breaks, args=(port,))
        told, out = bytearray(), process.stdout
        collecting = threading.Thread(target=collect, args=(out, told))
        sending.start()
        collecting.start()
        until = time.monotonic() + rng.uniform(0.02, 0.4)
        with (home / "a.log").open("ab") as log:
            while time.monotonic() < until:
                log.write(b"".join(message("file", n) + b"\n" for n in range(lines, lines + 20)))
                log.flush()
                lines += 20
                time.sleep(0.002)
        before = bytes(told)
        die(process)
        process.wait()
        sending.join()
        collecting.join()
        acked += whole_lines(bytes(told) if late else before)
        out.close()
        assert process.stderr is not None
        assert b"Traceback" not in process.stderr.read()
        process.stderr.close()
    return Seen(client, lines, acked)


def finish_and_check(home: Path, folder: Path, seen: Seen) -> None:
    """Let a last process read the rest of the file and stop as an admin does; nothing may be
    lost, invented, changed or there twice."""
    process = start(RECEIVE, folder, home / "*.log")
    assert process.stdout is not None
    while message("file", seen.lines - 1) not in seen.acked:
        line = process.stdout.readline()
        assert line, "it ended"
        seen.acked.append(line.rstrip(b"\n"))
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=30)
    assert process.returncode == 0
    spool = Spool.open(folder)
    records = [record for _number, record in spool.read(0, spool.committed)]
    assert spool.status()["lost"] == 0
    spool.close()
    net = Counter(r.frame.raw for r in records if r.input == "net")
    files = {(r.origin, r.frame.position): r.frame.raw for r in records if r.input != "net"}
    told = Counter(one for one in seen.acked if one.startswith(b"<13>net"))
    assert len(told) > 1000
    assert not told - net, "an acknowledged message is lost"
    assert max(net.values()) == 1
    sent = {message("net", number) for number in range(seen.client.sent)}
    whole = {raw for raw in net if raw in sent}
    # A message cut by the death of the connection is kept as far as it came.
    assert all(any(one.startswith(raw) for one in sent) for raw in set(net) - whole)
    assert sorted(files.values()) == [message("file", number) for number in range(seen.lines)]
