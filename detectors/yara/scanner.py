"""Scanning from the outside: files go to a child process, results come back, whatever happens.

The child is killed when it is late and started anew when it died; the file that it was busy with
is told as not judged and not tried again, so that no file can stop the others.
"""

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from types import TracebackType
from typing import Any, Final

from detectors.yara.limits import Limits
from detectors.yara.load import YaraReport, YaraRule
from detectors.yara.walk import OpenFile
from soc.errors import ContentError

START: Final = 60.0
"""Seconds that the child may take to compile the rules."""
GRACE: Final = 3.0
"""Seconds beyond the limit after which the child is killed."""
MESSAGE: Final = 1 << 18


@dataclass(frozen=True, slots=True)
class Found:
    """A string of the rule that was there: where, how long, and its first bytes as safe text."""

    identifier: str
    offset: int
    length: int
    data: str


@dataclass(frozen=True, slots=True)
class Match:
    """A rule matched. `member` are the names inside of an archive, outermost first.

    `size` and `sha256` are those of the member, 0 and "" for the file itself; `total` counts the
    places where strings were seen, of which `strings` are some.
    """

    rule: YaraRule
    strings: tuple[Found, ...]
    total: int
    member: tuple[str, ...] = ()
    size: int = 0
    sha256: str = ""


@dataclass(frozen=True, slots=True)
class Result:
    """What came of one file.

    `looked_at` is the SHA-256 of what was read, `digests` those of the whole file when it was
    read whole. `problems`: why some rule did not judge it; `notes`: parts not looked into.
    """

    file: OpenFile
    size: int
    looked_at: str
    digests: Mapping[str, str]
    matches: tuple[Match, ...]
    problems: tuple[str, ...]
    notes: tuple[str, ...]


class _Lost(Exception):
    """The child is gone, or of no use."""


class Scanner:
    """Judges open files by rules; use it as a context manager.

    Raises ContentError when the rules cannot be compiled within the limits.
    """

    def __init__(self, rules: YaraReport, limits: Limits | None = None) -> None:
        self._rules = {(rule.info.path, rule.name): rule for rule in rules.rules}
        self._sources = dict(rules.sources)
        self._limits = limits or Limits()
        self._child: _Child | None = None
        self.restarts = 0

    def __enter__(self) -> "Scanner":
        self._child = _Child(self._sources, self._limits)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the child process."""
        if self._child is not None:
            self._child.end()
            self._child = None

    @property
    def pid(self) -> int:
        """Return the process id of the child, 0 when there is none."""
        return self._child.process.pid if self._child else 0

    def scan(self, file: OpenFile) -> Result:
        """Return what the rules say about an open file."""
        if self._child is None:
            self._child = _Child(self._sources, self._limits)
            self.restarts += 1
        matches: list[Match] = []
        try:
            self._child.send({}, file.descriptor)
            deadline = time.monotonic() + self._limits.seconds + GRACE
            while "match" in (answer := self._child.receive(deadline)):
                matches += self._match(answer["match"])
                if len(matches) > self._limits.matches:
                    raise _Lost("its scanner broke the limits and was ended")
            return _result(file, answer, matches)
        except (_Lost, KeyError, TypeError, ValueError) as error:
            self.close()
            reason = str(error) if isinstance(error, _Lost) else "its scanner gave no sense"
            size = file.status.st_size
            return Result(file, size, "", {}, tuple(matches), (reason,), ())

    def _match(self, answer: Any) -> list[Match]:  # noqa: ANN401 - checked here
        rule = self._rules.get((str(answer["file"]), str(answer["rule"])))
        if rule is None:  # it stands in the same file as a good one, and was rejected
            return []
        strings = tuple(
            Found(str(name), int(at), int(length), str(data))
            for name, at, length, data in answer["strings"][: self._limits.strings]
        )
        member = answer["member"]
        names = tuple(str(name) for name in member.get("names", ()))
        size, digest = int(member.get("size", 0)), str(member.get("sha256", ""))
        return [Match(rule, strings, int(answer["total"]), names, size, digest)]


def _result(file: OpenFile, answer: Any, matches: list[Match]) -> Result:  # noqa: ANN401
    done = answer["done"]
    return Result(
        file,
        int(done.get("size", file.status.st_size)),
        str(done.get("looked_at", "")),
        {str(name): str(value) for name, value in done.get("digests", {}).items()},
        tuple(matches),
        tuple(str(problem) for problem in answer["problems"]),
        tuple(str(note) for note in answer["notes"]),
    )


class _Child:
    """The process `detectors.yara.worker` and the socket to it."""

    def __init__(self, sources: Mapping[str, str], limits: Limits) -> None:
        self._limits = limits
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self._socket = ours
            self.process = subprocess.Popen(
                [sys.executable, "-P", "-m", "detectors.yara.worker"],
                stdin=theirs.fileno(),
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                cwd="/",
                env={"PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
            )
        try:
            self._start(sources)
        except BaseException:
            self.end()
            raise

    def _start(self, sources: Mapping[str, str]) -> None:
        descriptor = os.memfd_create("rules")
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(json.dumps(dict(sources)).encode())
            stream.flush()
            os.lseek(descriptor, 0, os.SEEK_SET)
            try:
                self.send(asdict(self._limits), descriptor)
                answer = self.receive(time.monotonic() + START)
            except _Lost as error:
                answer = {"failed": str(error)}
        if "ready" not in answer:
            raise ContentError(
                f"the scanner does not start: {answer.get('failed', 'no reason given')}",
                hint="soc rules check names bad rules",
            )

    def send(self, message: Mapping[str, Any], descriptor: int) -> None:
        """Send a message and an open file; raise _Lost."""
        try:
            socket.send_fds(self._socket, [json.dumps(message).encode()], [descriptor])
        except OSError as error:
            raise self._lost() from error

    def receive(self, deadline: float) -> Any:  # noqa: ANN401 - the caller checks what it takes
        """Return the next answer; raise _Lost when none comes in time, ValueError for nonsense."""
        self._socket.settimeout(max(deadline - time.monotonic(), 0.001))
        try:
            data = self._socket.recv(MESSAGE)
        except TimeoutError as error:
            reason = f"its scan did not end within {self._limits.seconds} s and was ended"
            raise _Lost(reason) from error
        except OSError as error:
            raise self._lost() from error
        if not data:
            raise self._lost()
        try:
            return json.loads(data)
        except RecursionError as error:
            raise ValueError("nested too deeply") from error

    def _lost(self) -> _Lost:
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(GRACE)
        code = self.process.returncode
        how = f"by signal {-code}" if code and code < 0 else f"with code {code}"
        return _Lost(f"its scanner ended {how} and was started anew")

    def end(self) -> None:
        """Kill the process and close the socket."""
        self._socket.close()
        self.process.kill()
        self.process.wait()
