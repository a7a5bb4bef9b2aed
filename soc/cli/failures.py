"""How a failure reaches a person: what, where, what next; never a traceback on the terminal."""

import errno
import os
import sys
import tempfile
import traceback
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import typer

from soc.errors import Exit, InputError, SocError
from soc.folders import private
from soc.i18n import _
from soc.text import safe

_NO_ROOM: Final = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def report(error: BaseException) -> int:
    """Write what went wrong to stderr and return the exit code."""
    if isinstance(error, SocError):
        show(error)
        return int(error.exit_code)
    if isinstance(error, KeyboardInterrupt):
        sys.stderr.write("\n" + _("interrupted: what was stored stays stored") + "\n")
        return int(Exit.INTERRUPTED)
    if isinstance(error, BrokenPipeError):
        return int(Exit.DONE)  # the reader has seen enough, as in `soc hunt ... | head`
    if isinstance(error, OSError) and error.errno in _NO_ROOM and error.filename is None:
        problem = _("there is no room for what is written: {why}").format(why=error.strerror)
        return report(InputError(problem, hint="df -h"))
    if isinstance(error, OSError) and error.filename is not None:
        return report(InputError(error.strerror or str(error), where=os.fsdecode(error.filename)))
    return _bug(error)


def show(error: SocError) -> None:
    """Write an error to stderr: message, place, next step, each a line."""
    lines = [f"{_('error')}: {safe(error.message)}"]
    if error.where:
        lines.append(f"  {_('at')} {safe(error.where)}")
    if error.hint:
        lines.append(f"  {_('try')}: {safe(error.hint)}")
    sys.stderr.write("\n".join(lines) + "\n")


def usage(error: typer.TyperException) -> int:
    """Write what is wrong with the command line to stderr and return the exit code."""
    context = getattr(error, "ctx", None)
    if type(error).__name__ == "NoArgsIsHelpError":
        sys.stderr.write(f"{error.message}\n")
        return int(Exit.USAGE)
    hint = f"{context.command_path} --help" if context else "soc --help"
    if context:
        sys.stderr.write(f"{context.get_usage()}\n")
    show(SocError(error.format_message(), hint=hint))
    return int(Exit.USAGE)


def _bug(error: BaseException) -> int:
    place = _write_log("".join(traceback.format_exception(error)))
    name = type(error).__name__
    show(
        SocError(
            _("this is a bug in soc: {name}").format(name=name),
            where=str(place),
            hint=_("send this file to the maintainers; read it first, it may quote a log line"),
        )
    )
    return int(Exit.BUG)


def _write_log(text: str) -> Path:
    """Write a trace where only its owner reads it; return the place."""
    name = f"soc-{datetime.now(UTC):%Y%m%dT%H%M%S}-{os.getpid()}.log"
    for folder in (*_log_folder(), Path(tempfile.gettempdir())):
        try:
            private(folder)
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
            with os.fdopen(os.open(folder / name, flags, 0o600), "w", errors="replace") as file:
                file.write(text)
        except OSError:
            continue
        return folder / name
    return Path(os.devnull)


def _log_folder() -> list[Path]:
    try:
        from soc.cli.common import state_folder

        return [state_folder() / "log"]
    except Exception:  # whatever is broken may break this too; the trace must be kept anyway
        return []
