"""A store server that fails on order: a fake Elasticsearch, or a proxy in front of the real one.

It speaks plain HTTP on loopback and, as a proxy, TLS to the server behind it. Every `_bulk` request
takes the next fault of `script`, then `always`; without one it is carried out. The fake keeps
documents as a data stream does: 201 for a new `_id`, 409 for one that is there. What a node's key
may not do (read, look at indices) it refuses with 403.
"""

import gzip
import json
import socket
import ssl
import threading
import urllib.error
import urllib.request
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from soc.store.elastic.templates import VERSION

Answered = tuple[int, bytes]
Fault = Callable[["Exchange"], Answered | None]
"""What happens to a bulk request; None: the connection is cut without an answer."""


class Exchange:
    """One bulk request."""

    def __init__(self, body: bytes, fulfil: Callable[[bytes], Answered]) -> None:
        self.body = body
        self.fulfil = fulfil

    def carry_out(self) -> Answered:
        return self.fulfil(self.body)

    @property
    def actions(self) -> list[dict[str, Any]]:
        return [json.loads(line)["create"] for line in self.body.splitlines()[::2]]

    @property
    def documents(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.body.splitlines()[1::2]]


def status(code: int, kind: str = "some_exception", reason: str = "told to") -> Fault:
    """Answer the whole request with a status."""
    body = json.dumps({"error": {"type": kind, "reason": reason}, "status": code}).encode()
    return lambda exchange: (code, body)


def cut_before(exchange: Exchange) -> None:
    """Close the connection; nothing was carried out."""


def cut_after(exchange: Exchange) -> None:
    """Carry it out, and close the connection instead of answering."""
    exchange.carry_out()


def late(allowed: threading.Event) -> Fault:
    """Carry it out at once and answer when that is allowed."""

    def fault(exchange: Exchange) -> Answered:
        answered = exchange.carry_out()
        allowed.wait(60)
        return answered

    return fault


def items(code: Callable[[dict[str, Any]], int | None], kind: str = "some_exception") -> Fault:
    """Answer some documents with a status of their own; the others are carried out."""

    def fault(exchange: Exchange) -> Answered:
        codes = [code(document) for document in exchange.documents]
        lines = exchange.body.splitlines()
        kept = [n for n, one in enumerate(codes) if one is None]
        body = b"".join(b"%s\n%s\n" % (lines[2 * n], lines[2 * n + 1]) for n in kept)
        found: Iterator[Any] = iter(())
        if kept:
            found = iter(json.loads(exchange.fulfil(body)[1])["items"])
        error = {"type": kind, "reason": "told to"}
        answers = [
            next(found)
            if one is None
            else {"create": {"_index": "x", "status": one, "error": error}}
            for one in codes
        ]
        return 200, json.dumps({"errors": True, "items": answers}).encode()

    return fault


class StoreServer:
    """See the module; `documents` is what the fake holds, by index and id."""

    def __init__(
        self, upstream: str = "", ca: Path | None = None, headers: Mapping[str, str] = {}
    ) -> None:
        self.script: deque[Fault] = deque()
        self.always: Fault | None = None
        self.documents: dict[tuple[str, str], dict[str, Any]] = {}
        self.bulks: list[Sequence[str]] = []
        self.down = False
        self._upstream, self._headers = upstream, dict(headers)
        self._context = ssl.create_default_context(cafile=str(ca)) if ca else None
        self._lock = threading.Lock()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    @contextmanager
    def running(self) -> Iterator["StoreServer"]:
        thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        try:
            yield self
        finally:
            self._server.shutdown()
            self._server.server_close()
            thread.join()

    def bulk(self, path: str, body: bytes, headers: Mapping[str, str]) -> Answered | None:
        exchange = Exchange(body, lambda some: self.fulfil("PUT", path, some, headers))
        with self._lock:
            self.bulks.append([action["_id"] for action in exchange.actions])
            fault = self.script.popleft() if self.script else self.always
        return exchange.carry_out() if fault is None else fault(exchange)

    def fulfil(self, method: str, path: str, body: bytes, headers: Mapping[str, str]) -> Answered:
        """Do what was asked: here, or at the server behind."""
        if self._upstream:
            return self._forward(method, path, body, headers)
        if path.startswith("/_bulk"):
            return 200, json.dumps({"items": self._create(body)}).encode()
        if path.startswith("/_component_template/"):
            known = {"component_templates": [{"component_template": {"version": VERSION}}]}
            return 200, json.dumps(known).encode()
        return 403, b'{"error": {"type": "security_exception", "reason": "a node may not"}}'

    def _create(self, body: bytes) -> list[Any]:
        exchange, answers = Exchange(body, lambda _: (0, b"")), []
        with self._lock:
            for action, document in zip(exchange.actions, exchange.documents, strict=True):
                place = action["_index"], action["_id"]
                there = place in self.documents
                self.documents.setdefault(place, document)
                answer = {"_index": f".ds-{place[0]}-2026.11.22-000001"}
                answers.append({"create": answer | {"status": 409 if there else 201}})
        return answers

    def _forward(self, method: str, path: str, body: bytes, headers: Mapping[str, str]) -> Answered:
        request = urllib.request.Request(self._upstream + path, data=body or None, method=method)
        for name in ("accept", "content-type", "authorization"):
            if found := headers.get(name):
                request.add_header(name, found)
        for name, value in self._headers.items():
            request.add_header(name, value)
        try:
            with urllib.request.urlopen(request, timeout=60, context=self._context) as answer:
                return answer.status, answer.read()
        except urllib.error.HTTPError as error:
            return error.code, error.read()
        except OSError:
            return 503, b'{"error": {"type": "unreachable", "reason": "nobody behind the proxy"}}'

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        owner = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_: Any) -> None:
                pass

            def _serve(self) -> None:
                body = self.rfile.read(int(self.headers.get("content-length", 0)))
                if self.headers.get("content-encoding") == "gzip":
                    body = gzip.decompress(body)
                headers = {name.lower(): value for name, value in self.headers.items()}
                answered: Answered | None = None
                if not owner.down:
                    if self.path.startswith("/_bulk"):
                        answered = owner.bulk(self.path, body, headers)
                    else:
                        answered = owner.fulfil(self.command, self.path, body, headers)
                if answered is None or owner.down:
                    self.close_connection = True
                    with suppress(OSError):
                        self.connection.shutdown(socket.SHUT_RDWR)
                    return
                with suppress(OSError):
                    self._answer(*answered)

            def _answer(self, code: int, body: bytes) -> None:
                self.send_response(code)
                self.send_header("X-Elastic-Product", "Elasticsearch")
                self.send_header(
                    "Content-Type", "application/vnd.elasticsearch+json;compatible-with=8"
                )
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(body)

            do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = _serve

        return Handler
