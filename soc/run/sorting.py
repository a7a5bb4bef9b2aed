"""Matches of whole files in the order of time, however many: sorted in runs on disk."""

import heapq
import json
from collections.abc import Iterator
from contextlib import ExitStack
from tempfile import TemporaryFile
from typing import IO, Final

from detectors.sigma.correlation.match import Match

RUN: Final = 50_000
"""Matches that are sorted in memory before they are written out."""


class Sorting:
    """Takes matches in any order and gives them back in the order of (time, event id)."""

    def __init__(self, run: int = RUN) -> None:
        self._run = run
        self._files: list[IO[str]] = []
        self._matches: list[Match] = []

    def add(self, match: Match) -> None:
        """Take a match."""
        self._matches.append(match)
        if len(self._matches) >= self._run:
            self._spill()

    def _spill(self) -> None:
        file = TemporaryFile("w+", encoding="ascii")  # noqa: SIM115 - `drain` closes it
        self._files.append(file)
        for match in self._sorted():
            file.write(json.dumps(match.as_list()) + "\n")
        file.seek(0)

    def _sorted(self) -> list[Match]:
        found, self._matches = self._matches, []
        return sorted(found, key=_key)

    def drain(self) -> Iterator[Match]:
        """Yield all matches in order and forget them."""
        with ExitStack() as files:
            runs = [_read(files.enter_context(file)) for file in self._files]
            self._files = []
            yield from heapq.merge(*runs, self._sorted(), key=_key)


def _read(file: IO[str]) -> Iterator[Match]:
    for line in file:
        yield Match.of(json.loads(line))


def _key(match: Match) -> tuple[int, str, str]:
    return match.time, match.id, match.rule
