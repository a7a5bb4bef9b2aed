"""A receiver of webhooks for tests: HTTPS on the loopback, with faults."""

import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class Inbox:
    """What has arrived (method, path, headers, body), and how the server behaves.

    Faults: `cut` drops the line when a request has arrived; `drip` sends a byte of the answer
    every 100 ms; `flood` sends headers without an end.
    """

    port: int = 0
    status: int = 200
    fault: str = ""
    location: str = ""
    requests: list[tuple[str, str, dict[str, str], bytes]] = field(default_factory=list)


class _Handler(BaseHTTPRequestHandler):
    inbox: Inbox

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.inbox.requests.append((self.command, self.path, headers, body))
        self.close_connection = True
        with suppress(OSError):
            self._answer(body)

    do_GET = do_POST

    def _answer(self, body: bytes) -> None:
        if self.inbox.fault == "cut":
            return
        if self.inbox.fault == "drip":
            for _ in range(100):
                self.wfile.write(b"H")
                time.sleep(0.1)
        elif self.inbox.fault == "flood":
            self.wfile.write(b"HTTP/1.1 200 OK\r\n")
            for _ in range(100_000):
                self.wfile.write(b"x: " + b"y" * 1000 + b"\r\n")
        else:
            self.send_response(self.inbox.status)
            if self.inbox.location:
                self.send_header("Location", self.inbox.location)
            self.end_headers()
            self.wfile.write(b"you said " + body + repr(dict(self.headers)).encode())

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""


class _Server(ThreadingHTTPServer):
    daemon_threads = False
    context: ssl.SSLContext

    def finish_request(self, request: Any, client_address: Any) -> None:
        with suppress(OSError), self.context.wrap_socket(request, server_side=True) as encrypted:
            super().finish_request(encrypted, client_address)


@contextmanager
def running(context: ssl.SSLContext, **behaviour: Any) -> Iterator[Inbox]:
    """Start a receiver; it ends with the block."""
    inbox = Inbox(**behaviour)
    handler = type("Handler", (_Handler,), {"inbox": inbox})
    with _Server(("127.0.0.1", 0), handler) as server:
        server.context = context
        inbox.port = server.server_address[1]
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield inbox
        finally:
            server.shutdown()
            thread.join()
