"""Detection over files in several processes: the same findings in the same order as in one.

The input is cut before anything is decoded: files read by lines into ranges, others stay whole.
Each process takes the next part and judges it with an engine of its own (a fork of the loaded one).
What it finds it writes to a file, so that nobody waits for somebody else's turn; this process reads
what is in these files in the order of the input, and counts the correlations.
"""

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from types import FrameType
from typing import Final, NamedTuple, NoReturn

from collectors.reading import Span
from detectors.sigma.correlation.match import Match
from soc.errors import SocError
from soc.model.finding import Finding
from soc.run.captures import Captures
from soc.run.collecting import Reading, parts_of, read_all
from soc.run.detection import Detection
from soc.run.handover import Inbox, Outbox, Section
from soc.run.sorting import Sorting
from soc.run.summary import Summary

_FORK: Final = multiprocessing.get_context("fork")
PART: Final = 1 << 22
"""Bytes of a file that are judged together, about."""


@dataclass(frozen=True, slots=True)
class Part:
    """A file or a part of it."""

    path: Path
    span: Span | None

    @property
    def size(self) -> int:
        """Return its bytes."""
        if self.span:
            return self.span.stop - self.span.start
        return self.path.stat().st_size if self.path.is_file() else 0


@dataclass(frozen=True, slots=True)
class Job:
    """What the processes do: read these parts in this way and judge them by these rules."""

    parts: Sequence[Part]
    how: Reading
    rules: Sequence[Path]
    loaded: Detection


def parts_in(files: Sequence[Path], how: Reading) -> list[Part]:
    """Return the parts of files that can be judged apart."""
    return [Part(path, span) for path in files for span in parts_of(path, how, PART)]


class _Judged(NamedTuple):
    """What came of one event, or of a file: findings, matches of correlations, or a trouble."""

    findings: Sequence[Finding] = ()
    matches: Sequence[Match] = ()
    problem: SocError | None = None
    note: str = ""
    events: int = 0
    unparsed: int = 0


@dataclass(slots=True)
class _Worker:
    """A process, the line to it, and the part that it judges (-1: none)."""

    process: BaseProcess
    line: Connection
    inbox: Inbox
    part: int = -1


class Workers:
    """Processes that judge parts of files; make them with `workers`."""

    def __init__(self, job: Job) -> None:
        self._job = job
        self._next = 0
        self._done: dict[int, Section] = {}
        self._workers: list[_Worker] = []

    def start(self, number: int) -> None:
        """Start this many processes, as far as there are parts for them."""
        for _ in range(min(number, len(self._job.parts))):
            here, there = _FORK.Pipe()
            ours = [worker.line for worker in self._workers]
            process = _FORK.Process(target=_work, args=(there, [*ours, here], self._job))
            process.start()
            there.close()
            self._workers.append(_Worker(process, here, Inbox(here)))
        for worker in self._workers:
            self._give(worker)

    def findings(
        self,
        summary: Summary,
        problem: Callable[[SocError], None],
        note: Callable[[str], None],
        advance: Callable[[int], None],
    ) -> Iterator[Finding]:
        """Yield what one process would; raise SocError when a process died."""
        correlating, matches = self._job.loaded.correlating(), Sorting()
        for number, part in enumerate(self._job.parts):
            while number not in self._done:
                self._listen()
            for judged in self._done.pop(number):
                if judged.problem is not None:
                    problem(judged.problem)
                if judged.note:
                    note(judged.note)
                summary.events += judged.events
                summary.unparsed += judged.unparsed
                for match in judged.matches:
                    matches.add(match)
                for finding in judged.findings:
                    summary.found(finding)
                    yield finding
            advance(part.size)
        for finding in correlating.count(matches.drain()):
            summary.found(finding)
            yield finding

    def _give(self, worker: _Worker) -> None:
        """Give a process the next part, or nothing more to do."""
        worker.part = self._next if self._next < len(self._job.parts) else -1
        self._next += 1
        try:
            worker.line.send(worker.part)
        except OSError as error:
            if worker.part >= 0:
                raise self._died(worker) from error

    def _listen(self) -> None:
        """Wait until a process is done with its part."""
        busy = {worker.line: worker for worker in self._workers if worker.part >= 0}
        for line in wait(list(busy)):
            worker = busy[line]  # type: ignore[index]
            try:
                told = worker.inbox.receive()
            except (EOFError, OSError) as error:
                raise self._died(worker) from error
            if isinstance(told, str):
                raise self._lost(worker, f"could not judge its part ({told})")
            self._done[worker.part] = told
            self._give(worker)

    def _died(self, worker: _Worker) -> SocError:
        worker.process.join()
        code = worker.process.exitcode or 0
        how = f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
        return self._lost(worker, f"ended before its part was judged ({how})")

    def _lost(self, worker: _Worker, what: str) -> SocError:
        return SocError(
            f"a process of --jobs {what}; findings are missing",
            where=str(self._job.parts[worker.part].path),
            hint="run it again with --jobs 1",
        )

    def close(self) -> None:
        """End the processes."""
        for worker in self._workers:
            worker.line.close()
            if worker.part >= 0:
                worker.process.terminate()
        for worker in self._workers:
            worker.process.join()


@contextmanager
def workers(job: Job, number: int) -> Iterator[Workers]:
    """Start this many processes, and end them with the block."""
    made = Workers(job)
    try:
        made.start(number)
        yield made
    finally:
        made.close()


def _work(line: Connection, others: Sequence[Connection], job: Job) -> None:
    """Judge the parts that are asked for until there are no more (runs in a process of its own)."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # who started us ends us
    signal.signal(signal.SIGTERM, _end)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    for other in others:
        other.close()
    with closing(Outbox(line)) as outbox, suppress(EOFError, OSError):  # who started us is gone
        while (number := line.recv()) >= 0:
            outbox.send(_judged(job, job.parts[number]))


def _end(signum: int, frame: FrameType | None) -> NoReturn:
    """End in order, so that carved files and child processes of ours go, too."""
    raise SystemExit(128 + signum)


def _end_with_parent() -> None:
    """End this process when the one that started it is gone, also in the middle of a part."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os.kill(os.getpid(), signal.SIGTERM)


def _judged(job: Job, part: Part) -> Iterator[_Judged]:
    """Yield what came of the events of a part, and last how many there were."""
    summary, loaded = Summary(), job.loaded
    correlating = loaded.correlating()
    told: list[_Judged] = []

    def problem(error: SocError) -> None:
        told.append(_Judged(problem=error))

    def note(error: SocError) -> None:
        told.append(_Judged(note=str(error)))

    with Captures(job.how, None, job.rules, problem, note) as captures:
        events = read_all(
            [part.path], job.how, problem=problem, capture=captures.events, span=part.span
        )
        for event, findings in loaded.judged(events, summary):
            yield from told
            told.clear()
            if findings:
                matches = Sorting()
                correlating.collect(event, findings, matches)
                heard = [_portable(finding) for finding in correlating.heard(findings)]
                yield _Judged(heard, list(matches.drain()))
    yield from told
    yield _Judged(events=summary.events, unparsed=summary.unparsed)


def _portable(finding: Finding) -> Finding:
    """Return the finding with its reason made, for another process."""
    return finding._replace(why=finding.reason)
