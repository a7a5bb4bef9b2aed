"""The sender: reads the spool behind its checkpoint and sends until everything has its verdict.

One thread reads, parses and keeps the ledger; `IN_FLIGHT` others wait for the store. What the store
refuses for what it is becomes a dead letter; everything else is tried again with full jitter, while
other parcels go on. A store that is silent or lets nobody in stops the sending, never the
receiving: the spool takes what comes.
"""

import logging
import random
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from itertools import zip_longest
from queue import Empty, SimpleQueue
from threading import Event as Flag
from threading import Thread
from typing import Any, Final

from collectors.sender.dead_letters import DeadLetters
from collectors.sender.ledger import Ledger, Parcel, by_input
from collectors.sender.losses import DATASET, EVERY, loss_event, losses
from collectors.sender.understanding import Understanding
from collectors.spool.spool import LAZY, Spool
from soc.errors import SocError, StoreError
from soc.model.event import Event
from soc.model.time import iso
from soc.store.base import Busy, Late, Silent, Store, Unsettled, Verdict

log = logging.getLogger("soc.collect")

IN_FLIGHT: Final = 2
FRAMES: Final = 1_000
"""Frames of a parcel."""
BYTES: Final = 1 << 20
"""Bytes of frames of a parcel, about: as events they are some times larger."""
READ: Final = 250
"""Frames read at once: between two looks at the size of a parcel."""
WAITING: Final = 20_000
"""Events in memory, at most about; what comes after them stays in the spool."""
IDLE: Final = 0.05
FIRST_WAIT: Final = 0.2
LONGEST_WAIT: Final = 30.0
SLOWLY: Final = 30.0
"""Seconds between two tries where a person has to do something first."""
LINGER: Final = 5.0
"""Seconds that a stop waits for answers; what has none then is sent again at the next start."""

Answer = tuple[Parcel, list[Verdict] | Exception]


@dataclass(slots=True)
class Trouble:
    """Why nothing is sent at the moment."""

    text: str = ""
    since: str = ""
    failures: int = 0
    until: float = 0.0


@dataclass
class Sender:
    """Moves what is in the spool into the store. `clock` is the wall clock, `now` monotonic."""

    spool: Spool
    store: Store
    understanding: Understanding
    letters: DeadLetters
    key: bytes
    observer: str
    clock: Callable[[], datetime]
    now: Callable[[], float] = time.monotonic
    spread: Callable[[float, float], float] = random.uniform
    trouble: Trouble = field(default_factory=Trouble)

    def __post_init__(self) -> None:
        self.ledger = Ledger(self.spool.checkpoint, self.spool.notes)
        # What a process before this one had read may have been sent: the answer died with it.
        self._again_below = self.spool.committed
        self._flying = 0
        self._landed: SimpleQueue[Answer] = SimpleQueue()
        self._waiting: list[Parcel] = []
        self.closed = False
        self._told_at = -EVERY
        self._settled_at, self._lagging = 0.0, False
        self._most: int | None = None
        """Events that go at once, None for all: a slow line carries so many in time."""

    def run(self, stop: Flag, report: Callable[[], None] = lambda: None) -> None:
        """Work until told to stop; `report` is called about every step."""
        while not stop.is_set():
            if not self._guarded():
                self._rest(stop)
            report()
        self.close()
        report()

    def _guarded(self) -> bool:
        try:
            return self.step()
        except StoreError as error:  # the spool or the dead letters: the disk is full, or broken
            self._stopped(error, self.spread(0, LONGEST_WAIT / 10))
            return False

    def step(self) -> bool:
        """Take in answers and send what can be sent; return whether there was anything to do."""
        busy = self._land(0)
        self._settle()
        while self._flying < IN_FLIGHT and self.now() >= self.trouble.until:
            parcel = self._next()
            if parcel is None:
                break
            self._launch(parcel)
            busy = True
        return busy

    def _settle(self) -> None:
        """Move the mark; a spool that writes it lazily is told once more when it rests."""
        moved = self.ledger.settle()
        if moved or (self._lagging and self.now() - self._settled_at > LAZY):
            self.spool.settle(self.ledger.mark, self.ledger.notes())
            self._settled_at, self._lagging = self.now(), moved

    def close(self) -> None:
        """Wait a little for answers and save the mark; threads without one end by themselves."""
        until = self.now() + LINGER
        while self._flying and self.now() < until:
            with suppress(StoreError):
                self._land(IDLE)
        self.ledger.settle()
        self.spool.settle(self.ledger.mark, self.ledger.notes())
        self.closed = True

    def figures(self) -> dict[str, Any]:
        """Return what is known of frames, events and trouble; for the status."""
        return {
            "spool": self.spool.status(),
            "settled": dict(self.ledger.frames),
            "events": self.ledger.figures(),
            "trouble": self.trouble.text,
            "trouble_since": self.trouble.since,
        }

    def _rest(self, stop: Flag) -> None:
        if self._flying:
            self._land(IDLE)
        else:
            stop.wait(IDLE)

    def _next(self) -> Parcel | None:
        """Return what is due again, else new frames, None when there is nothing."""
        at = self.now()
        for index, parcel in enumerate(self._waiting):
            if parcel.due <= at:
                return self._waiting.pop(index)
        if self.ledger.waiting >= WAITING:
            return None
        new = self._loss() or self._read()
        if new is not None:
            self.ledger.take(new)
        return new

    def _read(self) -> Parcel | None:
        mark = start = self.ledger.behind
        events: list[Event] = []
        frames: dict[str, int] = {}
        size = 0
        while mark - start < FRAMES and size < BYTES:
            records = self.spool.read(mark, READ)
            if not records:
                break
            mark = records[-1][0] + 1
            size += sum(len(record.frame.raw) for _, record in records)
            for name, many in by_input(records).items():
                frames[name] = frames.get(name, 0) + many
            events += self.understanding.events(records)
        if mark == start:
            return None
        return Parcel(mark, frames, events, again=start < self._again_below)

    def _loss(self) -> Parcel | None:
        """Return the event that tells of a loss, at most every so many seconds."""
        if self.now() - self._told_at < EVERY or self.ledger.telling:
            return None
        self._told_at = self.now()
        known = losses(self.spool.status(), self.ledger.events["dead-lettered"])
        made = loss_event(
            known, self.ledger.told, key=self.key, observer=self.observer, at=self.clock()
        )
        if made is None:
            return None
        log.error("%s", made["message"])
        return Parcel(self.ledger.behind, {}, [made], again=True, notes=known)

    def _launch(self, parcel: Parcel) -> None:
        if not parcel.events:  # frames that were no events: there is nothing to send
            return
        at = self.clock()
        for event in parcel.events:
            event["event.ingested"] = iso(at)
        self._flying += 1
        # A thread for each parcel: one that hangs must not keep the process from ending.
        Thread(target=self._send, args=(parcel, at), name="send", daemon=True).start()

    def _send(self, parcel: Parcel, at: datetime) -> None:
        answer: list[Verdict] | Exception
        try:
            some = self._share(parcel)
            answer = self.store.append(some, now=at, again=parcel.again, patient=False)
        except Exception as error:
            answer = error
        self._landed.put((parcel, answer))

    def _share(self, parcel: Parcel) -> list[Event]:
        """Return what of a parcel goes at once."""
        return parcel.events[: parcel.portion][: self._most]

    def _land(self, seconds: float) -> bool:
        """Take in the answers that have come, waiting so long for the first."""
        found = False
        with suppress(Empty):
            while self._flying:
                parcel, answer = (
                    self._landed.get(timeout=seconds) if seconds else (self._landed.get_nowait())
                )
                seconds, found = 0, True
                try:
                    self._take_in(parcel, answer)
                except BaseException:  # the dead letters cannot be written: look at it again
                    self._landed.put((parcel, answer))
                    raise
                self._flying -= 1
        return found

    def _take_in(self, parcel: Parcel, answer: list[Verdict] | Exception) -> None:
        if isinstance(answer, list):
            self._judge(parcel, answer)
            self.trouble = Trouble()
            if self._most is not None:
                self._most = 2 * self._most if self._most < FRAMES else None
            if parcel.events:
                parcel.portion = None
                self._waiting.append(parcel)
        elif isinstance(answer, SocError):
            if isinstance(answer, Unsettled):
                self._judge(parcel, answer.verdicts)
            self._retry(parcel, answer)
        else:
            self._broken(parcel, answer)

    def _broken(self, parcel: Parcel, error: Exception) -> None:
        """Find the event that breaks the sending itself: it must not stop the others."""
        size = len(self._share(parcel))
        if size == 1:
            reason = f"our bug: {type(error).__name__}"
            log.error("an event could not be sent, it is a dead letter: %s", reason)
            self._judge(parcel, [Verdict("", "rejected", reason)])
        parcel.portion = None if size == 1 else size // 2
        if parcel.events:
            self._waiting.append(parcel)

    def _judge(self, parcel: Parcel, verdicts: Sequence[Verdict | None]) -> None:
        """Count verdicts; the events that have none stay in the parcel."""
        left: list[Event] = []
        refused: list[tuple[Event, str]] = []
        outcomes: list[str] = []
        for event, verdict in zip_longest(parcel.events, verdicts):
            if verdict is None:
                left.append(event)
            elif verdict.outcome == "rejected":
                refused.append((event, verdict.reason))
                outcomes.append("dead-lettered")
            else:
                outcomes.append("stored" if verdict.outcome == "created" else "duplicate")
        if refused:  # durable before it counts
            self.letters.put(refused, self.clock())
            self._tell_own(parcel, refused)
        for outcome in outcomes:
            parcel.count(outcome)
        parcel.events = left

    def _tell_own(self, parcel: Parcel, refused: list[tuple[Event, str]]) -> None:
        """An event about a loss that is refused itself must not cause the next one."""
        own = sum(event.get("event.dataset") == DATASET for event, _ in refused)
        if own and parcel.notes is not None:
            told: Mapping[str, int] = parcel.notes
            parcel.notes = {**told, "dead-lettered": told.get("dead-lettered", 0) + own}

    def _retry(self, parcel: Parcel, error: SocError) -> None:
        parcel.attempts += 1
        parcel.again |= isinstance(error, Silent)
        self._waiting.append(parcel)
        if isinstance(error, Busy):
            most = min(FIRST_WAIT * 2**parcel.attempts, LONGEST_WAIT)
            parcel.due = self.now() + self.spread(0, most)
        elif isinstance(error, Silent):
            if isinstance(error, Late):
                self._most = max(len(self._share(parcel)) // 2, 1)
            most = min(FIRST_WAIT * 2 ** min(self.trouble.failures + 1, 10), LONGEST_WAIT)
            self._stopped(error, self.spread(0, most))
        else:
            self._stopped(error, SLOWLY)

    def _stopped(self, error: SocError, seconds: float) -> None:
        text = str(error)
        if text != self.trouble.text:
            log.error("%s", text)
            self.trouble.since = iso(self.clock())
        self.trouble.text = text
        self.trouble.failures += 1
        self.trouble.until = self.now() + seconds
