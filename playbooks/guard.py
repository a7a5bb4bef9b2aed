"""Safety rules outside every playbook: what is never touched, how much an hour, and the switch.

Asked when a plan is made and again right before each change. Targets arrive parsed, so an
address has one spelling; IPv6 forms of a protected IPv4 address are protected too.
"""

import ipaddress
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

from playbooks.effect import Network, Target
from soc.errors import ContentError, Refused

ALWAYS: Final[tuple[tuple[str, str], ...]] = (
    ("127.0.0.0/8", "this machine's loopback"),
    ("::1/128", "this machine's loopback"),
    ("0.0.0.0/8", "this network (RFC 1122)"),
    ("::/128", "no address (RFC 4291)"),
    ("169.254.0.0/16", "link-local addresses (RFC 3927)"),
    ("fe80::/10", "link-local addresses (RFC 4291)"),
    ("224.0.0.0/4", "multicast"),
    ("ff00::/8", "multicast"),
    ("255.255.255.255/32", "broadcast"),
)
"""What a block would break without hitting anybody else."""

_NAT64: Final = "64:ff9b::/96"


@dataclass(frozen=True, slots=True)
class Protected:
    """A network that is never touched, and what it is."""

    network: Network
    what: str


@dataclass(frozen=True, slots=True)
class Guard:
    """The rules. `stopped` tells whether the kill switch is on; `budget` is changes per hour."""

    protected: Sequence[Protected]
    ports: frozenset[int] = frozenset()
    accounts: frozenset[str] = frozenset()
    budget: int = 20
    stopped: Callable[[], bool] = field(default=lambda: False)

    def check(self, target: Target) -> None:
        """Raise Refused when an effect would hit something that is never touched."""
        for network in target.networks:
            for entry in self.protected:
                if network.version == entry.network.version and network.overlaps(entry.network):
                    raise _refusal(target, f"{entry.network} is {entry.what}")
        for port in target.ports:
            if port in self.ports:
                raise _refusal(target, f"port {port} is on the list")
        for account in target.accounts:
            if account.casefold() in self.accounts:
                raise _refusal(target, f"the account {account} is on the list")

    def running(self) -> None:
        """Raise Refused while the kill switch is on. What is in force may still be ended."""
        if self.stopped():
            raise Refused("the kill switch is on: nothing is changed", hint="soc contain start")

    def allow(self, spent: int) -> None:
        """Raise Refused when one more change is too many; `spent` were made in the last hour."""
        self.running()
        if spent >= self.budget:
            raise Refused(
                f"the budget is spent: {spent} of {self.budget} changes in the last hour",
                hint="wait, or raise [playbooks] budget",
            )


def protect(entries: Iterable[tuple[str, str]]) -> tuple[Protected, ...]:
    """Return what is never touched: `ALWAYS` and these (network or address, what it is).

    Raises ContentError for one that cannot be read: a safety list with a hole is no list.
    """
    found: list[Protected] = []
    for text, what in (*ALWAYS, *entries):
        try:
            network = ipaddress.ip_network(text.partition("%")[0], strict=False)
        except ValueError as error:
            message = f"the never-touch list has an entry that cannot be read: {text[:80]!r}"
            raise ContentError(message, hint="an address or a network in CIDR form") from error
        found += [Protected(each, what) for each in _forms(network)]
    return tuple(dict.fromkeys(found))


def _forms(network: Network) -> list[Network]:
    """Return a network with its IPv6 forms (mapped, NAT64, 6to4), or IPv4 of a mapped one."""
    if isinstance(network, ipaddress.IPv6Network):
        inner = network.network_address.ipv4_mapped
        if inner is None or network.prefixlen < 96:
            return [network]
        return _forms(ipaddress.IPv4Network(f"{inner}/{network.prefixlen - 96}"))
    start, prefix = network.network_address, network.prefixlen
    nat64 = int(ipaddress.IPv6Address(_NAT64.partition("/")[0])) + int(start)
    six_to_four = (0x2002 << 112) + (int(start) << 80)
    return [
        network,
        ipaddress.IPv6Network(f"::ffff:{start}/{96 + prefix}"),
        ipaddress.IPv6Network((nat64, 96 + prefix)),
        ipaddress.IPv6Network((six_to_four, 16 + prefix)),
    ]


def _refusal(target: Target, why: str) -> Refused:
    return Refused(f"{target.name} is never touched: {why}", hint="[playbooks] never_touch")
