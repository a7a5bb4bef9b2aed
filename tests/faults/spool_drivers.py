"""Processes that receive into a spool and tell on standard output what is acknowledged."""

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from collectors.spool.spool import Spool
from tests.data import ROOT

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
    spool.close()
    assert sorted(found) == list(range(settled, end))
    numbers = [int(line.split()[1]) for line in acked if line.startswith(b"frame")]
    assert all(number < end for number in numbers), "an acknowledged frame is lost"
    if end:
        assert position == {"at": end - 1}
