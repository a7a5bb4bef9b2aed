"""Conversations: what the bytes of a flow say, once they are in order.

A parser of a protocol is a module with `recognise(head, client, ports)`, which says whether a
side's first bytes are of its protocol (None: more are needed), and `converse(tools)`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

Fields = dict[str, Any]


class Emit(Protocol):
    """Takes the records of a flow."""

    def __call__(
        self, dataset: str, time: int, fields: Fields, *, from_client: bool = True
    ) -> None:
        """Take a record: its time in microseconds, its ECS fields without the flow's.

        `from_client`: the client is `source.ip` (else the server, who sent what this is about).
        """


class Conversation(Protocol):
    """A parser of one flow's byte streams. It never raises for what the bytes hold."""

    name: str
    """network.protocol"""
    done: bool
    """Nothing more is wanted from this flow."""
    became: "Conversation | None"
    """Who goes on from here, when the protocol changed or became known."""

    def feed(self, client: bool, data: bytes, time: int) -> None:
        """Take the next bytes of a side."""

    def gap(self, client: bool, size: int, time: int) -> None:
        """Know that bytes of a side are missing here."""

    def close(self, client: bool, time: int) -> None:
        """Know that a side has sent its last byte."""

    def finish(self, time: int) -> None:
        """Know that the flow is over; records that are not complete are emitted now."""


class Body(Protocol):
    """Takes the bytes of one carved file."""

    def write(self, data: bytes) -> bool:
        """Take bytes; False when no more are wanted."""

    def close(self, *, whole: bool) -> Fields:
        """Return `file.size`, `file.hash.*` and where it is stored; `whole`: nothing is missing."""


Carve = Callable[[], Body]


@dataclass(slots=True)
class Tools:
    """What a conversation may use: where its records and files go, and the flow's ports."""

    emit: Emit
    carve: Carve
    ports: tuple[int, int]
    again: "Callable[[Tools], Conversation]"
    """Makes a conversation that finds out which protocol follows."""
