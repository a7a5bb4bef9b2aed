"""Before the protocol is known: it is told by the first bytes, not by the port.

Web shells and beacons do not keep to port 80.
"""

from dataclasses import dataclass, field
from typing import Final

from collectors.packets import dns, http, tls
from collectors.packets.talk import Conversation, Tools

MAX_HEAD: Final = 512
"""Bytes of a side that are looked at."""
MAX_CHUNKS: Final = 8
MAX_PLAIN: Final = 24
"""Segments of an unknown protocol in which the beginning of TLS is looked for."""

_PROTOCOLS: Final = (http, tls, dns)


@dataclass(slots=True)
class Probe:
    """The conversation before its protocol is known; `became` is set when it is."""

    tools: Tools
    became: Conversation | None = None
    name: str = ""
    done: bool = False
    _plain: int = 0
    _heads: dict[bool, bytes] = field(default_factory=dict)
    _chunks: list[tuple[bool, bytes, int]] = field(default_factory=list)

    def feed(self, client: bool, data: bytes, time: int) -> None:
        """Look at the bytes; hand them all over once the protocol is known."""
        if self._plain:
            self._await(client, data, time)
            return
        head = self._heads.get(client, b"") + data[:MAX_HEAD]
        self._heads[client] = head
        self._chunks.append((client, data, time))
        found, undecided = recognise(head, client, self.tools)
        if found is not None:
            self.became = found
            for chunk in self._chunks:
                found.feed(*chunk)
        elif not undecided or len(head) >= MAX_HEAD or len(self._chunks) >= MAX_CHUNKS:
            self._plain, self._chunks, self._heads = 1, [], {}

    def _await(self, client: bool, data: bytes, time: int) -> None:
        """Wait for TLS after a plain beginning: STARTTLS of mail, directories, databases."""
        self._plain += 1
        if client and tls.recognise(data, client, self.tools.ports):
            self.became = tls.converse(self.tools)
            self.became.feed(client, data, time)
        elif self._plain > MAX_PLAIN:
            self.done = True

    def gap(self, client: bool, size: int, time: int) -> None:
        """Give up: bytes are missing before the protocol is known."""
        self.done = True

    def close(self, client: bool, time: int) -> None:
        """Do nothing: the other side may still talk."""

    def finish(self, time: int) -> None:
        """Do nothing: there is nothing to tell."""


def recognise(head: bytes, client: bool, tools: Tools) -> tuple[Conversation | None, bool]:
    """Return the conversation that begins so, and whether more bytes could still tell."""
    undecided = False
    for protocol in _PROTOCOLS:
        mine = protocol.recognise(head, client, tools.ports)
        if mine:
            return protocol.converse(tools), False
        undecided = undecided or mine is None
    return None, undecided
