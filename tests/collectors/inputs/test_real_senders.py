"""Real programs send to the TCP input: logger and rsyslog, both framings."""

import os
import shutil
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from collectors.spool.spool import Spool
from tests.faults.spool_drivers import RECEIVE, start


def program(name: str) -> str:
    found = shutil.which(name, path=f"{os.environ['PATH']}:/usr/sbin")
    if found is None:
        if os.environ.get("CI") == "true":
            pytest.fail(f"{name} is not installed")
        pytest.skip(f"{name} is not installed")
    return found


@contextmanager
def receiving(home: Path) -> Iterator[int]:
    """Run a receiver; yield its port; stop it as an admin does."""
    process = start(RECEIVE, home / "spool", home / "*.none")
    assert process.stdout is not None
    port = int(process.stdout.readline().split()[1])
    reading = threading.Thread(target=process.stdout.read)
    reading.start()
    try:
        yield port
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
    finally:
        process.kill()
        process.wait()
        reading.join()
        process.stdout.close()
        if process.stderr is not None:
            process.stderr.close()


def received(home: Path) -> list[bytes]:
    spool = Spool.open(home / "spool")
    found = [record.frame.raw for _number, record in spool.read(0, 100_000)]
    spool.close()
    return found


@pytest.mark.parametrize("framing", [[], ["--octet-count"]])
@pytest.mark.parametrize("form", ["--rfc3164", "--rfc5424"])
def test_logger(tmp_path: Path, framing: list[str], form: str) -> None:
    command = [program("logger"), "-n", "127.0.0.1", "-T", form, *framing, "-t", "gate"]
    with receiving(tmp_path) as port:
        for text in ("Đăng nhập thất bại", "second\ttab"):
            subprocess.run([*command, "-P", str(port), text], check=True, timeout=20)
    first, second = received(tmp_path)
    assert first.startswith(b"<13>")
    assert first.endswith("Đăng nhập thất bại".encode())
    assert b"second" in second


@pytest.mark.parametrize("framing", ["traditional", "octet-counted"])
def test_rsyslog_forwards_and_every_message_arrives_once(tmp_path: Path, framing: str) -> None:
    door = tmp_path / "log.sock"
    with receiving(tmp_path) as port:
        (tmp_path / "rsyslog.conf").write_text(
            f'global(workDirectory="{tmp_path}")\n'
            'module(load="imuxsock" SysSock.Use="off")\n'
            f'input(type="imuxsock" Socket="{door}")\n'
            f'action(type="omfwd" target="127.0.0.1" port="{port}" protocol="tcp"'
            f' TCP_Framing="{framing}" template="RSYSLOG_SyslogProtocol23Format")\n'
        )
        server = subprocess.Popen(
            [
                program("rsyslogd"),
                *("-n", "-f", tmp_path / "rsyslog.conf", "-i", tmp_path / "rsyslog.pid"),
            ],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            deadline = time.monotonic() + 20
            while not door.exists() and time.monotonic() < deadline:
                time.sleep(0.05)
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as link:
                link.connect(str(door))
                for number in range(2000):
                    link.send(b"<13>Nov 22 08:00:00 test: number %d" % number)
            wanted = 2000
            while time.monotonic() < deadline and len(on_disk(tmp_path)) < wanted:
                time.sleep(0.2)
        finally:
            server.terminate()
            server.wait()
    numbers = sorted(int(raw.rsplit(b" ", 1)[1]) for raw in received(tmp_path))
    assert numbers == list(range(2000))


def on_disk(home: Path) -> list[int]:
    from collectors.spool.inspection import frames

    return [number for number, _record in frames(home / "spool", 100_000)]
