"""Changed rules are taken up without a restart; a set that got worse is not.

The files are looked at every few seconds (names, times, sizes), and when somebody asks (SIGHUP).
A new set replaces the old one whole. It does not when a document that was loaded before is now
rejected, when no rule is left, or when a pipeline is broken: then the old set stays.
"""

import logging
import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

import rules
from detectors.sigma.load import LoadReport, Rejection, rule_files
from soc.errors import ContentError
from soc.run.detection import Detection, detection
from soc.run.rules_parking import Table

log = logging.getLogger("soc.run")

EVERY: Final = 5.0
"""Seconds between two looks at the files."""
SHOWN: Final = 10

Stamp = tuple[str, int, int, int]


class Reloader:
    """Keeps the rule set of one process. `look` gives the rules to leave out, by their ids.

    `parked` are those that `current` leaves out.
    """

    def __init__(
        self,
        paths: Sequence[Path],
        state: Path,
        look: Callable[[], Table] = dict,
        *,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self.paths = tuple(paths)
        self.state = state
        self.now = now
        self.look = look
        self._stamps = self._stamped()
        self._whole = detection(self.paths, state=state)
        self.parked = look()
        self.current = self._whole.without(self.parked)
        self._asked = False
        self._next = now() + EVERY

    def ask(self) -> None:
        """Have the next `poll` load the files, whether they look changed or not."""
        self._asked = True

    def poll(self) -> Detection | None:
        """Return the new rule set when there is one, None while the current one stays."""
        if not self._asked and self.now() < self._next:
            return None
        parked = self.look()  # may fail: before anything is taken note of
        asked, self._asked = self._asked, False
        changed = self._reload(asked)
        self._next = self.now() + EVERY
        if not changed and parked.keys() == self.parked.keys():
            return None
        self.parked = parked
        self.current = self._whole.without(parked)
        return self.current

    def _reload(self, asked: bool) -> bool:
        stamps = self._stamped()
        if stamps == self._stamps and not asked:
            return False
        self._stamps = stamps
        try:
            new = detection(self.paths, state=self.state)
        except ContentError as error:
            self._refuse(str(error))
            return False
        lost = worse(self._whole.report, new.report)
        if lost:
            for rejection in lost[:SHOWN]:
                log.error("%s", rejection)
            self._refuse(f"{len(lost)} documents that were loaded are rejected now")
            return False
        self._whole = new
        return True

    def _refuse(self, why: str) -> None:
        count = self.current.report.in_force
        log.error("rules not reloaded, the %d loaded before stay in force: %s", count, why)

    def _stamped(self) -> tuple[Stamp, ...]:
        try:
            return tuple(_stamp(path) for path in rule_files([*self.paths, rules.PIPELINES]))
        except ContentError:  # a folder is gone: loading says so
            return ()


def _stamp(path: Path) -> Stamp:
    try:
        status = os.stat(path)
    except OSError:
        return str(path), 0, 0, 0
    return str(path), status.st_mtime_ns, status.st_size, status.st_ino


def worse(old: LoadReport, new: LoadReport) -> list[Rejection]:
    """Return the rejections of documents that were loaded before.

    A document is known again by its file: one that had more of them loaded than it has now, and
    has rejected ones (or lies in a folder that cannot be read any more), got worse.
    """
    before, after = _loaded(old), _loaded(new)
    lost = [path for path, mine in before.items() if mine - after.get(path, set())]
    return [
        one
        for one in new.rejected
        if any(path == one.path or path.startswith(os.path.join(one.path, "")) for path in lost)
    ]


def _loaded(report: LoadReport) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for rule in report.everything:
        found.setdefault(rule.info.path, set()).add(rule.id)
    for one in report.filters:
        found.setdefault(one.path, set()).add(f"filter {one.title}")
    return found
