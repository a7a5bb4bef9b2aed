"""A request that ends: its time is bounded as a whole, not only between two bytes.

The client's own timeout begins anew with every byte that comes, so a server, or a proxy before it,
that answers a byte a second holds a request for hours. Here a timer shuts the connection down.
"""

import socket
from collections.abc import Mapping
from contextlib import suppress
from threading import Timer, local
from typing import TYPE_CHECKING, Any, Final

from elastic_transport import ConnectionTimeout, NodeConfig, Urllib3HttpNode

if TYPE_CHECKING:
    from urllib3._base_connection import BaseHTTPConnection

CONNECT: Final = 10.0
"""Seconds for a connection to one address, and for its TLS: a timer cannot end these two."""
ALIVE: Final = {
    "TCP_KEEPIDLE": 30,
    "TCP_KEEPINTVL": 5,
    "TCP_KEEPCNT": 3,
    "TCP_USER_TIMEOUT": 30_000,
}
"""A peer that vanished without a word is noticed, where the system can do that, before a request
is given to its connection."""


class Watch:
    """The time of one request."""

    def __init__(self) -> None:
        self.over = False
        self.connection: Any = None

    def end(self) -> None:
        """Shut the connection down: whoever waits for it is told."""
        self.over = True
        taken = self.connection
        if taken is not None and taken.watch is self and taken.sock is not None:
            with suppress(OSError):
                # Not the TLS socket's own method: that may not be called while another reads.
                socket.socket.shutdown(taken.sock, socket.SHUT_RDWR)


class Bounded(Urllib3HttpNode):
    """The client's way to one server, with requests that end."""

    def __init__(self, config: NodeConfig) -> None:
        super().__init__(config)
        self._mine = local()
        self.pool.ConnectionCls = _watched(self.pool.ConnectionCls, self._mine)
        options = [(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)]
        options.append((socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1))
        known = [(name, value) for name, value in ALIVE.items() if hasattr(socket, name)]
        options += [(socket.IPPROTO_TCP, getattr(socket, name), value) for name, value in known]
        self.pool.conn_kw["socket_options"] = options

    def perform_request(
        self,
        method: str,
        target: str,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        request_timeout: Any = None,  # noqa: ANN401
    ) -> Any:  # noqa: ANN401
        """Carry out a request; raise ConnectionTimeout when its time is over."""
        if not isinstance(request_timeout, int | float):
            request_timeout = self.config.request_timeout
        self._mine.watch = watch = Watch()
        timer = Timer(request_timeout, watch.end)
        timer.daemon = True
        timer.start()
        try:
            answer = super().perform_request(method, target, body, headers, request_timeout)  # type: ignore[arg-type]
        except Exception as error:
            if watch.over:
                raise ConnectionTimeout("the time of the request is over") from error
            raise
        finally:
            timer.cancel()
        if watch.over:  # what was cut short may look whole
            raise ConnectionTimeout("the time of the request is over")
        return answer


def _watched(kind: "type[BaseHTTPConnection]", mine: local) -> "type[BaseHTTPConnection]":
    """Return a kind of connection that tells the request's watch that it works for it."""

    class Watched(kind):  # type: ignore[valid-type, misc]
        watch: Watch | None = None

        def _belong(self) -> Watch:
            watch: Watch = mine.watch
            self.watch, watch.connection = watch, self
            return watch

        def connect(self) -> None:
            watch = self._belong()
            self.timeout: float = min(self.timeout or CONNECT, CONNECT)
            super().connect()
            if watch.over:
                self.close()
                raise TimeoutError("the time of the request is over")

        def request(self, *arguments: Any, **more: Any) -> None:  # noqa: ANN401
            self._belong()
            super().request(*arguments, **more)

    return Watched
