"""A mail server for tests: takes mail on the loopback (RFC 5321), with TLS and faults."""

import socketserver
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from typing import Any


@dataclass
class Mailbox:
    """What has arrived, and how the server behaves.

    Faults: `cut` drops the line when a mail has arrived, before the answer; `drip` sends a byte of
    the greeting every 100 ms; `refuse` a command with an answer that repeats all it was sent.
    """

    port: int = 0
    starttls: bool = True
    implicit: bool = False
    fault: str = ""
    refuse: str = ""
    mails: list[EmailMessage] = field(default_factory=list)
    raw: list[bytes] = field(default_factory=list)
    envelopes: list[tuple[str, str]] = field(default_factory=list)
    commands: list[tuple[str, bool]] = field(default_factory=list)
    seen: bytes = b""


class _Handler(socketserver.StreamRequestHandler):
    box: Mailbox
    context: ssl.SSLContext

    def handle(self) -> None:
        self.encrypted = False
        with suppress(OSError):
            if self.box.implicit:
                self._encrypt()
            if self.box.fault == "drip":
                for _ in range(100):
                    self.wfile.write(b"2")
                    time.sleep(0.1)
                return
            self._say("220 mail.city.example ready")
            while line := self.rfile.readline(65536):
                self.box.seen += line
                if not self._answer(line.decode("ascii").rstrip("\r\n")):
                    return

    def _answer(self, line: str) -> bool:
        verb = line.split(" ")[0].upper()
        self.box.commands.append((line, self.encrypted))
        if verb == self.box.refuse:
            self._say(f"550 5.7.1 no: {self.box.seen.decode()!r}"[:400])
        elif verb == "EHLO":
            offers = ["STARTTLS"] if self.box.starttls and not self.encrypted else []
            offers += ["AUTH PLAIN"] if self.encrypted else []
            for offer in ["mail.city.example", *offers]:
                self._say(f"250-{offer}")
            self._say("250 ENHANCEDSTATUSCODES")
        elif verb == "STARTTLS":
            self._say("220 go on")
            self._encrypt()
        elif verb == "AUTH":
            self._say("235 2.7.0 welcome")
        elif verb == "MAIL":
            self.sender = line.partition("<")[2].partition(">")[0]
            self._say("250 2.1.0 ok")
        elif verb == "RCPT":
            self.recipient = line.partition("<")[2].partition(">")[0]
            self._say("250 2.1.5 ok")
        elif verb == "DATA":
            return self._take()
        else:
            self._say("250 2.0.0 ok")
        return True

    def _take(self) -> bool:
        self._say("354 go on")
        lines = []
        while (line := self.rfile.readline(65536)) and line != b".\r\n":
            lines.append(line[1:] if line.startswith(b".") else line)
        self.box.raw.append(b"".join(lines))
        self.box.mails.append(message_from_bytes(b"".join(lines), policy=default))
        self.box.envelopes.append((self.sender, self.recipient))
        if self.box.fault == "cut":
            return False
        self._say("250 2.0.0 taken")
        return True

    def _say(self, line: str) -> None:
        self.wfile.write(line.encode() + b"\r\n")

    def _encrypt(self) -> None:
        self.request = self.context.wrap_socket(self.request, server_side=True)
        self.rfile = self.request.makefile("rb")
        self.wfile = socketserver._SocketWriter(self.request)  # type: ignore[attr-defined]
        self.encrypted = True

    def finish(self) -> None:
        super().finish()
        with suppress(OSError):
            self.request.close()


@contextmanager
def running(context: ssl.SSLContext, **behaviour: Any) -> Iterator[Mailbox]:
    """Start a mail server; it ends with the block."""
    box = Mailbox(**behaviour)
    handler = type("Handler", (_Handler,), {"box": box, "context": context})
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), handler) as server:
        box.port = server.server_address[1]
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield box
        finally:
            server.shutdown()
            thread.join()
