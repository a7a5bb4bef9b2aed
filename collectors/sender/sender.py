"""The sender: reads the spool behind its checkpoint and sends until everything has its verdict.

One thread reads, parses and keeps the ledger; `IN_FLIGHT` others wait for the store. What the store
refuses for what it is becomes a dead letter; everything else is tried again with full jitter, while
other parcels go on. A dataset that is not taken waits in the spool and holds nobody up. A store
that is silent or lets nobody in stops the sending, never the receiving: the spool takes what comes.
"""

import logging
import random
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from queue import Empty, SimpleQueue
from threading import Event as Flag
from threading import Thread
from typing import Any, Final

from collectors.sender.closings import FIRST_WAIT, LONGEST_WAIT, Closings
from collectors.sender.dead_letters import DeadLetters
from collectors.sender.ledger import FRAMES, Ledger, Load, Parcel
from collectors.sender.losses import DATASET, EVERY, loss_event, losses
from collectors.sender.reading import Reading
from collectors.sender.understanding import Understanding
from collectors.spool.spool import LAZY, Spool
from soc.errors import SocError, StoreError
from soc.model.event import Event
from soc.model.time import iso
from soc.store.base import Busy, Late, Silent, Store, Unsettled, Verdict, dataset

log = logging.getLogger("soc.collect")

IN_FLIGHT: Final = 2
WAITING: Final = 20_000
"""Events in memory, at most about; what comes after them stays in the spool."""
IDLE: Final = 0.05
SLOWLY: Final = 30.0
"""Seconds between two tries where a person has to do something first."""
LINGER: Final = 5.0
"""Seconds that a stop waits for answers; what has none then is sent again at the next start."""

Answer = tuple[Load, list[Verdict] | Exception]


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
        self.closings = Closings(self.clock, self.now, self.spread)
        self._reading = Reading(self.spool, self.understanding)
        self._flying = 0
        self._landed: SimpleQueue[Answer] = SimpleQueue()
        self._waiting: list[Load] = []
        self.closed = False
        self._told_at = -EVERY
        self._settled_at, self._lagging = 0.0, False
        self._turn = False
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
            load = self._next()
            if load is None:
                break
            busy = True
            if not self._launch(load):
                break
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
            "closed": self.closings.figures(self.ledger.away()),
            "trouble": self.trouble.text,
            "trouble_since": self.trouble.since,
        }

    def _rest(self, stop: Flag) -> None:
        if self._flying:
            self._land(IDLE)
        else:
            stop.wait(IDLE)

    def _next(self) -> Load | None:
        """Return what is due again, else what was held or is new, None for nothing."""
        at = self.now()
        for index, load in enumerate(self._waiting):
            if load.due <= at:
                return self._waiting.pop(index)
        self._turn = not self._turn
        if self._turn:  # by turns: what had waited long must not make the rest wait
            return self._held(at) or self._new()
        return self._new() or self._held(at)

    def _new(self) -> Load | None:
        if self.ledger.waiting >= WAITING:
            return None
        new = self._loss() or self._reading.next(self.ledger.behind)
        return None if new is None else self.ledger.take(*new)

    def _held(self, at: float) -> Load | None:
        """Return events that were held: of a dataset that is open again, or for a try."""
        tried = self.closings.due(at)
        if tried is not None:
            return self._release(tried, tried) if self.ledger.held[tried] else None
        if self.ledger.waiting >= WAITING:
            return None
        open_ = (n for n, many in self.ledger.held.items() if many and n not in self.closings)
        name = next(open_, None)
        return None if name is None else self._release(name)

    def _release(self, name: str, tried: str = "") -> Load | None:
        parcel = self.ledger.oldest(name)
        if parcel is None:
            return None
        events = self._reading.again(parcel)
        if len(events) != parcel.parsed:
            log.error("%s: records that waited in the spool are not what they were", name)
        load = self.ledger.release(parcel, name, events)
        load.tried = tried
        return load

    def _loss(self) -> tuple[Parcel, list[Event]] | None:
        """Return the event that tells of a loss, at most every so many seconds."""
        if self.now() - self._told_at < EVERY or self.ledger.telling:
            return None
        self._told_at = self.now()
        known = losses(self.spool.status(), self.ledger.events["dead-lettered"])
        made = loss_event(
            known, self.ledger.heard, key=self.key, observer=self.observer, at=self.clock()
        )
        if made is None:
            return None
        log.error("%s", made["message"])
        mark = self.ledger.behind
        return Parcel(mark, mark, {}, again=True, notes=known), [made]

    def _launch(self, load: Load) -> bool:
        """Send a load; return False when there is nothing of it to be sent."""
        if self.closings:
            self.ledger.hold(load, lambda name: name != load.tried and name in self.closings)
        if not load.events:  # frames that were no events, or that have to wait
            return False
        at = self.clock()
        some = load.events[: load.portion][: self._most]
        for event in some:
            event["event.ingested"] = iso(at)
        load.sent = len(some)
        self._flying += 1
        # A thread for each load: one that hangs must not keep the process from ending.
        Thread(target=self._send, args=(load, some, at), name="send", daemon=True).start()
        return True

    def _send(self, load: Load, some: list[Event], at: datetime) -> None:
        answer: list[Verdict] | Exception
        try:
            answer = self.store.append(some, now=at, again=load.parcel.again, patient=False)
        except Exception as error:
            answer = error
        self._landed.put((load, answer))

    def _land(self, seconds: float) -> bool:
        """Take in the answers that have come, waiting so long for the first."""
        found = False
        with suppress(Empty):
            while self._flying:
                load, answer = (
                    self._landed.get(timeout=seconds) if seconds else (self._landed.get_nowait())
                )
                seconds, found = 0, True
                try:
                    self._take_in(load, answer)
                except BaseException:  # the dead letters cannot be written: look at it again
                    self._landed.put((load, answer))
                    raise
                self._flying -= 1
        return found

    def _take_in(self, load: Load, answer: list[Verdict] | Exception) -> None:
        if isinstance(answer, list):
            self._judge(load, answer)
            self.trouble = Trouble()
            if self._most is not None:
                self._most = 2 * self._most if self._most < FRAMES else None
            if load.events:
                load.portion = None
                self._waiting.append(load)
        elif isinstance(answer, SocError):
            if isinstance(answer, Unsettled):
                self._judge(load, answer.verdicts, answer.closed)
            self._retry(load, answer)
        else:
            self._broken(load, answer)
        load.tried = ""

    def _broken(self, load: Load, error: Exception) -> None:
        """Find the event that breaks the sending itself: it must not stop the others."""
        if load.sent == 1:
            reason = f"our bug: {type(error).__name__}"
            log.error("an event could not be sent, it is a dead letter: %s", reason)
            self._judge(load, [Verdict("", "rejected", reason)])
        load.portion = None if load.sent == 1 else load.sent // 2
        if load.events:
            self._waiting.append(load)

    def _judge(
        self,
        load: Load,
        verdicts: Sequence[Verdict | None],
        closed: Mapping[str, str] = {},
    ) -> None:
        """Count verdicts; the events that have none stay in the load."""
        refused: list[tuple[Event, str]] = []
        outcomes: list[str | None] = []
        taken: set[str] = set()
        for event, verdict in zip(load.events, verdicts, strict=False):
            if verdict is None:
                outcomes.append(None)
                continue
            taken.add(dataset(event))
            if verdict.outcome == "rejected":
                refused.append((event, verdict.reason))
                outcomes.append("dead-lettered")
            else:
                outcomes.append("stored" if verdict.outcome == "created" else "duplicate")
        if refused:  # durable before it counts
            self.letters.put(refused, self.clock())
            self._tell_own(load.parcel, refused)
        self.ledger.judged(load, outcomes)
        for name in taken - closed.keys():
            self.closings.reopen(name)
        for name, why in closed.items():
            self.closings.close(name, why)
        if self.closings:
            self.ledger.hold(load, self.closings.__contains__)

    def _tell_own(self, parcel: Parcel, refused: list[tuple[Event, str]]) -> None:
        """An event about a loss that is refused itself must not cause the next one."""
        own = sum(event.get("event.dataset") == DATASET for event, _ in refused)
        if own and parcel.notes is not None:
            told: Mapping[str, int] = parcel.notes
            parcel.notes = {**told, "dead-lettered": told.get("dead-lettered", 0) + own}

    def _retry(self, load: Load, error: SocError) -> None:
        load.attempts += 1
        if load.events:
            self._waiting.append(load)
        if isinstance(error, Silent):
            load.parcel.again = True
            if isinstance(error, Late):
                self._most = max(load.sent // 2, 1)
            most = min(FIRST_WAIT * 2 ** min(self.trouble.failures + 1, 10), LONGEST_WAIT)
            self._stopped(error, self.spread(0, most))
        elif isinstance(error, Busy) or (isinstance(error, Unsettled) and error.closed):
            self.trouble = Trouble()
            most = min(FIRST_WAIT * 2 ** min(load.attempts, 10), LONGEST_WAIT)
            load.due = self.now() + self.spread(0, most)
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
