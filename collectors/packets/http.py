"""HTTP/1 (RFC 9112): requests paired with their responses, bodies carved.

Forgiving where servers are: bare line feeds, HTTP/0.9, pipelining, streams joined in the middle.
"""

from collections import deque
from dataclasses import dataclass, field
from typing import Final, Literal

from collectors.packets.http_body import Upload, Whole, body
from collectors.packets.http_head import (
    MAX_HEAD,
    Head,
    begins_request,
    begins_response,
    disposition,
    head_end,
    request,
    response,
    url,
)
from collectors.packets.talk import Conversation, Fields, Tools

MAX_PENDING: Final = 256
"""Requests of a connection that may wait for their responses."""
_MAX_LINE: Final = 1 << 10
_ENDLESS: Final = 1 << 62

Mode = Literal["head", "body", "size", "after", "trailer", "rest", "dead"]
"""What a side's next byte is: of a head, a body with a length, a chunk's size line, the line end
after a chunk, the trailer, a body that ends with the connection, nothing that is understood."""


@dataclass(slots=True)
class _Exchange:
    """A request and its response, as far as they are known."""

    time: int
    request: Head | None = None
    response: Head | None = None
    sent: dict[bool, int] = field(default_factory=lambda: {True: 0, False: 0})
    ended: set[bool] = field(default_factory=set)


@dataclass(slots=True)
class _Side:
    """One direction: what is expected next, and the body that is being read."""

    mode: Mode = "head"
    buffer: bytes = b""
    scanned: int = 0
    left: int = 0
    exchange: _Exchange | None = None
    body: Whole | Upload | None = None


def recognise(head: bytes, client: bool, ports: tuple[int, int]) -> bool | None:
    """Tell whether a stream that begins so is HTTP/1."""
    return begins_request(head) if client else begins_response(head)


def converse(tools: Tools) -> Conversation:
    """Return the conversation of an HTTP/1 connection."""
    return _Http(tools)


class _Http:
    name = "http"

    def __init__(self, tools: Tools) -> None:
        self.done = False
        self.became: Conversation | None = None
        self._tools = tools
        self._pending: deque[_Exchange] = deque()
        self._sides = {True: _Side(), False: _Side()}

    def feed(self, client: bool, data: bytes, time: int) -> None:
        side = self._sides[client]
        if side.mode == "dead":
            return
        if side.buffer:
            data, side.buffer = side.buffer + data, b""
        while data and not self.done:
            if self.became is not None:
                self.became.feed(client, data, time)
                return
            if side.mode in ("body", "rest"):
                data = self._content(client, side, data, time)
            elif side.mode == "head":
                rest = self._head(client, side, data, time)
                if rest is None:
                    return
                data = rest
            else:
                line, end, rest = data.partition(b"\n")
                if not end:
                    side.buffer = data
                    if len(data) > _MAX_LINE:
                        self._stop(client, side, time)
                    return
                data = rest
                self._line(client, side, line.strip(), time)

    def gap(self, client: bool, size: int, time: int) -> None:
        side = self._sides[client]
        if side.mode not in ("body", "rest") or size > side.left or side.exchange is None:
            self.finish(time)  # out of step: where the next message begins is not known
            self.done = True
            return
        if side.body:
            side.body.lost()
        side.exchange.sent[client] += size
        side.left -= size
        if not side.left:
            self._piece_end(client, side, time)

    def close(self, client: bool, time: int) -> None:
        side = self._sides[client]
        if side.mode == "rest":
            self._end(client, side, time, whole=True)

    def finish(self, time: int) -> None:
        asking = self._sides[True]
        if asking.mode == "head" and begins_request(asking.buffer):
            asking.buffer, data = b"", asking.buffer  # a head that never ended
            self._asked(data, time)
        for client, side in self._sides.items():
            if side.exchange is not None:
                self._end(client, side, time, whole=side.mode == "rest")
        while self._pending:
            self._tell(self._pending.popleft())

    def _head(self, client: bool, side: _Side, data: bytes, time: int) -> bytes | None:
        """Read a head; return what follows it, None while it is not whole."""
        if not side.scanned:
            data = data.lstrip(b"\r\n")
        if not client and self._is_old(data):
            return data if self._answered(b"", time) else None
        line_end = data.find(b"\n") + 1
        if client and line_end and b"HTTP/" not in data[:line_end] and not side.scanned:
            end = self._old(data, line_end)
        else:
            end = head_end(data, side.scanned)
        if end < 0:
            side.buffer, side.scanned = data, len(data)
            if len(data) > MAX_HEAD:
                self._stop(client, side, time)
            return None
        side.scanned = 0
        started = self._asked(data[:end], time) if client else self._answered(data[:end], time)
        if not started:
            self._stop(client, side, time)
            return None
        return data[end:]

    def _stop(self, client: bool, side: _Side, time: int) -> None:
        """Give a side up: where its next message begins is not known."""
        side.mode, side.buffer = "dead", b""
        if not client or self._sides[False].mode == "dead":
            self.finish(time)
            self.done = True

    def _is_old(self, data: bytes) -> bool:
        """Tell whether this answers a request of HTTP/0.9: no head, only a body."""
        waiting = self._pending[0].request if self._pending else None
        old = waiting is not None and not waiting.version and self._pending[0].response is None
        return old and not data.startswith(b"HTTP/")

    def _old(self, data: bytes, line_end: int) -> int:
        """Return where a request without a version ends: at its line, or with its fields."""
        if b":" in data[line_end : line_end + 64].partition(b"\n")[0]:
            return head_end(data, 0)
        return line_end

    def _asked(self, data: bytes, time: int) -> bool:
        if not begins_request(data) or len(self._pending) >= MAX_PENDING:
            return False
        head = request(data)
        exchange = _Exchange(time, request=head)
        self._pending.append(exchange)
        side = self._sides[True]
        side.exchange = exchange
        if head.chunked():
            self._begin(True, side, head, "size", 0)
        else:
            self._begin(True, side, head, "body", head.length() or 0)
        if not side.left and side.mode == "body":
            self._end(True, side, time, whole=True)
        return True

    def _answered(self, data: bytes, time: int) -> bool:
        exchange = next((e for e in self._pending if e.response is None), None)
        head = response(data) if data else Head({}, version="0.9")
        if head is None:
            return False
        if 100 <= head.status < 200 and head.status != 101:
            return True
        if exchange is None:
            exchange = _Exchange(time)
            self._pending.append(exchange)
        exchange.response = head
        side = self._sides[False]
        side.exchange = exchange
        method = exchange.request.method if exchange.request else ""
        if head.status == 101 or (method == "CONNECT" and head.status // 100 == 2):
            self._begin(False, side, head, "body", 0)
            self._end(False, side, time, whole=True)
            self.finish(time)
            self.done = head.status == 101  # what follows is another protocol
            if not self.done:
                self.became = self._tools.again(self._tools)
            return True
        length = head.length()
        if method == "HEAD" or head.status in (204, 304):
            self._begin(False, side, head, "body", 0)
        elif head.chunked():
            self._begin(False, side, head, "size", 0)
        elif length is not None:
            self._begin(False, side, head, "body", length)
        else:
            self._begin(False, side, head, "rest", _ENDLESS)
        if not side.left and side.mode == "body":
            self._end(False, side, time, whole=True)
        return True

    def _begin(self, client: bool, side: _Side, head: Head, mode: Mode, left: int) -> None:
        side.mode, side.left = mode, left
        exchange = side.exchange
        if (left or mode == "size") and exchange is not None:
            named = disposition(head.get("content-disposition")) if head.fields else None
            target = exchange.request.target if exchange.request else ""
            name = named or target.partition("?")[0]

            def done(file_name: str, fields: Fields) -> None:
                self._tell_file(client, exchange, head, file_name, fields)

            side.body = body(head, name, self._tools.carve, done)

    def _content(self, client: bool, side: _Side, data: bytes, time: int) -> bytes:
        taken = data[: side.left]
        if side.exchange is not None:
            side.exchange.sent[client] += len(taken)
        if side.body is not None:
            side.body.write(taken)
        side.left -= len(taken)
        if not side.left:
            self._piece_end(client, side, time)
        return data[len(taken) :]

    def _piece_end(self, client: bool, side: _Side, time: int) -> None:
        chunked = side.exchange and self._of(client, side.exchange)
        if chunked and chunked.chunked():
            side.mode = "after"
        else:
            self._end(client, side, time, whole=True)

    def _line(self, client: bool, side: _Side, line: bytes, time: int) -> None:
        """Take a line of the chunked coding."""
        if side.mode == "after":
            side.mode = "size"
        elif side.mode == "size":
            digits = line.partition(b";")[0].strip()
            try:
                size = int(digits, 16) if 0 < len(digits) <= 15 and digits.isalnum() else -1
            except ValueError:
                size = -1
            if size < 0:
                self._end(client, side, time, whole=False)
                self._stop(client, side, time)
            elif size == 0:
                side.mode = "trailer"
            else:
                side.mode, side.left = "body", size
        elif not line:
            self._end(client, side, time, whole=True)

    def _end(self, client: bool, side: _Side, time: int, *, whole: bool) -> None:
        """Finish a message; tell of exchanges that are complete now, in their order."""
        exchange, side.exchange, side.mode, side.left = side.exchange, None, "head", 0
        if side.body is not None:
            side.body.close(whole=whole)
            side.body = None
        if exchange is not None:
            exchange.ended.add(client)
        while self._pending and self._pending[0].response and False in self._pending[0].ended:
            if self._pending[0].request and True not in self._pending[0].ended:
                break
            self._tell(self._pending.popleft())

    @staticmethod
    def _of(client: bool, exchange: _Exchange) -> Head | None:
        return exchange.request if client else exchange.response

    def _common(self, exchange: _Exchange) -> Fields:
        """Return the fields that a transaction and its files share."""
        fields: Fields = {}
        if head := exchange.request:
            fields |= url(head, self._tools.ports[1])
            fields["http.request.method"] = head.method
            fields["http.version"] = head.version or "0.9"
            for name, header in _REQUEST:
                if value := head.get(header):
                    fields[name] = value
        if answer := exchange.response:
            fields.setdefault("http.version", answer.version)
            if answer.status:
                fields["http.response.status_code"] = answer.status
            if kind := answer.mime_type():
                fields["http.response.mime_type"] = kind
        return fields

    def _tell(self, exchange: _Exchange) -> None:
        fields = self._common(exchange)
        if head := exchange.request:
            fields["http.request.body.bytes"] = exchange.sent[True]
            if kind := head.mime_type():
                fields["http.request.mime_type"] = kind
        if answer := exchange.response:
            fields["http.response.body.bytes"] = exchange.sent[False]
            if location := answer.get("location"):
                fields["http.response.headers.location"] = location
        self._tools.emit("http", exchange.time, fields)

    def _tell_file(
        self, client: bool, exchange: _Exchange, head: Head, name: str, fields: Fields
    ) -> None:
        fields = self._common(exchange) | fields
        if name:
            fields["file.path"] = name
            name = fields["file.name"] = name.replace("\\", "/").rpartition("/")[2] or name
            extension = name.rpartition(".")
            if extension[0] and extension[2].isalnum() and len(extension[2]) <= 16:
                fields["file.extension"] = extension[2]
        if head.status == 206 and fields.get("soc.file.state") == "complete":
            fields["soc.file.state"] = "partial"
        self._tools.emit("file", exchange.time, fields, from_client=client)


_REQUEST: Final = (
    ("user_agent.original", "user-agent"),
    ("http.request.referrer", "referer"),
    ("http.request.headers.host", "host"),
)
