"""Hostile text to values and back: what goes into a command was parsed and written anew by us.

Strict on purpose: one spelling per value. Octal, hexadecimal and short forms of addresses, zone
ids, digits of other scripts, blanks around and IPv4 inside IPv6 are refused, not repaired.
"""

import ipaddress
import re
from typing import Final

from playbooks.effect import Network
from soc.errors import InputError

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

_ADDRESS: Final = re.compile(r"[0-9A-Fa-f:.]{2,45}")
_PREFIX: Final = re.compile(r"[0-9]|[1-9][0-9]{1,2}")
_PORT: Final = re.compile(r"(tcp|udp)/([1-9][0-9]{0,4})")
_NUMBER: Final = re.compile(r"-?(?:0|[1-9][0-9]{0,17})")
_EMBEDDED: Final = tuple(
    ipaddress.IPv6Network(text)
    for text in ("::/96", "::ffff:0:0/96", "::ffff:0:0:0/96", "64:ff9b::/96", "2002::/16")
)
"""IPv6 networks whose addresses stand for an IPv4 one: mapped, compatible, NAT64, 6to4."""


def address(text: str) -> Address:
    """Return an IP address; raise InputError for every unusual way to write one."""
    try:
        if _ADDRESS.fullmatch(text) is None:
            raise ValueError
        found = ipaddress.ip_address(text)
    except ValueError:
        raise _wrong(text, "an IP address", "203.0.113.9 or 2001:db8::9") from None
    if isinstance(found, ipaddress.IPv6Address) and any(found in net for net in _EMBEDDED):
        raise _wrong(text, "a plain IP address", "write the IPv4 address itself")
    return found


def network(text: str) -> Network:
    """Return an address or a network in CIDR form; raise InputError for anything else."""
    base, slash, prefix = text.partition("/")
    start = address(base)
    if slash and not _PREFIX.fullmatch(prefix):
        raise _wrong(text, "a network", "203.0.113.0/24")
    try:
        return ipaddress.ip_network(f"{start}/{prefix}" if slash else str(start))
    except ValueError:
        raise _wrong(text, "a network", "no bits may be set behind the prefix") from None


def service(text: str) -> tuple[str, int]:
    """Return the protocol and port of `tcp/8080`; raise InputError for anything else."""
    found = _PORT.fullmatch(text)
    if found is None or int(found[2]) > 65535:
        raise _wrong(text, "a port", "tcp/8080 or udp/53")
    return found[1], int(found[2])


def whole_number(text: str) -> int:
    """Return a whole number in plain decimal digits; raise InputError for anything else."""
    if _NUMBER.fullmatch(text) is None:
        raise _wrong(text, "a whole number", "digits 0 to 9 only")
    return int(text)


def _wrong(text: str, wanted: str, hint: str) -> InputError:
    return InputError(f"{text[:80]!r} is not {wanted}", hint=hint)
