"""Cutting a TCP stream into syslog messages (RFC 6587), without doing I/O.

Each message tells its own framing: a length, a space and "<" is octet counting (3.4.1), all else
ends at LF (3.4.2). A length that does not lead to the next message is wrong: that message then
ends where the next one begins. What a message holds, NUL and invalid UTF-8 too, is kept.
"""

import re
from dataclasses import dataclass, field
from typing import Final

from collectors.frame import MAX_RECORD

MAX_COUNT: Final = 1 << 26
"""A length beyond is no length."""

_COUNT: Final = re.compile(rb"([1-9][0-9]{0,9}) (?=<|\Z)")
_DIGITS: Final = re.compile(rb"[1-9][0-9]{0,9}\Z")
_HEADER: Final = re.compile(rb"([1-9][0-9]{0,9}) (?=<[0-9]{1,3}>)")
_LINE: Final = re.compile(rb"\n(?=<[0-9]{1,3}>)")
_START: Final = 0x3C  # "<"
_LF: Final = 0x0A


@dataclass(slots=True)
class Messages:
    """Messages, and the indexes of those that are not whole."""

    raws: list[bytes] = field(default_factory=list)
    truncated: list[int] = field(default_factory=list)

    def add(self, raw: bytes, most: int) -> None:
        """Add a message, cut to this length."""
        raw = raw.rstrip(b"\r\n")
        if len(raw) > most:
            self.truncated.append(len(self.raws))
            raw = raw[:most]
        if raw:
            self.raws.append(raw)


class MessageCutter:
    """Feed it bytes, it gives the messages they complete; holds one unfinished message."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._skip = 0  # bytes of an oversize message that are still to come
        self._skip_line = False  # so is the rest of an oversize line
        self._need = 0  # bytes in the buffer below which nothing can be complete
        self._line = False  # the buffer is a line whose end has not come
        self._counted = False  # the last message had a length

    @property
    def held(self) -> int:
        """Bytes of the unfinished message."""
        return len(self._buffer)

    def feed(self, data: bytes, most: int = MAX_RECORD) -> Messages:
        """Return the messages that these bytes complete, each cut to `most` bytes."""
        found = Messages()
        data = self._skipped(data)
        if not data:
            return found
        plain = self._line and b"\n" not in data and (not self._counted or b"<" not in data)
        self._buffer += data
        if len(self._buffer) < self._need or (plain and len(self._buffer) <= most):
            return found
        text = bytes(self._buffer)
        at = self._cut(text, found, most)
        self._buffer = bytearray(text[at:])
        return found

    def rest(self, most: int = MAX_RECORD) -> Messages:
        """Return what is left at the end of the stream; a message without its end is flagged."""
        found, text = Messages(), bytes(self._buffer)
        self._buffer.clear()
        at = 0
        while head := _COUNT.match(text, at):
            end = _belied(text, head.end())
            if end is None:
                if text[head.end() :]:
                    found.truncated.append(len(found.raws))
                    found.raws.append(text[head.end() :][:most])
                return found
            found.add(text[head.end() : end], most)
            more = MessageCutter()
            at = end + more._cut(text[end:], found, most)
        if line := text[at:].rstrip(b"\r\n"):
            found.add(line, most)
        return found

    def _skipped(self, data: bytes) -> bytes:
        """Return what is left of the bytes behind an oversize message."""
        if self._skip:
            skip = min(self._skip, len(data))
            self._skip -= skip
            return data[skip:]
        if self._skip_line:
            _line, end, data = data.partition(b"\n")
            self._skip_line = not end
        return data

    def _cut(self, text: bytes, found: Messages, most: int) -> int:
        """Take the whole messages of a text; return where the unfinished one begins."""
        self._need, self._line = 0, False
        at = self._lines(text, found, most)
        while at < len(text):
            head = _COUNT.match(text, at)
            if head and int(head[1]) <= MAX_COUNT:
                end = self._message(text, head, found, most)
            elif _DIGITS.match(text, at):
                break  # a length whose end has not come
            else:
                end = self._text(text, at, found, most)
            if end is None:
                break
            at = end
        return at

    def _lines(self, text: bytes, found: Messages, most: int) -> int:
        """Take the lines of a text all of whose lines begin as messages do: the usual case."""
        end = text.rfind(b"\n") + 1
        if (
            not end
            or text[0] != _START
            or text.count(b"\n<", 0, end) + 1 != text.count(b"\n", 0, end)
        ):
            return 0
        lines = text[: end - 1].split(b"\n")
        if end - 1 > most or b"\r" in text:
            for line in lines:
                found.add(line, most)
        else:
            found.raws.extend(lines)
        self._counted = False
        return end

    def _text(self, text: bytes, at: int, found: Messages, most: int) -> int | None:
        end = text.find(b"\n", at)
        if self._counted and text[at] != _START:  # perhaps what a wrong length left
            header = _HEADER.search(text, at, end if end >= 0 else len(text))
            if header:
                found.add(text[at : header.start()], most)
                return header.start()
        if end >= 0:
            found.add(text[at:end], most)
            self._counted = self._counted and text[at] == _LF
            return end + 1
        if len(text) - at > most:
            found.add(text[at:], most)
            self._skip_line = True
            return len(text)
        self._line = True
        return None

    def _message(
        self, text: bytes, head: re.Match[bytes], found: Messages, most: int
    ) -> int | None:
        self._counted = True
        start, size = head.end(), int(head[1])
        end = start + size
        if end <= len(text):
            if not _begins(text, end):
                end = _next_header(text, start) or _line_end(text, start) or end
            found.add(text[start:end], most)
            return end
        if len(text) - start < min(size, most):
            self._need = start - head.start() + min(size, most)
            return None
        if wrong := _belied(text, start):
            found.add(text[start:wrong], most)
            return wrong
        found.truncated.append(len(found.raws))
        found.raws.append(text[start : start + most])
        self._skip = end - len(text)
        return len(text)


def _begins(text: bytes, at: int) -> bool:
    """Tell whether a message may begin here: nothing speaks against it."""
    return (
        at == len(text)
        or text[at] in (_START, _LF, 0x0D)
        or _COUNT.match(text, at) is not None
        or _DIGITS.match(text, at) is not None
    )


def _next_header(text: bytes, at: int) -> int | None:
    header = _HEADER.search(text, at)
    return header.start() if header else None


def _line_end(text: bytes, at: int) -> int | None:
    end = text.find(b"\n", at)
    return end + 1 if end >= 0 else None


def _belied(text: bytes, at: int) -> int | None:
    """Return where a message begins inside one that is not complete: its length is not believed.

    Whoever gets a line "60000000 <13>" into a log must not have what follows it passed over.
    """
    line = _LINE.search(text, at)
    return _chained(text, at) or (line.end() if line else None)


def _chained(text: bytes, at: int) -> int | None:
    """Return where a message begins whose length leads to another one, or to the text's end."""
    for header in _HEADER.finditer(text, at):
        end = header.end() + int(header[1])
        if end == len(text) or (end < len(text) and _HEADER.match(text, end)):
            return header.start()
    return None
