"""Events that the store refused: why, and what to do with them."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any

import typer

from soc.cli.common import (
    FieldsOption,
    FormatOption,
    JsonOption,
    OutputOption,
    QuietOption,
    StoreOption,
    settings,
)
from soc.cli.output import Column, results
from soc.cli.terminal import note
from soc.errors import Exit, InputError, UsageError
from soc.i18n import _, ngettext

if TYPE_CHECKING:
    from collectors.sender.dead_letters import DeadLetters, Letter

app = typer.Typer(no_args_is_help=True)

IdsArgument = Annotated[
    list[str] | None, typer.Argument(help=_("Ids of events, as `list` shows them."))
]
AllOption = Annotated[bool, typer.Option("--all", help=_("All of them."))]


@app.command("list")
def list_(
    format: FormatOption = None,
    json: JsonOption = False,
    output: OutputOption = None,
    fields: FieldsOption = None,
) -> None:
    """List the dead letters, oldest first: what was refused, how often, and why.

    \b
    Example: soc collect dead-letters list
    """
    columns = (
        Column("id", _("Id"), 46),
        Column("dataset", _("Dataset"), 14),
        Column("first", _("First"), 27),
        Column("attempts", _("Attempts"), 8),
        Column("reason", _("Reason"), 70),
    )
    with (
        _letters() as letters,
        results(columns, format, json=json, output=output, fields=fields) as write,
    ):
        for letter in letters.all():
            write(_row(letter))


@app.command()
def show(
    id: Annotated[str, typer.Argument(help=_("Id of an event."))],
    format: FormatOption = None,
    json: JsonOption = False,
    output: OutputOption = None,
) -> None:
    """Show a dead letter: the reason and the whole event.

    \b
    Example: soc collect dead-letters show 0199f3a1c2d4-8a41c0
    """
    with _letters() as letters:
        letter = letters.get(id)
    if letter is None:
        raise InputError(
            _("there is no such dead letter"), where=id, hint="soc collect dead-letters list"
        )
    columns = (Column("reason", _("Reason"), 70), Column("event.original", _("Record"), 70))
    with results(columns, format, json=json, output=output, full=True) as write:
        write({**letter.event, **_row(letter)})


@app.command()
def replay(
    ids: IdsArgument = None,
    all: AllOption = False,
    store: StoreOption = None,
    quiet: QuietOption = False,
) -> None:
    """Send dead letters again, once each, after what refused them was mended.

    What the store takes is no dead letter any more; what it refuses again stays, once. It may run
    beside the collector. Exits with 4 when some were refused.

    \b
    Example: soc collect dead-letters replay --all
    """
    from soc.model.time import now
    from soc.run.replay import replay as send

    wanted = _chosen(ids, all)
    found = settings(store=store).store.open()
    try:
        with _letters() as letters:
            stored, refused = send(letters, found, now, wanted)
    finally:
        found.close()
    note(
        _("{stored} stored, {refused} refused again").format(stored=stored, refused=refused),
        quiet=quiet,
    )
    if refused:
        raise typer.Exit(Exit.INPUT)


@app.command()
def drop(ids: IdsArgument = None, all: AllOption = False, quiet: QuietOption = False) -> None:
    """Forget dead letters for good; `list -f json` before keeps a copy.

    \b
    Example: soc collect dead-letters drop --all
    """
    wanted = _chosen(ids, all)
    with _letters() as letters:
        gone = letters.drop(list(wanted) or [one.id for one in letters.all()])
    note(
        ngettext("{count} dead letter dropped", "{count} dead letters dropped", gone).format(
            count=gone
        ),
        quiet=quiet,
    )


def _chosen(ids: list[str] | None, all: bool) -> frozenset[str]:
    if bool(ids) == all:
        raise UsageError(_("say which: ids, or --all"), hint="soc collect dead-letters list")
    return frozenset(ids or ())


@contextmanager
def _letters() -> Iterator["DeadLetters"]:
    from collectors.sender.dead_letters import DeadLetters

    letters = DeadLetters(settings().paths.state)
    try:
        yield letters
    finally:
        letters.close()


def _row(letter: "Letter") -> dict[str, Any]:
    return {
        "id": letter.id,
        "dataset": letter.event.get("event.dataset", ""),
        "first": letter.first,
        "last": letter.last,
        "attempts": letter.attempts,
        "reason": letter.reason,
    }
