"""Syslog over TCP (RFC 6587), octet counting and LF on one port.

Guarantee: what has been read from a connection is on the disk before more is read. TCP syslog has
no acknowledgement, so what this machine's kernel had accepted and nobody had read is lost when
the process or the machine dies; a sender that needs more has to keep its messages.
"""

import asyncio
import logging
import resource
import socket
import time
from asyncio import Event, StreamReader, StreamWriter
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from collectors.frame import MAX_RECORD
from collectors.inputs.syslog_messages import MessageCutter, Messages
from collectors.spool.receive import Receive
from collectors.spool.record import Batch
from collectors.spool.state import REFUSED
from soc.errors import InputError

log = logging.getLogger("soc.collect")

CONNECTIONS: Final = 4096
PER_PEER: Final = 512
CHUNK: Final = 1 << 17
"""Bytes taken from a connection at once; asyncio holds as many again."""
SLOW: Final = 60.0
"""Seconds in which a message that has begun must end."""
IDLE: Final = 6 * 3600.0
"""Seconds a connection may say nothing; TCP's own probes find dead peers earlier."""
LOOK: Final = 1.0
"""Seconds between two looks at who is late."""
DRAIN: Final = 0.2
"""Seconds for what is on its way when the input stops."""
HELD: Final = 1 << 26
"""Bytes of unfinished messages in all, beyond which each may hold only SMALL."""
SMALL: Final = 1 << 14

Count = Callable[[str, str, int], None]


@dataclass(eq=False, slots=True)
class _Connection:
    peer: str
    writer: StreamWriter
    cutter: MessageCutter
    heard: float
    begun: float | None = None
    waiting: bool = False

    def late(self, clock: float) -> bool:
        """Tell whether it has had its time; waiting for our disk does not count."""
        if self.waiting:
            return False
        return (self.begun is not None and clock - self.begun > SLOW) or clock - self.heard > IDLE


class SyslogTcp:
    """Listens on one address. `count` is told of refused and timed-out connections."""

    def __init__(
        self,
        name: str,
        host: str,
        port: int,
        count: Count,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.name = name
        self.port = port
        self._host = host
        self._count = count
        self._clock = clock
        self._open: set[_Connection] = set()
        self._peers: Counter[str] = Counter()
        self._held = 0
        self._refused = 0
        self._tasks: set[asyncio.Future[None]] = set()
        self._telling: asyncio.Future[None] | None = None

    async def run(self, receive: Receive, stop: Event) -> None:
        """Take messages until told to stop; raise InputError when the address cannot be had."""
        _allow_files(CONNECTIONS + 256)
        try:
            server = await asyncio.start_server(
                lambda reader, writer: self._accept(reader, writer, receive),
                self._host,
                self.port,
                limit=CHUNK // 2,
                backlog=1024,
            )
        except OSError as error:
            raise InputError(
                f"the address cannot be listened on: {error.strerror or error}",
                where=self.name,
                hint="see who listens there: ss -ltnp",
            ) from error
        self.port = server.sockets[0].getsockname()[1]
        try:
            while not stop.is_set():
                with suppress(TimeoutError):
                    await asyncio.wait_for(stop.wait(), LOOK)
                self._look()
                self._tell(receive)
        finally:
            server.close()
            await self._finish()

    def _tell(self, receive: Receive) -> None:
        """Have refused connections counted for good: nothing else may come, all places are taken.

        Nobody waits for it: a disk that takes nothing must not keep us from looking.
        """
        if not self._refused:
            return
        self._count(self.name, REFUSED, self._refused)
        self._refused = 0
        if self._telling is None or self._telling.done():
            self._telling = asyncio.ensure_future(receive([], None))
            self._keep(self._telling)

    def _look(self) -> None:
        clock = time.monotonic()
        for connection in [one for one in self._open if one.late(clock)]:
            self._count(self.name, "connections timed out", 1)
            connection.writer.close()

    async def _finish(self) -> None:
        for connection in self._open:
            with suppress(OSError, RuntimeError):
                connection.writer.write_eof()
        if self._open:
            await asyncio.sleep(DRAIN)
        for connection in self._open:
            connection.writer.close()  # what asyncio has read is still given out, then the end
        if self._tasks:
            await asyncio.gather(*self._tasks, return_exceptions=True)

    def _accept(self, reader: StreamReader, writer: StreamWriter, receive: Receive) -> None:
        address = writer.get_extra_info("peername")
        peer = str(address[0]) if address else ""
        if len(self._open) >= CONNECTIONS or self._peers[peer] >= PER_PEER:
            self._refused += 1
            writer.transport.abort()
            return
        _probe(writer.get_extra_info("socket"))
        connection = _Connection(peer, writer, MessageCutter(), time.monotonic())
        self._open.add(connection)
        self._peers[peer] += 1
        self._keep(asyncio.ensure_future(self._serve(connection, reader, receive)))

    def _keep(self, task: asyncio.Future[None]) -> None:
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Future[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()):
            log.error("%s: a connection broke", self.name, exc_info=error)

    async def _serve(self, connection: _Connection, reader: StreamReader, receive: Receive) -> None:
        try:
            await self._read(connection, reader, receive)
            self._held -= connection.cutter.held
            rest = connection.cutter.rest()
            await self._hand_over(connection, rest, receive)
        finally:
            self._open.discard(connection)
            self._peers[connection.peer] -= 1
            if not self._peers[connection.peer]:
                del self._peers[connection.peer]
            connection.writer.close()

    async def _read(self, connection: _Connection, reader: StreamReader, receive: Receive) -> None:
        cutter = connection.cutter
        with suppress(OSError):  # reset: what came before counts
            while data := await reader.read(CHUNK):
                before = cutter.held
                found = cutter.feed(data, MAX_RECORD if self._held < HELD else SMALL)
                self._held += cutter.held - before
                connection.heard = time.monotonic()
                if not cutter.held:
                    connection.begun = None
                elif found.raws or not before:
                    connection.begun = connection.heard
                await self._hand_over(connection, found, receive)

    async def _hand_over(self, connection: _Connection, found: Messages, receive: Receive) -> None:
        if not found.raws:
            return
        batch = Batch(
            self.name,
            found.raws,
            int(self._clock() * 1e6),
            peer=connection.peer,
            truncated=found.truncated,
        )
        connection.waiting = True
        await receive([batch], None)
        connection.waiting = False
        connection.heard = time.monotonic()
        if connection.begun is not None:
            connection.begun = connection.heard


def _probe(connection: socket.socket) -> None:
    """Have the kernel find out within ten minutes that a silent peer is dead."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, value in (("TCP_KEEPIDLE", 300), ("TCP_KEEPINTVL", 60), ("TCP_KEEPCNT", 5)):
        if hasattr(socket, option):
            connection.setsockopt(socket.IPPROTO_TCP, getattr(socket, option), value)


def _allow_files(wanted: int) -> None:
    """Raise the number of open files as far as this process may."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    if soft != resource.RLIM_INFINITY and soft < most:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
