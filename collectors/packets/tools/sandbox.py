"""The sandbox: where a program runs that reads hostile packets and is not memory-safe.

bubblewrap gives it its own namespaces: no network, nothing but /usr to read, nowhere to write, no
other process, no rights (uid nobody, no capabilities), and it dies with us. prlimit bounds what is
left: memory, processor time, processes, files. Our side bounds time and output, and kills.
"""

import os
import selectors
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from shutil import which
from typing import Final

NOBODY: Final = 65534
_PIECE: Final = 1 << 16
_COMPLAINT: Final = 2000


@dataclass(frozen=True, slots=True)
class Limits:
    """What a program may cost: seconds by the clock, bytes of address space, bytes it may say."""

    seconds: float
    memory: int
    output: int


@dataclass(frozen=True, slots=True)
class Output:
    """What a program said, and why it was ended or failed ("" when it ended well)."""

    data: bytes
    problem: str


def jailed(command: Sequence[str], limits: Limits, environ: Mapping[str, str]) -> list[str]:
    """Return the command line that runs a command in the sandbox; `command[0]` is a path."""
    jail = [which("bwrap") or "bwrap", "--unshare-all", "--die-with-parent", "--new-session"]
    jail += ["--uid", str(NOBODY), "--gid", str(NOBODY), "--cap-drop", "ALL", "--clearenv"]
    for name, value in environ.items():
        jail += ["--setenv", name, value]
    jail += ["--ro-bind", "/usr", "/usr", "--dev", "/dev"]
    for folder in ("/bin", "/lib", "/lib64"):
        place = Path(folder)
        if place.is_symlink():
            jail += ["--symlink", os.readlink(place), folder]
        else:
            jail += ["--ro-bind-try", folder, folder]
    own = str(Path(command[0]).resolve().parent)
    if not own.startswith(("/usr/", "/bin", "/lib")):
        jail += ["--ro-bind", own, own]
    jail += ["--remount-ro", "/dev", "--remount-ro", "/", "--chdir", "/"]
    bounds = [f"--as={limits.memory}", f"--cpu={int(limits.seconds) + 1}", "--nproc=8"]
    return [*jail, "prlimit", *bounds, "--nofile=64", "--fsize=0", "--core=0", "--", *command]


def works() -> str:
    """Return "" when programs can be jailed here, else why not."""
    if which("bwrap") is None:
        return "bubblewrap is not installed"
    environ = {"PATH": "/usr/bin:/bin"}
    limits = Limits(10, 1 << 30, 4096)
    return run(jailed(["/usr/bin/true"], limits, environ), b"", limits).problem


def run(
    command: Sequence[str], data: bytes, limits: Limits, environ: Mapping[str, str] | None = None
) -> Output:
    """Run a program with `data` as its standard input; kill it at a limit, with its children.

    What starts with bubblewrap runs as nobody when we are root. Never raises for what it does.
    """
    jail = os.path.basename(command[0]) == "bwrap" and os.geteuid() == 0
    descriptor = os.memfd_create("input")
    try:
        with os.fdopen(os.dup(descriptor), "wb") as stream:
            stream.write(data)
        os.lseek(descriptor, 0, os.SEEK_SET)
        try:
            process = subprocess.Popen(  # noqa: S603 - the commands are ours, no shell
                list(command),
                stdin=descriptor,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                cwd="/",
                env=dict(environ or {}),
                start_new_session=True,
                user=NOBODY if jail else None,
                group=NOBODY if jail else None,
                extra_groups=() if jail else None,
            )
        except OSError as error:
            return Output(b"", f"it does not start: {error.strerror or error}")
    finally:
        os.close(descriptor)
    with process:
        try:
            return _listen(process, limits)
        finally:
            _kill(process)


def _kill(process: "subprocess.Popen[bytes]") -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    process.kill()


def _listen(process: "subprocess.Popen[bytes]", limits: Limits) -> Output:
    """Read what a process says until it ends or has said or taken too much."""
    assert process.stdout is not None  # noqa: S101 - for the type checker
    assert process.stderr is not None  # noqa: S101
    deadline = time.monotonic() + limits.seconds
    said, complaint, total = bytearray(), bytearray(), 0
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ, said)
        selector.register(process.stderr, selectors.EVENT_READ, complaint)
        while selector.get_map():
            left = deadline - time.monotonic()
            if left <= 0:
                return Output(bytes(said), f"it took more than {limits.seconds:.0f} s")
            for key, _ in selector.select(left):
                piece = os.read(key.fd, _PIECE)
                if not piece:
                    selector.unregister(key.fileobj)
                    continue
                total += len(piece)
                if key.data is said or len(complaint) < _COMPLAINT:
                    key.data.extend(piece)
                if total > limits.output:
                    return Output(bytes(said), f"it said more than {limits.output} bytes")
    try:
        code = process.wait(max(deadline - time.monotonic(), 0.1))
    except subprocess.TimeoutExpired:
        return Output(bytes(said), f"it took more than {limits.seconds:.0f} s")
    return Output(bytes(said), _ending(code, bytes(complaint)) if code else "")


def _ending(code: int, complaint: bytes) -> str:
    lines = complaint[:_COMPLAINT].decode("utf-8", "backslashreplace").strip().splitlines()
    how = f"it was ended by signal {-code}" if code < 0 else f"it ended with code {code}"
    return f"{how}: {lines[-1]}" if lines else how
