"""What `soc doctor` looks at: a check says what it found and, where that is bad, the fix."""

import glob
import os
import re
import shutil
import sqlite3
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

from soc.config import Sources
from soc.errors import SocError
from soc.i18n import _, ngettext
from soc.run.settings import Settings, read

if TYPE_CHECKING:
    from detectors.sigma.rule import Rule
    from soc.store.base import Store

State = Literal["ok", "warning", "failure"]

OLDEST_PYTHON: Final = (3, 11)
OLDEST_SQLITE: Final = (3, 35)
BUILT: Final = datetime(2026, 11, 1, tzinfo=UTC)
"""A clock that is behind this day is wrong."""
LOW_DISK: Final = 1 << 30
NO_DISK: Final = 100 << 20
_EXTRA: Final = re.compile(r"""extra\s*==\s*["']([^"']+)["']""")
_NAME: Final = re.compile(r"[A-Za-z0-9._-]+")


@dataclass(frozen=True, slots=True)
class Check:
    """What was looked at, how it is, what was seen, and what to do where it is not well."""

    name: str
    state: State
    detail: str
    fix: str = ""


Checks = Iterable[Check]


def examine(sources: Sources, now: datetime) -> Iterator[Check]:
    """Yield every check; one that breaks is a failure and does not end the others."""
    settings, problems = read(sources)
    yield from _guarded("python", _python)
    yield from _guarded("sqlite", _sqlite)
    yield from _guarded("packages", _packages)
    yield from _guarded("clock", lambda: _clock(now))
    for problem in problems:
        where = f"{problem.where}: " if problem.where else ""
        yield Check("config", "failure", f"{where}{problem.message}", problem.hint)
    if settings is None:
        return
    yield from _guarded("config", lambda: _config(settings.config.files))
    yield from _guarded("state", lambda: _state(settings.paths.state))
    yield from _guarded("rules", lambda: _rules(settings))
    yield from _guarded("store", lambda: _store(settings))
    yield from _guarded("parked", lambda: _parked(settings))
    yield from _guarded("inputs", lambda: _inputs(settings))
    yield from _guarded("collector", lambda: _collector(settings.paths.state, now))


def _guarded(name: str, check: Callable[[], Checks]) -> Iterator[Check]:
    try:
        yield from check()
    except SocError as error:
        where = f"{error.where}: " if error.where else ""
        yield Check(name, "failure", f"{where}{error.message}", error.hint)
    except Exception as error:  # a broken part is what doctor is there to name
        detail = f"{type(error).__name__}: {error}"
        yield Check(
            name, "failure", detail, _("reinstall soc: pip install --force-reinstall metrosoc")
        )


def _python() -> Checks:
    version = ".".join(map(str, sys.version_info[:3]))
    if tuple(sys.version_info[:2]) < OLDEST_PYTHON:
        yield Check("python", "failure", version, _("install Python 3.11 or newer"))
    else:
        yield Check("python", "ok", version)


def _sqlite() -> Checks:
    version = sqlite3.sqlite_version
    connection = sqlite3.connect(":memory:")
    try:
        connection.execute("CREATE VIRTUAL TABLE probe USING fts5(text)")
        full_text = True
    except sqlite3.OperationalError:
        full_text = False
    finally:
        connection.close()
    if sqlite3.sqlite_version_info < OLDEST_SQLITE:
        yield Check("sqlite", "failure", version, _("install a Python with SQLite 3.35 or newer"))
    elif not full_text:
        yield Check(
            "sqlite",
            "failure",
            _("{version} without FTS5").format(version=version),
            _("install a Python whose SQLite has FTS5"),
        )
    else:
        yield Check("sqlite", "ok", _("{version} with FTS5").format(version=version))


def _packages() -> Checks:
    """One line for what soc needs, one for each extra; tools of developers are left out."""
    groups: dict[str, list[str]] = {"": []}
    for requirement in metadata.requires("metrosoc") or []:
        wanted_by = _EXTRA.search(requirement)
        name = _NAME.match(requirement)
        if name:
            groups.setdefault(wanted_by[1] if wanted_by else "", []).append(name[0])
    for extra, names in groups.items():
        if extra in ("dev", "build"):
            continue
        missing = [name for name in names if not _installed(name)]
        title = f"packages[{extra}]" if extra else "packages"
        if not missing:
            count = ngettext("{count} package", "{count} packages", len(names))
            yield Check(title, "ok", count.format(count=len(names)))
            continue
        target = f"'metrosoc[{extra}]'" if extra else "metrosoc"
        yield Check(
            title,
            "warning" if extra else "failure",
            _("not installed: {names}").format(names=", ".join(missing)),
            f"pip install {target}",
        )


def _installed(name: str) -> bool:
    try:
        metadata.version(name)
    except metadata.PackageNotFoundError:
        return False
    return True


def _clock(now: datetime) -> Checks:
    shown = f"{now:%Y-%m-%dT%H:%M:%SZ}"
    if now < BUILT:
        fix = _("set the clock, and let chrony or systemd-timesyncd keep it")
        yield Check("clock", "failure", _("{time} lies in the past").format(time=shown), fix)
    else:
        yield Check("clock", "ok", shown)


def _config(files: Iterable[Path]) -> Checks:
    found = False
    for path in files:
        found = True
        status = path.stat()
        if status.st_mode & 0o002:
            detail = _("{path}: everybody may change it").format(path=path)
            yield Check("config", "warning", detail, f"chmod o-w {path}")
        elif status.st_uid not in (0, os.geteuid()):
            detail = _("{path}: belongs to another user").format(path=path)
            yield Check("config", "warning", detail, f"chown {os.geteuid()} {path}")
        else:
            yield Check("config", "ok", str(path))
    if not found:
        yield Check("config", "ok", _("no file, defaults hold"), "soc init")


def _state(folder: Path) -> Checks:
    if not folder.exists():
        parent = next(above for above in folder.parents if above.exists())
        if os.access(parent, os.W_OK | os.X_OK):
            yield Check("state", "ok", _("{path}: not made yet").format(path=folder), "soc init")
        else:
            detail = _("{path}: cannot be made").format(path=folder)
            yield Check("state", "failure", detail, _("set [paths] state, or SOC_PATHS__STATE"))
        return
    if not folder.is_dir() or not os.access(folder, os.W_OK | os.X_OK):
        detail = _("{path}: not a folder you may write").format(path=folder)
        yield Check("state", "failure", detail, _("set [paths] state, or SOC_PATHS__STATE"))
        return
    if folder.stat().st_mode & 0o077:
        detail = _("{path}: other users may look inside").format(path=folder)
        yield Check("state", "warning", detail, f"chmod 700 {folder}")
    else:
        yield Check("state", "ok", str(folder))
    free = shutil.disk_usage(folder).free
    level: State = "failure" if free < NO_DISK else "warning" if free < LOW_DISK else "ok"
    fix = "" if level == "ok" else _("make room, or set [retention] days or bytes")
    yield Check("disk", level, _("{amount:.1f} GB free").format(amount=free / 1e9), fix)


def _rules(settings: Settings) -> Checks:
    from detectors.sigma.load import load

    report = load(settings.rules.paths)
    loaded, rejected = len(report.rules), len(report.rejected)
    detail = _("{loaded} of {all} load").format(loaded=loaded, all=loaded + rejected)
    if rejected:
        detail += f"; {report.rejected[0]}"
    state: State = "failure" if not loaded else "warning" if rejected else "ok"
    fix = "" if state == "ok" else f"soc rules check {' '.join(map(str, settings.rules.paths))}"
    yield Check("rules", state, detail, fix)
    yield from _guarded("pipelines", lambda: _pipelines(report.rules))


def _pipelines(rules: "Sequence[Rule]") -> Checks:
    from soc.run.detection import pipelines

    served = len(rules) - len(pipelines().unserved(rules))
    detail = _("{served} of {all} rules have a log source").format(served=served, all=len(rules))
    yield Check("pipelines", "ok" if served == len(rules) else "warning", detail)


def _store(settings: Settings) -> Checks:
    url = settings.store.url
    place = Path(url.removeprefix("sqlite:"))
    if url.startswith("sqlite:") and not place.exists():
        yield Check("store", "ok", _("{path}: not made yet").format(path=url))
        return
    store = settings.store.open()
    try:
        problem = store.mismatch()
        cluster = store.capabilities() if hasattr(store, "capabilities") else None
        held = _held(url, store)
    finally:
        store.close()
    yield Check("store", "ok", held)
    if problem is not None:
        yield Check("version", "warning", problem.message, problem.hint)
    if cluster is not None:
        detail = _("Elasticsearch {version}, {health}; not there, and used instead: {what}")
        state: State = "failure" if cluster.health == "red" else "ok"
        what = ", ".join(cluster.instead) or "-"
        detail = detail.format(version=cluster.version, health=cluster.health, what=what)
        yield Check("cluster", state, detail, "soc store status" if state == "failure" else "")


def _held(url: str, store: "Store") -> str:
    from soc.store.base import Denied

    try:
        info = store.info()
    except Denied:  # a node's key; one that may nothing at all was refused before
        return _("{path}: this key may add events and read none").format(path=url)
    detail = _("{path}: schema {schema}, {events} events, {alerts} alerts")
    return detail.format(path=url, schema=info.schema, events=info.events, alerts=info.alerts)


def _parked(settings: Settings) -> Checks:
    from detectors.sigma.correlation.starving import starved
    from detectors.sigma.load import load
    from soc.run.rules_parking import hungry, parked_if_any
    from soc.store.base import Denied

    try:
        table = parked_if_any(settings.store)
    except Denied:  # a node's key: nothing is judged here; the check of the store says the rest
        return
    for one in table.values():
        yield Check("parked", "warning", str(one), f"soc rules unpark {one.rule}")
    if table:
        for hunger in starved(load(settings.rules.paths).without(table)):
            yield Check("starved", "warning", hungry(hunger), "soc rules health")


def _inputs(settings: Settings) -> Checks:
    from collectors.parsing import parser

    if not settings.inputs:
        yield Check("inputs", "ok", _("none: soc run has nothing to follow"), "soc init")
    for entry in settings.inputs:
        if entry.parser:
            parser(entry.parser)
        if entry.listen:
            yield Check("inputs", "ok", f"{entry.listen}, {entry.zone}")
            continue
        files = glob.glob(entry.path, recursive=True)
        closed = [path for path in files if not os.access(path, os.R_OK)]
        if closed:
            detail = _("{path}: may not be read").format(path=closed[0])
            yield Check("inputs", "failure", detail, f"usermod -aG adm {_user()}")
        elif not files:
            detail = _("{path}: no such file now").format(path=entry.path)
            yield Check("inputs", "warning", detail, _("correct path in [[inputs]]"))
        else:
            count = ngettext("{count} file", "{count} files", len(files)).format(count=len(files))
            yield Check("inputs", "ok", f"{entry.path}: {count}, {entry.zone}")


def _collector(state: Path, now: datetime) -> Checks:
    """The books of the collector, what waits, and what was refused; nothing where none ran."""
    from soc.run import status

    found = status.read(state)
    if found is None:
        return
    for text in status.wrong(found):
        yield Check("collector", "failure", text, _("keep the spool and report this"))
    if status.silent(found, now):
        text = _("the collector runs, but tells nothing since {at}").format(at=found["at"])
        yield Check("collector", "failure", text, _("restart it; see to the disk: dmesg"))
    if found["trouble"]:
        yield Check("collector", "failure", found["trouble"], "soc collect status")
    for name, known in found.get("closed", {}).items():
        text = _("{dataset} is not sent: {why}").format(dataset=name or "-", why=known["why"])
        yield Check("collector", "failure", text, "soc collect status")
    if found["spool"]["problem"]:
        yield Check("spool", "failure", found["spool"]["problem"], _("make room on the disk"))
    yield from _refused(found["spool"]["inputs"])
    waiting = _("{pending} records wait in the spool, {lost} were damaged")
    level: State = "warning" if found["spool"]["lost"] else "ok"
    fix = "soc collect spool check" if found["spool"]["lost"] else ""
    detail = waiting.format(pending=found["spool"]["pending"], lost=found["spool"]["lost"])
    if not found["running"]:
        detail += "; " + _("the collector does not run")
    yield Check("spool", level, detail, fix)
    if dead := found["dead_letters"]:
        text = ngettext("{count} dead letter", "{count} dead letters", dead).format(count=dead)
        yield Check("dead-letters", "warning", text, "soc collect dead-letters list")


def _refused(inputs: Mapping[str, Mapping[str, int]]) -> Checks:
    from collectors.spool.state import REFUSED

    for name, counts in inputs.items():
        if many := counts.get(REFUSED, 0):
            text = ngettext(
                "{input}: {count} connection was refused, there was no place for more",
                "{input}: {count} connections were refused, there was no place for more",
                many,
            )
            fix = _("see who holds connections: {command}").format(command="ss -tnp")
            yield Check("connections", "warning", text.format(input=name, count=many), fix)


def _user() -> str:
    import pwd

    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        return str(os.geteuid())
