"""From inputs to the disk: many inputs share one commit, and each is told when it is durable."""

import asyncio
import logging
from asyncio import Event, Future
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Final, Protocol

from collectors.spool.record import Batch, Position
from collectors.spool.spool import Spool
from soc.errors import StoreError

log = logging.getLogger("soc.collect")

WAIT: Final = 0.02
"""Seconds for which frames wait for company before they are committed."""
ENOUGH: Final = 256
"""Frames that are committed at once."""
RETRY: Final = 1.0
"""Seconds between two tries to write to a disk that refused."""
GRACE: Final = 5.0
"""Seconds that inputs have to end by themselves."""

Receive = Callable[[Sequence[Batch], Position | None], Awaitable[None]]
"""Returns when the batches, and the input's position behind them, are durable; however long that
takes. An input that waits for it takes nothing in meanwhile: that is the back-pressure."""


class Input(Protocol):
    """Where frames come from; `name` is the name as configured."""

    name: str

    async def run(self, receive: Receive, stop: Event) -> None:
        """Hand over what comes until told to stop; raise SocError when it cannot begin."""
        ...


class Receiver:
    """Commits what inputs hand over, in a thread of its own, as long as `run` runs."""

    def __init__(self, spool: Spool) -> None:
        self._spool = spool
        self._waiting: list[Future[None]] = []
        self._frames = 0
        self._some, self._enough, self._over = Event(), Event(), Event()

    async def receive(self, batches: Sequence[Batch], position: Position | None = None) -> None:
        """See `Receive`."""
        done: Future[None] = asyncio.get_running_loop().create_future()
        self._spool.append(batches, position)
        self._waiting.append(done)
        self._frames += sum(len(batch.raws) for batch in batches)
        self._some.set()
        if self._frames >= ENOUGH:
            self._enough.set()
        await done

    async def run(self) -> None:
        """Commit until `end` is called; a disk that refuses is tried again and again."""
        with ThreadPoolExecutor(1, "spool") as thread:
            while not self._over.is_set():
                await self._some.wait()
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._enough.wait(), WAIT)
                await self._commit(thread)

    def end(self) -> None:
        """Have `run` return after one more try to commit."""
        for event in (self._over, self._some, self._enough):
            event.set()

    async def _commit(self, thread: ThreadPoolExecutor) -> None:
        waiting, self._waiting, self._frames = self._waiting, [], 0
        self._some.clear()
        self._enough.clear()
        stuck = False
        while True:
            try:
                await asyncio.get_running_loop().run_in_executor(thread, self._spool.commit)
                break
            except StoreError as error:
                if not stuck:
                    log.error("%s", error)
                stuck = True
            if self._over.is_set():
                return
            with suppress(TimeoutError):
                await asyncio.wait_for(self._over.wait(), RETRY)
        if stuck:
            log.warning("the spool takes frames again")
        for done in waiting:
            if not done.done():
                done.set_result(None)


async def take_in(spool: Spool, inputs: Sequence[Input], stop: Event) -> None:
    """Run inputs into a spool until told to stop; raise what one of them raises."""
    receiver = Receiver(spool)
    committing = asyncio.create_task(receiver.run())
    ended = Event()
    tasks = [asyncio.create_task(one.run(receiver.receive, ended)) for one in inputs]
    stopped = asyncio.create_task(stop.wait())
    try:
        running = {*tasks}
        while running and not stop.is_set():
            done, _rest = await asyncio.wait(
                {*running, stopped}, return_when=asyncio.FIRST_COMPLETED
            )
            running -= done
            for task in done - {stopped}:
                task.result()
    finally:
        ended.set()
        stopped.cancel()
        if tasks:
            _done, late = await asyncio.wait(tasks, timeout=GRACE)
            for task in late:  # it waits for a disk that takes nothing
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        receiver.end()
        await committing
