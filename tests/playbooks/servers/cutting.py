"""A TCP relay that cuts the line: before the server has got a request, or after it has."""

import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType


class CuttingRelay:
    """Passes bytes on until `is_last(request)` holds for what a client sends, then cuts.

    With `deliver` the server still gets that request, and its answer is lost; without, it never
    sees it.
    """

    def __init__(
        self,
        port: int,
        is_last: Callable[[bytes], bool],
        *,
        deliver: bool = False,
        host: str = "127.0.0.1",
    ) -> None:
        self._to = port
        self._is_last = is_last
        self._deliver = deliver
        self._listener = socket.create_server((host, 0))
        self.port: int = self._listener.getsockname()[1]
        self._threads: list[threading.Thread] = []

    def __enter__(self) -> "CuttingRelay":
        self._spawn(self._accept)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for thread in self._threads:
            thread.join(10)

    def _spawn(self, work: Callable[..., None], *arguments: object) -> None:
        thread = threading.Thread(target=work, args=arguments, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            self._spawn(self._serve, client)

    def _serve(self, client: socket.socket) -> None:
        with suppress(OSError), client, socket.create_connection(("127.0.0.1", self._to)) as server:
            answered = threading.Event()
            self._spawn(self._back, server, client, answered)
            while request := client.recv(65536):
                if self._is_last(request):
                    client.shutdown(socket.SHUT_RDWR)
                    if self._deliver:
                        answered.clear()
                        server.sendall(request)
                        answered.wait(5)
                    break
                server.sendall(request)
            with suppress(OSError):
                server.shutdown(socket.SHUT_RDWR)

    def _back(
        self, server: socket.socket, client: socket.socket, answered: threading.Event
    ) -> None:
        with suppress(OSError):
            while answer := server.recv(65536):
                answered.set()
                client.sendall(answer)
