"""A line to a server that can go bad: peers vanish without a word, bytes come one by one.

Plain TCP in front of anything, TLS too. What was connected when the line went dead stays open and
silent for ever; nothing says so to either side.
"""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Literal
from urllib.parse import urlsplit

State = Literal["sound", "dead", "slow answers", "slow requests"]
CHUNK = 1 << 16


class Line:
    """See the module; `state` may be set at any time, `pause` are the seconds between two bytes."""

    def __init__(self, url: str, state: State = "sound", pause: float = 0.05) -> None:
        self._behind = urlsplit(url)
        self.state: State = state
        self.pause = pause
        self.connections = 0
        self._over = threading.Event()
        self._open: list[socket.socket] = []
        self._listener = socket.create_server(("127.0.0.1", 0))

    @property
    def url(self) -> str:
        return f"{self._behind.scheme}://127.0.0.1:{self._listener.getsockname()[1]}"

    @contextmanager
    def running(self) -> Iterator["Line"]:
        self._listener.settimeout(0.05)
        thread = threading.Thread(target=self._accept, daemon=True)
        thread.start()
        try:
            yield self
        finally:
            self._over.set()
            thread.join()
            for one in (self._listener, *self._open):
                one.close()

    def _accept(self) -> None:
        while not self._over.is_set():
            with suppress(TimeoutError):
                near, _peer = self._listener.accept()
                self.connections += 1
                far = socket.create_connection((self._behind.hostname, self._behind.port), 5)
                self._open += [near, far]
                dead = threading.Event()
                for pair in ((near, far, "slow requests"), (far, near, "slow answers")):
                    threading.Thread(target=self._carry, args=(*pair, dead), daemon=True).start()

    def _carry(
        self, source: socket.socket, target: socket.socket, slow: State, dead: threading.Event
    ) -> None:
        source.settimeout(0.02)
        with suppress(OSError):
            while not self._over.is_set() and not dead.is_set():
                try:
                    data = source.recv(1 if self.state == slow else CHUNK)
                except TimeoutError:
                    data = None
                if self.state == "dead":
                    dead.set()
                elif data == b"":
                    target.shutdown(socket.SHUT_WR)
                    return
                elif data and self.state == slow:
                    self._drip(data, target, slow)
                elif data:
                    target.sendall(data)

    def _drip(self, data: bytes, target: socket.socket, slow: State) -> None:
        for at in range(len(data)):
            if self.state != slow or self._over.is_set():
                target.sendall(data[at:])
                return
            target.sendall(data[at : at + 1])
            time.sleep(self.pause)
