"""What this machine cannot do without: its addresses, gateways and name servers, from Linux.

Nothing is started and nobody is asked: /proc and resolv.conf say it. A file that cannot be read
is an error where blocking is real: a never-touch list with a hole is no list.
"""

import ipaddress
import re
import socket
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from soc.errors import ContentError, StoreError

Entry = tuple[str, str]
"""An address or a network, and what it is."""

_SERVERS: Final = ("etc/resolv.conf", "run/systemd/resolve/resolv.conf")
"""The second names the real servers where the first one names systemd-resolved on this machine."""
_NUMERIC: Final = re.compile(r"(?:^|\.)(?:\d+|0x[0-9a-f]*)\.?$", re.IGNORECASE)
"""Names that end in a number: no host is called so, and a misread address is a hole in the list."""
_GATEWAY: Final = 0x2
"""RTF_GATEWAY of linux/route.h."""


def own(root: Path = Path("/")) -> list[Entry]:
    """Return this machine's addresses, gateways and name servers; raise StoreError."""
    net = root / "proc" / "net"
    return [
        *((text, "this machine") for text in _addresses4(_text(net / "fib_trie"))),
        *((text, "this machine") for text in _addresses6(_optional(net / "if_inet6"))),
        *((text, "a gateway") for text in _gateways4(_text(net / "route"))),
        *((text, "a gateway") for text in _gateways6(_optional(net / "ipv6_route"))),
        *(
            (text, "a name server")
            for path in _SERVERS
            for text in _servers(_optional(root / path))
        ),
    ]


def host_of(url: str, what: str) -> list[Entry]:
    """Return the addresses of a URL's host, nothing for a store on this machine."""
    host = urlsplit(url).hostname if "://" in url else None
    return [(address, what) for address in resolve(host)] if host else []


def resolve(name: str) -> list[str]:
    """Return the addresses of a name, or the address or network itself; raise ContentError."""
    try:
        return [str(ipaddress.ip_network(name, strict=False))]
    except ValueError:
        pass
    if _NUMERIC.search(name):  # the C library reads 010 as octal 8, and 10.1 as 10.0.0.1
        raise ContentError(
            f"the never-touch list has an entry that cannot be read: {name[:80]!r}",
            hint="an address is written as 192.0.2.10 or 2001:db8::10, without leading zeros",
        )
    try:
        found = socket.getaddrinfo(name, None, proto=socket.IPPROTO_TCP)
    except (OSError, UnicodeError) as error:
        raise ContentError(
            f"the never-touch list names a host without an address: {name[:80]!r}",
            hint="write its address, or mend the name service",
        ) from error
    return sorted({str(entry[4][0]) for entry in found})


def _addresses4(text: str) -> Iterator[str]:
    # Lines of the routing trie: "|-- 10.0.0.1", and below it "/32 host LOCAL".
    leaf = ""
    for line in text.splitlines():
        words = line.split()
        if words[:1] == ["|--"] and len(words) > 1:
            leaf = words[1]
        elif words[:3] == ["/32", "host", "LOCAL"]:
            yield leaf


def _addresses6(text: str) -> Iterator[str]:
    for line in text.splitlines():
        yield str(ipaddress.IPv6Address(bytes.fromhex(line.split()[0])))


def _gateways4(text: str) -> Iterator[str]:
    for line in text.splitlines()[1:]:
        words = line.split()
        if len(words) > 3 and int(words[3], 16) & _GATEWAY:
            # 32-bit words in the machine's byte order, as in proc_net_tcp.txt.
            yield str(ipaddress.IPv4Address(int(words[2], 16).to_bytes(4, sys.byteorder)))


def _gateways6(text: str) -> Iterator[str]:
    for line in text.splitlines():
        words = line.split()
        if len(words) > 8 and int(words[8], 16) & _GATEWAY:
            yield str(ipaddress.IPv6Address(bytes.fromhex(words[4])))


def _servers(text: str) -> Iterator[str]:
    for line in text.splitlines():
        words = line.split()
        if words[:1] == ["nameserver"] and len(words) > 1:
            yield words[1].partition("%")[0]


def _text(path: Path) -> str:
    try:
        return path.read_text("ascii", "replace")
    except OSError as error:
        raise StoreError(
            f"this machine's own addresses cannot be read: {error.strerror}",
            where=str(path),
            hint="nothing is blocked without knowing them",
        ) from error


def _optional(path: Path) -> str:
    try:
        return path.read_text("ascii", "replace")
    except FileNotFoundError:
        return ""
    except OSError:
        return _text(path)
