"""The node's process: inputs into the spool, the spool into the store.

Inputs and the spool live in an event loop, the sender in a thread of its own: a store that hangs
does not keep anybody from receiving. Everything that a crash may cut short is done again at the
next start, and recognised by its event ids.
"""

import asyncio
import logging
import signal
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from collectors.inputs.following import Following
from collectors.inputs.syslog_tcp import SyslogTcp
from collectors.sender.dead_letters import DeadLetters
from collectors.sender.sender import Sender
from collectors.sender.understanding import Meaning, Understanding
from collectors.spool.receive import Input, take_in
from collectors.spool.spool import Spool
from soc.errors import StoreError
from soc.run import status
from soc.run.settings import InputOptions, Settings, listening, zone
from soc.store.base import Store

log = logging.getLogger("soc.collect")

SYSLOG = "syslog"
"""The parser of what comes over the network, where none is declared."""


@dataclass
class Collector:
    """See the module. `clock` is the wall clock."""

    state: Path
    inputs: Sequence[InputOptions]
    unit: str
    observer: str
    key: bytes
    store: Store
    clock: Callable[[], datetime]
    limit: int | None = None
    figures: dict[str, Any] = field(default_factory=dict)
    _failure: BaseException | None = None
    _unread: str = ""

    @classmethod
    def of(
        cls, config: Settings, key: bytes, store: Store, clock: Callable[[], datetime]
    ) -> "Collector":
        """Return the collector that the configuration describes."""
        return cls(
            state=config.paths.state,
            inputs=config.inputs,
            unit=config.node.unit,
            observer=config.node.name,
            key=key,
            store=store,
            clock=clock,
            limit=config.spool.limit,
        )

    def run(self) -> None:
        """Work until SIGTERM or SIGINT; what was received and not sent waits in the spool."""
        with (
            closing(Spool.open(self.state / "spool", limit=self.limit)) as spool,
            closing(DeadLetters(self.state)) as letters,
        ):
            asyncio.run(self._run(spool, self._sender(spool, letters)))
        if self._failure is not None:
            raise self._failure

    def _sender(self, spool: Spool, letters: DeadLetters) -> Sender:
        meanings = {
            one.name: Meaning(
                zone(one.zone),
                one.parser or (SYSLOG if one.listen else ""),
                one.unit or self.unit,
            )
            for one in self.inputs
        }
        understanding = Understanding(meanings, self.key, self.observer)
        return Sender(
            spool, self.store, understanding, letters, self.key, self.observer, self.clock
        )

    async def _run(self, spool: Spool, sender: Sender) -> None:
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, stop.set)
        ended = threading.Event()

        def send() -> None:
            try:
                sender.run(ended, self._report(sender))
            except BaseException as error:
                self._failure = error
                loop.call_soon_threadsafe(stop.set)

        sending = threading.Thread(target=send, name="sender")
        sending.start()
        try:
            await take_in(spool, [self._input(one, spool) for one in self.inputs], stop)
        finally:
            ended.set()
            await asyncio.to_thread(sending.join)

    def _input(self, one: InputOptions, spool: Spool) -> Input:
        if one.listen:
            return SyslogTcp(one.name, *listening(one.listen), spool.count)
        return Following(one.name, spool.position(one.name))

    def _report(self, sender: Sender) -> Callable[[], None]:
        written = 0.0

        def report() -> None:
            nonlocal written
            if time.monotonic() - written >= status.EVERY or sender.closed:
                written = time.monotonic()
                self.figures = {**sender.figures(), "dead_letters": self._letters(sender.letters)}
                status.write(self.state, self.figures, self.clock())

        return report

    def _letters(self, letters: DeadLetters) -> int:
        """Return how many dead letters there are; while they cannot be read, how many there were.

        That the disk is full or they are damaged must not end the receiving.
        """
        try:
            count, self._unread = letters.count(), ""
        except StoreError as error:
            if str(error) != self._unread:
                self._unread = str(error)
                log.error("the dead letters cannot be read: %s", error)
            return int(self.figures.get("dead_letters", 0))
        return count
