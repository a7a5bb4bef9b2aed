"""The sandbox: what a program in it cannot do, and that none of it outlives its limit."""

import os
import socket
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from collectors.packets.tools import sandbox
from collectors.packets.tools.sandbox import Limits, Output, jailed, run

LIMITS = Limits(20, 512 << 20, 1 << 20)


@pytest.fixture(scope="module", autouse=True)
def _jail() -> None:
    if why := sandbox.works():
        if os.environ.get("CI") == "true":
            pytest.fail(why)
        pytest.skip(why)


@pytest.fixture
def scripts() -> Iterator[Path]:
    """Return a folder that nobody can read, unlike pytest's own."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


def inside(scripts: Path, text: str, limits: Limits = LIMITS, data: bytes = b"") -> Output:
    script = scripts / "stub"
    script.write_text("#!/bin/bash\n" + text)
    script.chmod(0o755)
    return run(jailed([str(script)], limits, {"PATH": "/usr/bin:/bin"}), data, limits)


def processes(word: str) -> list[str]:
    found = []
    for place in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = place.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if word in line:
            found.append(line)
    return found


def test_it_runs_as_nobody_and_reads_its_input(scripts: Path) -> None:
    output = inside(scripts, "id -u; id -g; cat", data=b"frames")
    assert output == Output(b"65534\n65534\nframes", "")


def test_there_is_no_network(scripts: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        socket.create_connection(("127.0.0.1", port)).close()
        said = inside(scripts, f"echo hello > /dev/tcp/127.0.0.1/{port} && echo CONNECTED").data
        assert b"CONNECTED" not in said
        server.accept()[0].close()
        server.settimeout(0.2)
        with pytest.raises(TimeoutError):
            server.accept()


def test_no_secret_is_readable_and_nothing_is_writable(scripts: Path) -> None:
    secret = scripts.parent / f"{scripts.name}-secret"
    secret.write_text("SECRET")
    secret.chmod(0o644)
    try:
        said = inside(
            scripts,
            f"cat /etc/shadow /etc/passwd /proc/1/environ {secret}\n"
            f"for f in / /tmp/ /dev/ /dev/shm/ /usr/ /var/tmp/ {scripts}/ {scripts.parent}/; do\n"
            "  (echo x > ${f}soc-was-here) 2>/dev/null && echo WROTE $f\ndone\nls /",
        ).data
    finally:
        secret.unlink()
    assert b"root:" not in said
    assert b"SECRET" not in said
    assert b"WROTE" not in said
    assert b"home" not in said
    assert not (scripts / "soc-was-here").exists()


def test_no_environment_is_handed_on(scripts: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOC_SECRET", "hunter2")
    assert b"hunter2" not in inside(scripts, "env").data


def test_a_hanging_program_is_killed_with_its_children(scripts: Path) -> None:
    began = time.monotonic()
    output = inside(
        scripts,
        "trap '' TERM INT HUP\necho one\nsleep 7261 & sleep 7261",
        Limits(0.7, 512 << 20, 1 << 20),
    )
    assert output.data == b"one\n"
    assert "took more than" in output.problem
    assert time.monotonic() - began < 5
    time.sleep(0.2)
    assert processes("sleep 7261") == []


def test_a_fork_bomb_stays_small_and_dies(scripts: Path) -> None:
    output = inside(
        scripts,
        "for n in $(seq 40); do sleep 7262 & echo started; done; sleep 7262",
        Limits(1.5, 512 << 20, 1 << 20),
    )
    assert 0 < output.data.count(b"started") <= 8
    time.sleep(0.2)
    assert processes("sleep 7262") == []


@pytest.mark.parametrize("place", ["1", "2"])
def test_endless_output_is_cut_off(scripts: Path, place: str) -> None:
    began = time.monotonic()
    output = inside(scripts, f"yes endless >&{place}", Limits(20, 512 << 20, 100_000))
    assert "said more than 100000 bytes" in output.problem
    assert len(output.data) < 300_000
    assert time.monotonic() - began < 5


def test_memory_and_processor_time_are_bounded(scripts: Path) -> None:
    greedy = inside(scripts, "head -c 400M /dev/zero | tail", Limits(10, 64 << 20, 1 << 20))
    assert b"exhausted" in greedy.data or greedy.problem
    assert len(greedy.data) < 1000
    busy = inside(scripts, "ulimit -t; ulimit -f; ulimit -c", Limits(3, 512 << 20, 1 << 20))
    assert busy.data == b"4\n0\n0\n"


def test_a_failure_says_why(scripts: Path) -> None:
    assert inside(scripts, "echo no such thing >&2; exit 3").problem == (
        "it ended with code 3: no such thing"
    )
    assert "does not start" in run(["/nonexistent/x"], b"", LIMITS).problem
    assert "signal" in inside(scripts, "kill -SEGV $$").problem or inside(
        scripts, "kill -SEGV $$"
    ).problem.startswith("it ended with code 139")
