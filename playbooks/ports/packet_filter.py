"""The packet filter of this machine, in the words of nftables' JSON (libnftables-json(5))."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from playbooks.values import Address

Item = Mapping[str, Any]
"""One object of nftables' JSON, such as {"table": {...}} or {"add": {...}}."""


class PacketFilterView(Protocol):
    """Reads the packet filter; raises StoreError when it cannot be read."""

    def table(self, family: str, name: str) -> Sequence[Item] | None:
        """Return a table and all that is in it, None when there is no such table."""
        ...

    def connections(self) -> Sequence[tuple[Address, int]]:
        """Return the other end's address and our port of the open TCP connections."""
        ...


class PacketFilter(PacketFilterView, Protocol):
    """Changes the packet filter."""

    def submit(self, commands: Sequence[Item]) -> None:
        """Carry out all commands in one transaction, or none and raise StoreError."""
        ...
