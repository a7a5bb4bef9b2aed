"""Captures to events: flows, transactions and files; what was carved is judged by YARA."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory
from types import TracebackType
from typing import Final

from collectors.packets.reading import read_capture
from collectors.reading import Progress
from detectors.yara.events import Origin
from detectors.yara.scanner import Scanner
from soc.errors import ContentError, SocError
from soc.files import FileStore
from soc.model.event import Event
from soc.run.collecting import Reading
from soc.run.scanning import file_events, yara_rules

_CARRIED: Final = ("source.", "destination.", "network.", "url.", "http.", "file.", "host.", "log.")
"""Fields of a carved file's event that say how it came in."""


@dataclass
class Captures:
    """Reads captures; use it as a context manager.

    Carved files are kept in the folder `kept`, without one for as long as this is open. `rules`
    are the configured rule paths. `problem` is told what could not be judged, `note` that nothing
    can be, because yara-python is missing or no rule is usable.
    """

    how: Reading
    kept: Path | None
    rules: Sequence[Path]
    problem: Callable[[SocError], None]
    note: Callable[[SocError], None]
    _stack: ExitStack = field(default_factory=ExitStack)

    def __enter__(self) -> "Captures":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stack.close()

    @cached_property
    def _files(self) -> FileStore:
        if self.kept is not None:
            return FileStore(self.kept)
        scratch = TemporaryDirectory(prefix="soc-files-")
        return FileStore(Path(self._stack.enter_context(scratch)))

    @cached_property
    def _scanner(self) -> Scanner | None:
        try:
            return self._stack.enter_context(Scanner(yara_rules((), self.rules)))
        except ContentError as error:
            self.note(error)
            return None

    def events(self, path: Path, progress: Progress) -> Iterator[Event]:
        """Yield the events of a capture; YARA's follow the file's they are about."""
        for event in read_capture(
            path,
            received=self.how.received,
            observer=self.how.observer,
            unit=self.how.unit,
            files=self._files,
            progress=progress,
        ):
            yield event
            if event["event.dataset"] == "file" and self._scanner:
                yield from self._scanned(event, self._scanner)

    def _scanned(self, carved: Event, scanner: Scanner) -> Iterator[Event]:
        digest = carved.get("soc.file.stored") or carved.get("file.hash.sha256")
        copy = self._files.path(digest) if digest else None
        if copy is None:
            return
        known = {name: v for name, v in carved.items() if name.startswith(_CARRIED)}
        origin = Origin(self.how.observer, self.how.received, known, carrier=carved["event.id"])
        for event in file_events(scanner, copy, origin, self.problem):
            yield event | {"@timestamp": carved["@timestamp"]}
