"""What the values of Windows events become in ECS; every function returns None for "nothing"."""

import ipaddress
from collections.abc import Callable, Iterator
from typing import Any, Final

Convert = Callable[[str], Any]
NOTHING: Final = frozenset({"", "-"})
"""What Windows writes for an unknown value."""


def text(value: str) -> str | None:
    """Return the value, None for `-` and the empty one."""
    return None if value in NOTHING else value


def texts(value: str) -> list[str] | None:
    """Return the value as a list of one."""
    return None if value in NOTHING else [value]


def leaf(value: str) -> str | None:
    """Return what stands behind the last separator of a Windows or Linux path."""
    return text(value[max(value.rfind("\\"), value.rfind("/")) + 1 :])


def folder(value: str) -> str | None:
    """Return what stands before the last separator of a path."""
    cut = max(value.rfind("\\"), value.rfind("/"))
    return value[:cut] if cut > 0 else None


def extension(value: str) -> str | None:
    """Return a file name's extension in lower case without the dot."""
    stem, dot, last = (leaf(value) or "").rpartition(".")
    return last.lower() if stem and dot and last else None


def number(value: str) -> int | None:
    """Return a decimal or 0x number that fits into 64 bits."""
    if len(value) > 20:
        return None
    try:
        found = int(value, 16 if value[:2] in ("0x", "0X") else 10)
    except ValueError:
        return None
    return found if 0 <= found < 2**63 else None


def port(value: str) -> int | None:
    """Return a port; Windows writes 0 where there is none."""
    found = number(value)
    return found if found and found < 65536 else None


def ip(value: str) -> str | None:
    """Return an address in its canonical form, an IPv4-mapped one as IPv4."""
    try:
        found = ipaddress.ip_address(value)
    except ValueError:
        return None
    mapped = getattr(found, "ipv4_mapped", None)
    return str(mapped or found)


def ips(value: str) -> list[str] | None:
    """Return the addresses of Sysmon's QueryResults: `type:  5 name;::ffff:192.0.2.7;`."""
    found = [address for part in value.split(";") if (address := ip(part.strip()))]
    return list(dict.fromkeys(found)) or None


def account(value: str) -> str | None:
    r"""Return the name of `DOMAIN\name`."""
    return text(value.rpartition("\\")[2])


def domain(value: str) -> str | None:
    r"""Return the domain of `DOMAIN\name`."""
    return text(value.rpartition("\\")[0])


def lower(value: str) -> str | None:
    """Return the value in lower case."""
    return text(value.lower())


def direction(value: str) -> str | None:
    """Return the direction of Sysmon's `Initiated`: who asked for the connection."""
    return {"true": "egress", "false": "ingress"}.get(value.lower())


def boolean(value: str) -> bool | None:
    """Return true or false."""
    return {"true": True, "false": False}.get(value.lower())


def hive(value: str) -> str | None:
    r"""Return the hive of `HKLM\...`."""
    return text(value.partition("\\")[0])


def key(value: str) -> str | None:
    """Return a registry path without its hive."""
    return text(value.partition("\\")[2])


def hash_of(algorithm: str) -> Convert:
    """Return a converter that finds one hash in `SHA256=...,IMPHASH=...`, in lower case."""

    def find(value: str) -> str | None:
        return next((h for name, h in _hashes(value) if name == algorithm), None)

    return find


def _hashes(value: str) -> Iterator[tuple[str, str]]:
    for part in value.split(",", 16)[:16]:
        name, equals, digest = part.strip().partition("=")
        if equals and digest:
            yield name.upper(), digest.lower()


def threat_path(value: str) -> str | None:
    r"""Return the first path of Defender's `file:_C:\x.exe; process:_pid:42`."""
    first = value.partition(";")[0]
    return text(first.partition(":_")[2] or first)


def failed(value: str) -> str | None:
    """Return the outcome that an NTSTATUS or Kerberos status stands for."""
    found = number(value)
    if found is None:
        return None
    return "success" if found == 0 else "failure"
