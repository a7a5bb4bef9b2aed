"""Durable receive: `python -m tests.bench.receive [--frames N]`.

TCP syslog of 256 bytes a frame over loopback, until the last one is synced to the disk: our spool
(octet counting and LF, one connection and twenty), and rsyslog as durable as it can be: a pure disk
queue with synced files. CPU seconds are the receiver's own, user and system; a rate "per core" is
frames by these. rsyslog writes its output file too, and syncs its queue for every enqueued batch;
the spool only receives. The target is 100,000 frames a second of one core.
"""

import argparse
import os
import platform
import random
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

from tests.data import ROOT

TARGET = 100_000
SIZE = 256
SERVER = """
import asyncio, os, signal, sys
from pathlib import Path
from collectors.inputs.syslog_tcp import SyslogTcp
from collectors.spool.receive import take_in
from collectors.spool.spool import Spool

spool = Spool.open(Path(sys.argv[1]))
wanted = int(sys.argv[2])

async def main():
    stop = asyncio.Event()
    net = SyslogTcp("net", "127.0.0.1", 0, spool.count)
    task = asyncio.create_task(take_in(spool, [net], stop))
    while not net.port:
        await asyncio.sleep(0.01)
    print(net.port, flush=True)
    while spool.committed < wanted:
        await asyncio.sleep(0.02)
        spool.settle(max(spool.committed - 100_000, 0))
    print("done", spool.committed, spool.status()["bytes"], flush=True)
    sys.stdin.read()
    stop.set()
    await task

asyncio.run(main())
"""
RSYSLOG = """\
global(workDirectory="{folder}" maxMessageSize="8k")
module(load="imtcp")
main_queue(queue.type="Disk" queue.filename="main" queue.syncQueueFiles="on"
           queue.checkpointInterval="100" queue.maxDiskSpace="1g")
input(type="imtcp" address="127.0.0.1" port="{port}")
action(type="omfile" file="{folder}/out.log")
"""


@dataclass(frozen=True, slots=True)
class Figure:
    """What one run took: seconds by the clock and of CPU, and MiB resident along the way."""

    frames: int
    wall: float
    cpu: float
    resident: Sequence[int] = ()

    def row(self, name: str) -> str:
        """Return a line of the table."""
        rate, core = self.frames / self.wall, self.frames / self.cpu
        quarter = self.resident[len(self.resident) // 4] if self.resident else 0
        last = self.resident[-1] if self.resident else 0
        return f"{name:<34}{core:>12,.0f}{rate:>12,.0f}{quarter:>12}{last:>10}"


def messages(count: int) -> list[bytes]:
    """Return syslog messages of SIZE bytes that no compressor finds too easy."""
    rng, made = random.Random(20261127), []
    for number in range(count):
        text = (
            f"<134>1 2026-11-22T08:{number // 60 % 60:02}:{number % 60:02}.{number:06}+07:00"
            f" web{rng.randrange(50):03} nginx {rng.randrange(9999)} - - 10.3.{rng.randrange(255)}."
            f'{rng.randrange(255)} "GET /dich-vu/ho-so/{rng.randrange(10**6)} HTTP/1.1" 200 '
            f'{rng.randrange(90000)} "Mozilla/5.0 (X11; Linux x86_64)" {rng.randbytes(20).hex()} '
        )
        made.append((text + "-" * SIZE)[:SIZE].encode())
    return made


def send(port: int, payloads: Sequence[bytes], rounds: int) -> None:
    """Send each payload `rounds` times over a connection of its own."""

    def one(payload: bytes) -> None:
        with socket.create_connection(("127.0.0.1", port)) as link:
            for _round in range(rounds):
                link.sendall(payload)

    threads = [threading.Thread(target=one, args=(payload,)) for payload in payloads]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def measured(
    process: psutil.Process, work: Callable[[], None], done: Callable[[], bool], frames: int
) -> Figure:
    """Return what a process needs for some work."""
    before, began, resident = process.cpu_times(), time.perf_counter(), []
    sending = threading.Thread(target=work)
    sending.start()
    while not done():
        resident.append(process.memory_info().rss >> 20)
        time.sleep(0.05)
    wall, after = time.perf_counter() - began, process.cpu_times()
    sending.join()
    cpu = after.user - before.user + after.system - before.system
    return Figure(frames, wall, cpu, resident)


def spool(folder: Path, payloads: Sequence[bytes], frames: int, rounds: int) -> Figure:
    """Measure our spool."""
    process = subprocess.Popen(
        [sys.executable, "-c", SERVER, folder / "spool", str(frames)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert process.stdout is not None
    port, over = int(process.stdout.readline()), threading.Event()
    out = process.stdout
    waiting = threading.Thread(target=lambda: (out.readline(), over.set()))
    waiting.start()
    figure = measured(
        psutil.Process(process.pid), lambda: send(port, payloads, rounds), over.is_set, frames
    )
    process.communicate(b"")
    waiting.join()
    return figure


def rsyslog(folder: Path, payload: bytes, frames: int) -> Figure | None:
    """Measure rsyslog with a disk queue that is synced; None where it is not installed."""
    program = shutil.which("rsyslogd", path=f"{os.environ['PATH']}:/usr/sbin")
    if program is None:
        return None
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    (folder / "rsyslog.conf").write_text(RSYSLOG.format(folder=folder, port=port))
    command = [program, "-n", "-f", folder / "rsyslog.conf", "-i", folder / "pid"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        for _try in range(100):
            time.sleep(0.1)
            with socket.socket() as link:
                if link.connect_ex(("127.0.0.1", port)) == 0:
                    break
        written = folder / "out.log"

        def done() -> bool:
            with_head = frames * (SIZE - 60)  # it writes its own format, about as long
            return written.exists() and (
                written.stat().st_size > with_head and written.read_bytes().count(b"\n") >= frames
            )

        return measured(psutil.Process(process.pid), lambda: send(port, [payload], 1), done, frames)
    finally:
        process.terminate()
        process.wait()


def main() -> None:
    """Measure and print a table."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--frames", type=int, default=1_000_000)
    arguments.add_argument("--rsyslog-frames", type=int, default=20_000)
    options = arguments.parse_args()
    share = 50_000
    rounds = max(options.frames // share, 1)
    frames = rounds * share
    made = messages(share)
    lines = b"".join(one + b"\n" for one in made)
    octets = b"".join(b"%d %s" % (len(one), one) for one in made)
    part = share // 20
    twenty = [b"".join(one + b"\n" for one in made[at : at + part]) for at in range(0, share, part)]
    print(f"{platform.machine()} Python {platform.python_version()}, {SIZE} B a frame, loopback")
    print(f"{'':<34}{'frames/s':>12}{'frames/s':>12}{'MiB after':>12}{'MiB at':>10}")
    print(f"{'receiver':<34}{'per core':>12}{'by clock':>12}{'a quarter':>12}{'the end':>10}")
    runs = {
        "spool, LF, 1 connection": [lines],
        "spool, octet counts, 1 connection": [octets],
        "spool, LF, 20 connections": twenty,
    }
    for name, payloads in runs.items():
        with tempfile.TemporaryDirectory(dir=Path.cwd()) as folder:
            print(spool(Path(folder), payloads, frames, rounds).row(name), flush=True)
    with tempfile.TemporaryDirectory(dir=Path.cwd()) as folder:
        sent = b"".join(one + b"\n" for one in made[: options.rsyslog_frames])
        peer = rsyslog(Path(folder), sent, options.rsyslog_frames)
    print(peer.row("rsyslog, synced disk queue, LF") if peer else "rsyslog is not installed")
    print(f"target {TARGET:,} frames/s per core")


if __name__ == "__main__":
    main()
