"""The process that scans: gets open files, answers with matches, can open nothing itself.

`python -m detectors.yara.worker` with a Unix socket (SOCK_SEQPACKET) as standard input. Messages
are JSON objects. The first one brings the limits and the descriptor of a file with the rules;
the answer is {"ready": true} or {"failed": why}. Each further one brings the descriptor of a file
to scan; the answers are a "match" for each match and a "done" at the end. When the socket is
closed, the process ends. The other side kills it when it is late.
"""

import json
import os
import resource
import socket
import time
from collections.abc import Iterator
from hashlib import sha256
from typing import Any, Final

from detectors.yara.archives import members
from detectors.yara.content import Content, content
from detectors.yara.engine import compiled, engine
from detectors.yara.limits import Limits
from soc.text import safe

MESSAGE: Final = 1 << 16
"""Bytes of a message, at most."""
NOTES: Final = 20
"""Things that were not looked into and are told, of one file."""

Answer = dict[str, Any]


def main() -> None:
    """Serve the socket until it is closed."""
    connection = socket.socket(fileno=0)
    message, descriptors = _receive(connection)
    try:
        with os.fdopen(descriptors[0], "rb") as stream:
            sources = json.load(stream)
        scanning = _Scanning(sources, Limits(**message))
        _confine(message["memory"])
    except Exception as error:
        _send(connection, {"failed": f"{type(error).__name__}: {error}"[:1000]})
        return
    _send(connection, {"ready": True})
    while True:
        message, descriptors = _receive(connection)
        if not descriptors:
            return
        try:
            for answer in scanning.scan(descriptors[0]):
                _send(connection, answer)
        finally:
            os.close(descriptors[0])


def _receive(connection: socket.socket) -> tuple[Any, list[int]]:
    data, descriptors, _flags, _address = socket.recv_fds(connection, MESSAGE, 1)
    return json.loads(data or b"null"), descriptors


def _send(connection: socket.socket, answer: Answer) -> None:
    connection.send(json.dumps(answer, separators=(",", ":")).encode())


def _confine(memory: int) -> None:
    """Give up what a scan does not need: files, processes, memory beyond the limit.

    One descriptor is left, the one that the file to scan takes: while it is open, nothing else
    can be opened, not even a socket.
    """
    for name in ("encodings.idna", "encodings.utf_16_le"):  # later there is no opening of modules
        __import__(name)
    for kind, value in (
        (resource.RLIMIT_AS, memory),
        (resource.RLIMIT_NOFILE, 4),
        (resource.RLIMIT_NPROC, 0),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_CORE, 0),
    ):
        _soft, hard = resource.getrlimit(kind)
        value = value if hard == resource.RLIM_INFINITY else min(value, hard)
        resource.setrlimit(kind, (value, value))


class _Scanning:
    """The rules, and what one file may cost."""

    def __init__(self, sources: dict[str, str], limits: Limits) -> None:
        self._yara = engine()
        self._rules = compiled(sources)
        self._sources = sources
        self._single: dict[str, Any] = {}
        self._limits = limits

    def scan(self, descriptor: int) -> Iterator[Answer]:
        """Yield a "match" for each match in a file and its members, then the "done"."""
        self._deadline = time.monotonic() + self._limits.seconds
        self._left = self._limits.matches
        self._problems: list[str] = []
        self._notes: list[str] = []
        done: Answer = {}
        try:
            whole = content(descriptor, self._limits.size)
            done = {"size": whole.size, "looked_at": whole.looked_at, "digests": whole.digests}
            if whole.cut:
                self._note(f"only {len(whole.data)} of {whole.size} bytes were looked at")
            yield from self._judge(whole)
            for member in members(whole.data, self._limits, self._note):
                if time.monotonic() >= self._deadline:
                    self._problem(f"not all was looked at within {self._limits.seconds} s")
                    break
                names = [_text(name, self._limits.data * 2) for name in member.names]
                yield from self._judge(member.data, names)
        except OSError as error:
            self._problem(f"cannot be read: {error.strerror}")
        except MemoryError:
            self._problem("needs more memory than a scan may take")
        yield {"done": done, "problems": self._problems, "notes": self._notes}

    def _note(self, text: str) -> None:
        if len(self._notes) < NOTES:
            self._notes.append(safe(text)[:500])

    def _problem(self, text: str) -> None:
        if len(self._problems) < NOTES:
            self._problems.append(safe(text)[:500])

    def _judge(self, what: Content | bytes, names: list[str] | None = None) -> Iterator[Answer]:
        data = what.data if isinstance(what, Content) else what
        inside: Answer = {}
        if names:
            inside = {"names": names, "size": len(data), "sha256": sha256(data).hexdigest()}
        for match in self._matches(data):
            if self._left <= 0:
                self._note(f"more than {self._limits.matches} matches")
                return
            self._left -= 1
            found, total = self._strings(match, what)
            place = {"file": match.namespace, "rule": match.rule}
            yield {"match": place | {"strings": found, "total": total, "member": inside}}

    def _matches(self, data: bytes) -> list[Any]:
        seconds = max(int((self._deadline - time.monotonic()) / 2), 1)
        try:
            return self._match(self._rules, data, seconds)
        except self._yara.TimeoutError:
            return self._one_by_one(data)
        except self._yara.Error as error:
            self._problem(f"the scan failed: {error}")
            return []

    def _one_by_one(self, data: bytes) -> list[Any]:
        """Find out which rules do not end, and have the others judge."""
        found = []
        for name, source in self._sources.items():
            if time.monotonic() >= self._deadline:
                self._problem(f"not all rules ended within {self._limits.seconds} s")
                break
            if name not in self._single:
                self._single[name] = compiled({name: source})
            try:
                found += self._match(self._single[name], data, 1)
            except self._yara.TimeoutError:
                self._problem(f"{os.path.basename(name)} did not end within 1 s: left out here")
            except self._yara.Error as error:
                self._problem(f"{os.path.basename(name)} failed: {error}")
        return found

    def _match(self, rules: Any, data: bytes, seconds: int) -> list[Any]:  # noqa: ANN401
        def warned(_kind: int, string: Any) -> None:  # noqa: ANN401
            self._note(f"{string.rule}: {string.string} matches more often than is counted")

        found: list[Any] = rules.match(
            data=data,
            timeout=seconds,
            fast=True,
            warnings_callback=warned,
            console_callback=lambda _text: None,
        )
        return found

    def _strings(self, match: Any, what: Content | bytes) -> tuple[list[Any], int]:  # noqa: ANN401
        """Return the first matched strings, a few of each, and how many there are."""
        each = max(self._limits.strings // max(len(match.strings), 1), 1)
        found: list[Any] = []
        total = 0
        for string in match.strings:
            instances = string.instances
            total += len(instances)
            for one in instances[:each] if len(found) < self._limits.strings else ():
                at = what.place(one.offset) if isinstance(what, Content) else one.offset
                text = _text(one.matched_data, self._limits.data)
                found.append([string.identifier[:128], at, one.matched_length, text])
        return found, total


def _text(data: bytes, most: int) -> str:
    """Return bytes as visible text: UTF-16 of plain letters as these, what is no text escaped."""
    data = data[:most]
    if len(data) > 2 and data[1::2].strip(b"\0") == b"" and b"\0" not in data[::2]:
        data = data[::2]
    return safe(data.decode("utf-8", "backslashreplace"))


if __name__ == "__main__":
    main()
