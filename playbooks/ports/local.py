"""What counts as this machine: the only place where a password may go without TLS."""

import ipaddress


def is_this_machine(host: str | None) -> bool:
    """Return whether a host in the configuration is written as the loopback."""
    if host is None:
        return False
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
