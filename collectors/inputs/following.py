"""Files that grow, as an input of the spool: at least once, and once in the store.

A file's lines and how far it has been read become durable together, so nothing is read twice
after a crash but what was not acknowledged, and that has the same event ids.
"""

import asyncio
import time
from asyncio import Event
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from typing import Any, Final

from collectors.inputs.follow import Chunk, Follower
from collectors.spool.receive import Receive
from collectors.spool.record import Batch

IDLE: Final = 0.2
"""Seconds to wait when nothing was written."""


class Following:
    """Follows the files of a glob pattern; `position` is what the spool kept under its name."""

    def __init__(
        self,
        pattern: str,
        position: Mapping[str, Any] | None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.name = pattern
        self._position = position
        self._clock = clock

    async def run(self, receive: Receive, stop: Event) -> None:
        """Hand over what is written until told to stop."""
        follower = await asyncio.to_thread(Follower, self.name, self._position)
        try:
            while not stop.is_set():
                if not await self._poll(follower, receive, stop):
                    with suppress(TimeoutError):
                        await asyncio.wait_for(stop.wait(), IDLE)
        finally:
            follower.close()

    async def _poll(self, follower: Follower, receive: Receive, stop: Event) -> bool:
        busy = False
        chunks = follower.poll(time.monotonic())
        while not stop.is_set() and (chunk := await asyncio.to_thread(_next, chunks)):
            busy = True
            batches = [self._batch(chunk)] if chunk.frames else []
            await receive(batches, (self.name, chunk.state))
        return busy

    def _batch(self, chunk: Chunk) -> Batch:
        return Batch(
            input=self.name,
            raws=[frame.raw for frame in chunk.frames],
            received=int(self._clock() * 1e6),
            origin=chunk.origin,
            path=chunk.path,
            offsets=[frame.offset or 0 for frame in chunk.frames],
            truncated=[index for index, frame in enumerate(chunk.frames) if frame.truncated],
        )


def _next(chunks: Iterator[Chunk]) -> Chunk | None:
    return next(chunks, None)
