"""A sender on a spool of its own, without waiting, and the books that must balance."""

import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

from collectors.sender.dead_letters import DeadLetters
from collectors.sender.sender import Sender
from collectors.sender.understanding import Meaning, Understanding
from collectors.spool.record import Batch
from collectors.spool.spool import Spool
from soc.run import status
from soc.store.base import Store

KEY = b"k" * 32
NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
INPUT = "auth.log"


def line(number: int, text: str = "") -> bytes:
    said = text or f"Accepted password for lan from 192.0.2.7 port {1024 + number} ssh2"
    return f"2026-11-22T08:00:00.{number:06}+07:00 gate sshd[{number}]: {said}".encode()


class Clock:
    """Monotonic seconds that run as fast as they are asked for."""

    def __init__(self, step: float = 0.5) -> None:
        self.seconds, self.step = 0.0, step

    def __call__(self) -> float:
        self.seconds += self.step
        return self.seconds


class Node:
    """What a collector is made of, in a folder; `crash` forgets all that is not on the disk."""

    def __init__(self, state: Path, store: Store, clock: Clock | None = None) -> None:
        self.state, self.store, self.clock = state, store, clock or Clock()
        self.start()

    def start(self) -> None:
        self.spool = Spool.open(self.state / "spool")
        self.letters = DeadLetters(self.state)
        self.sender = Sender(
            self.spool,
            self.store,
            Understanding({INPUT: Meaning(UTC)}, KEY, "node-1"),
            self.letters,
            KEY,
            "node-1",
            lambda: NOON,
            now=self.clock,
            spread=lambda low, high: high,
        )

        self.sender._told_at = float("inf")  # a test that wants to hear of losses resets it

    def until(self, reached: Callable[[], bool], seconds: float = 120) -> None:
        """Work until something is reached."""
        deadline = time.monotonic() + seconds
        while not reached():
            assert time.monotonic() < deadline, self.sender.figures()
            if not self.sender.step():
                time.sleep(0.001)

    def drain(self) -> None:
        """Work until everything has its verdict."""
        self.until(lambda: self.sender.ledger.mark == self.spool.committed)

    def receive(self, raws: Sequence[bytes], at: int = 0) -> None:
        offsets = [at + n for n in range(len(raws))]
        batch = Batch(INPUT, list(raws), 1_795_348_800_000_000, "file:1", "/var/log/a", "", offsets)
        self.spool.append([batch])
        self.spool.commit()

    def crash(self) -> None:
        self.spool._owner.close()
        self.spool._reader.close()
        self.spool._again.close()
        self.letters.close()
        self.start()

    def check(self) -> dict[str, int]:
        """Return the events of this moment; the books balance, of frames and of events."""
        figures = self.sender.figures()
        assert status.wrong(figures) == []
        events: dict[str, int] = figures["events"]
        return events

    def stop(self) -> dict[str, int]:
        self.sender.close()
        events = self.check()
        self.spool.close()
        self.letters.close()
        return events
