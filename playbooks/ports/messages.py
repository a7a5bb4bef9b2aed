"""Ways to tell somebody something: what a message is, and what carries it."""

import hashlib
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Message:
    """One message, safe to show: `subject` is one line, `text` has line feeds and no controls.

    `key` is the idempotency key: a repeat carries the same `id`, by which a receiver knows it.
    """

    to: str
    subject: str
    text: str
    key: str
    at: datetime

    @property
    def id(self) -> str:
        """Return 32 hexadecimal digits that are the same for every copy."""
        return hashlib.sha256(self.key.encode("utf-8", "surrogatepass")).hexdigest()[:32]


class MessengerView(Protocol):
    """Knows where messages go; asks nobody."""

    def route(self, to: str) -> str:
        """Return how a message would go out, for people; raise Refused for whom it may not."""
        ...


class Messenger(MessengerView, Protocol):
    """Sends messages."""

    def send(self, message: Message) -> None:
        """Send it once; raise StoreError when it was refused or nobody knows whether it went."""
        ...
