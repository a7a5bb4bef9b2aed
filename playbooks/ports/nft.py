"""The packet filter of Linux through the program `nft`: argument lists and JSON, never a shell."""

import ipaddress
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import orjson

from playbooks.ports.packet_filter import Item
from playbooks.values import Address
from soc.errors import StoreError

TIMEOUT: Final = 10.0
"""Seconds that `nft` may take."""

_ESTABLISHED: Final = "01"
_PROC: Final = ("/proc/net/tcp", "/proc/net/tcp6")

Sockets = Callable[[], Sequence[str]]
"""Return the lines of the kernel's table of TCP sockets."""
Read = Callable[[Sequence[str]], bytes]
"""Run one of the listing commands; the argument is what comes after `nft -j`."""


class NftView:
    """Reads the packet filter; what it holds can do nothing but list."""

    def __init__(self, tables: Read, sockets: Sockets) -> None:
        self._list = tables
        self._sockets = sockets

    def table(self, family: str, name: str) -> list[Item] | None:
        """Return a table and all that is in it, None when there is no such table."""
        wanted = {"family": family, "name": name}
        tables = [item.get("table", {}) for item in _items(self._list(["tables"]))]
        if not any(wanted.items() <= table.items() for table in tables):
            return None
        return _items(self._list(["table", family, name]))

    def connections(self) -> list[tuple[Address, int]]:
        """Return the other end's address and our port of the open TCP connections."""
        return [peer for line in self._sockets() if (peer := _peer(line))]


class Nft(NftView):
    """Reads and changes the packet filter with `nft`, started as given (argv prefix)."""

    def __init__(self, command: Sequence[str], sockets: Sockets | None = None) -> None:
        super().__init__(_lister(command), sockets or read_sockets)
        self._command = tuple(command)

    def submit(self, commands: Sequence[Item]) -> None:
        """Carry out all commands in one transaction, or none and raise StoreError."""
        _run([*self._command, "-j", "-f", "-"], orjson.dumps({"nftables": list(commands)}))


def view(command: Sequence[str], sockets: Sockets | None = None) -> NftView:
    """Return a view of the packet filter that holds no way to change it."""
    return NftView(_lister(command), sockets or read_sockets)


def read_sockets() -> list[str]:
    """Return the kernel's table of TCP sockets, a line each; nothing where there is none."""
    lines: list[str] = []
    for name in _PROC:
        try:
            lines += Path(name).read_text("ascii").splitlines()[1:]
        except OSError:
            continue
    return lines


def _lister(command: Sequence[str]) -> Read:
    prefix = [*command, "-j", "list"]
    return lambda what: _run([*prefix, *what], b"")


def _run(argv: Sequence[str], text: bytes) -> bytes:
    try:
        done = subprocess.run(  # noqa: S603 - a list, no shell; the values were parsed
            list(argv), input=text, capture_output=True, timeout=TIMEOUT, check=False
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise StoreError(
            f"the packet filter does not answer: {error}",
            where=argv[0],
            hint="install nftables and run as root, or with CAP_NET_ADMIN",
        ) from error
    if done.returncode != 0:
        said = (done.stderr or done.stdout).decode("utf-8", "replace").strip()
        first = said.splitlines()[0] if said else f"exit code {done.returncode}"
        raise StoreError(f"the packet filter refuses: {first[:300]}", where=argv[0])
    return done.stdout


def _items(text: bytes) -> list[Item]:
    try:
        found: Any = orjson.loads(text)["nftables"]
        return [item for item in found if isinstance(item, Mapping)]
    except (orjson.JSONDecodeError, KeyError, TypeError) as error:
        raise StoreError("the packet filter's answer cannot be read") from error


def _peer(line: str) -> tuple[Address, int] | None:
    fields = line.split()
    if len(fields) < 4 or fields[3] != _ESTABLISHED:
        return None
    local, remote = fields[1].rpartition(":"), fields[2].rpartition(":")
    # The kernel prints addresses as 32-bit words in the machine's byte order (proc_net_tcp.txt).
    words = (int(remote[0][at : at + 8], 16) for at in range(0, len(remote[0]), 8))
    packed = b"".join(word.to_bytes(4, sys.byteorder) for word in words)
    found = ipaddress.ip_address(packed)
    mapped = found.ipv4_mapped if isinstance(found, ipaddress.IPv6Address) else None
    return mapped or found, int(local[2], 16)
