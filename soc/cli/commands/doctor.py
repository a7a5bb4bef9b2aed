"""Check this machine: every line is a check, every failure says its fix."""

import typer

from soc.cli.common import FormatOption, JsonOption, OutputOption
from soc.cli.output import Column, results
from soc.i18n import _

_COLOURS = {"ok": "green", "warning": "yellow", "failure": "bold red"}


def _word(state: object) -> str:
    words = {"ok": _("ok"), "warning": _("warning"), "failure": _("failure")}
    return words.get(str(state), str(state))


COLUMNS = (
    Column("check", _("Check"), width=16),
    Column("state", _("State"), 10, show=_word, style=lambda state: _COLOURS.get(state, "")),
    Column("detail", _("Detail"), width=100),
    Column("fix", _("Fix"), width=70),
)


def command(
    format: FormatOption = None, json: JsonOption = False, output: OutputOption = None
) -> None:
    """Check Python, SQLite, packages, configuration, state, disk, rules, store, inputs and clock.

    Exit code 1 when a check fails; warnings alone do not fail.

    \b
    Example: soc doctor
    """
    from soc.config import Sources
    from soc.errors import Exit
    from soc.model.time import now
    from soc.run.checks import examine

    failed = False
    with results(COLUMNS, format, json=json, output=output, full=True) as write:
        for check in examine(Sources(), now()):
            failed |= check.state == "failure"
            write(
                {
                    "check": check.name,
                    "state": check.state,
                    "detail": check.detail,
                    "fix": check.fix,
                }
            )
    if failed:
        raise typer.Exit(Exit.FINDINGS)
