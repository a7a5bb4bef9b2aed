"""Options that several commands share, and what they mean."""

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta, tzinfo
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from soc.cli.output import Format
from soc.errors import UsageError
from soc.i18n import _

if TYPE_CHECKING:
    from soc.run.settings import Settings
    from soc.store.base import Store

FormatOption = Annotated[
    Format | None,
    typer.Option("--format", "-f", help=_("How to print: a table on a terminal, else NDJSON.")),
]
JsonOption = Annotated[bool, typer.Option("--json", help=_("The same as --format json."))]
OutputOption = Annotated[
    Path | None,
    typer.Option("--output", "-o", help=_("Write to this file, whole or not at all; - is stdout.")),
]
FieldsOption = Annotated[
    str | None,
    typer.Option("--fields", help=_("Only these fields, separated by commas: source.ip,user.")),
]
FailOnOption = Annotated[
    str | None,
    typer.Option("--fail-on", help=_("Exit with 1 for findings of this level or above.")),
]
FullOption = Annotated[bool, typer.Option("--full", help=_("Do not shorten cells of the table."))]
QuietOption = Annotated[bool, typer.Option("--quiet", "-q", help=_("No notes and no progress."))]
SinceOption = Annotated[
    str | None,
    typer.Option("--since", help=_("From this moment on: 2h, 3d, 2026-11-22, 2026-11-22T08:00Z.")),
]
UntilOption = Annotated[
    str | None, typer.Option("--until", help=_("Before this moment, written as for --since."))
]
StoreOption = Annotated[
    str | None, typer.Option("--store", help=_("The store's URL instead of the configured one."))
]
RulesOption = Annotated[
    list[Path] | None,
    typer.Option("--rules", help=_("A rule file or folder instead of the configured ones.")),
]
ParserOption = Annotated[
    str | None,
    typer.Option("--parser", help=_("Take this parser instead of recognising the records.")),
]
ZoneOption = Annotated[
    str | None,
    typer.Option("--zone", help=_("Zone of time stamps that name none, such as Asia/Ho_Chi_Minh.")),
]
UnitOption = Annotated[
    str, typer.Option("--unit", help=_("The department or district the records belong to."))
]
LimitOption = Annotated[
    int, typer.Option("--limit", "-n", min=1, max=1_000_000_000, help=_("At most so many."))
]

_AGO: Final = re.compile(r"([0-9]{1,6})([smhdw])")
_UNITS: Final = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


def moment(text: str | None, now: datetime) -> datetime | None:
    """Return the moment that a person wrote: `2h` (ago), a date or an ISO time; UTC by default.

    Raises UsageError for anything else.
    """
    if text is None:
        return None
    from soc.model.time import parse_iso

    try:
        if ago := _AGO.fullmatch(text):
            return now - timedelta(**{_UNITS[ago[2]]: int(ago[1])})
        return parse_iso(text)
    except (ValueError, OverflowError) as error:
        raise UsageError(
            _("{text!r} is not a time").format(text=text),
            hint=_("2h, 3d, 2026-11-22 or 2026-11-22T08:00:00Z"),
        ) from error


def span(
    since: str | None, until: str | None, now: datetime
) -> tuple[datetime | None, datetime | None]:
    """Return the moments of `--since` and `--until`; UsageError when they leave no time between."""
    start, end = moment(since, now), moment(until, now)
    if start and end and start >= end:
        raise UsageError(_("--since must lie before --until"), hint=_("exchange them"))
    return start, end


def levels_from(level: str | None) -> tuple[str, ...]:
    """Return this level and those above it, none without one; raise UsageError if unknown."""
    from soc.model.finding import LEVELS

    if level is None:
        return ()
    if level not in LEVELS:
        problem = _("{level!r} is not a level").format(level=level)
        raise UsageError(problem, hint=", ".join(LEVELS))
    return LEVELS[LEVELS.index(level) :]


def zone_named(name: str | None) -> tzinfo:
    """Return the zone of that name, this machine's own without one; raise UsageError."""
    from soc.run.settings import LOCAL, zone

    try:
        return zone(name or LOCAL)
    except ValueError as error:
        raise UsageError(f"{name!r}: {error}", hint="--zone Asia/Ho_Chi_Minh") from error


def person() -> str:
    """Return the name one is logged in by, or the number where the system knows no name for it."""
    import getpass

    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's or a unit's own user id
        return f"uid:{os.getuid()}"


def state_folder() -> Path:
    """Return the state folder as well as it can be known without reading a configuration."""
    from soc.run.settings import default_state

    return Path(os.environ.get("SOC_PATHS__STATE") or default_state(os.environ))


def settings(*, store: str | None = None, rules: list[Path] | None = None) -> "Settings":
    """Return the configuration with what the command line sets; raise ContentError if wrong."""
    from soc.run.settings import load

    return load(
        {
            "store.url": ("--store", store),
            "rules.paths": ("--rules", [str(path.absolute()) for path in rules] if rules else None),
        }
    )


@contextmanager
def opened(url: str | None, *, make: bool = False) -> Iterator["Store"]:
    """Open the configured store, or the one at this URL, and close it again.

    One that the command line names must be there, unless the command is to `make` what is missing.
    """
    if url and not make:
        from soc.store.open import expect_store

        expect_store(url)
    store = settings(store=url).store.open()
    try:
        yield store
    finally:
        store.close()
