"""Real servers for tests: find the program, or skip; in CI install it, or fail."""

import os
import shutil
import socket
import subprocess
import time
from importlib.util import find_spec
from pathlib import Path

import pytest

PATHS = os.pathsep.join((os.environ.get("PATH", os.defpath), "/usr/sbin", "/sbin"))


def program(name: str, package: str) -> str:
    """Return the path of a program of a Debian package."""
    found = shutil.which(name, path=PATHS)
    if found is None and os.environ.get("CI") == "true":
        _install(package)
        found = shutil.which(name, path=PATHS)
    if found is None:
        raise missing(f"{name} is missing: apt-get install {package}")
    return found


def optional(module: str, extra: str) -> None:
    """Go on only with a package of one of our extras."""
    if find_spec(module) is None:
        raise missing(f"{module} is missing: pip install 'metrosoc[{extra}]'")


def missing(what: str) -> BaseException:
    """Return what to raise: elsewhere the test is skipped, in CI nothing may be missing."""
    if os.environ.get("CI") == "true":
        return pytest.fail.Exception(what)
    return pytest.skip.Exception(what, allow_module_level=True)


def _install(package: str) -> None:
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        return
    environ = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for command in (["update"], ["install", "-qy", "--no-install-recommends", package]):
        subprocess.run(["apt-get", "-q", *command], env=environ, check=False, capture_output=True)


def free_port() -> int:
    """Return a port of the loopback that nobody listens on just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def wait_for(port: int, process: subprocess.Popen[bytes]) -> None:
    """Return when the server answers; fail the test when it has ended or takes over 10 s."""
    for _ in range(200):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        if process.poll() is not None:
            break
        time.sleep(0.05)
    pytest.fail(f"{process.args!r} does not listen on {port}")


def stop(process: subprocess.Popen[bytes]) -> None:
    """End a server that we started, and wait for it."""
    process.terminate()
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def certificate(folder: Path) -> tuple[Path, Path]:
    """Return a certificate for the loopback that trusts itself, and its key."""
    chain, key = folder / "server.crt", folder / "server.key"
    subprocess.run(
        [
            *(program("openssl", "openssl"), "req", "-x509", "-newkey", "rsa:2048", "-nodes"),
            *("-days", "2", "-subj", "/CN=loopback", "-keyout", str(key), "-out", str(chain)),
            *("-addext", "subjectAltName=IP:127.0.0.1,DNS:localhost"),
        ],
        check=True,
        capture_output=True,
    )
    return chain, key
