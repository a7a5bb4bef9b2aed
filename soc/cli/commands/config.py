"""Show and check the configuration."""

from typing import Any

import typer

from soc.cli.common import FieldsOption, FormatOption, FullOption, JsonOption, OutputOption
from soc.cli.output import Column, results
from soc.cli.terminal import note
from soc.i18n import _, ngettext

app = typer.Typer(no_args_is_help=True)


@app.command()
def show(
    origin: bool = typer.Option(
        False, "--origin", help=_("Also tell where each value came from: file and line.")
    ),
    format: FormatOption = None,
    json: JsonOption = False,
    output: OutputOption = None,
    fields: FieldsOption = None,
    full: FullOption = False,
) -> None:
    """Show every option and its value.

    Secrets are shown as the references that they are. With --origin each line says which file and
    line, variable or flag the value came from.

    \b
    Example: soc config show --origin
    """
    from soc.run.settings import load

    columns = [Column("key", _("Option")), Column("value", _("Value"), width=60)]
    if origin:
        columns.append(Column("origin", _("Origin"), width=60))
    rows = load().config.rows()
    with results(columns, format, json=json, output=output, fields=fields, full=full) as write:
        for row in rows:
            document: dict[str, Any] = {"key": row.key, "value": row.value}
            write(document | {"origin": row.origin} if origin else document)


@app.command()
def check() -> None:
    """Check the configuration and name everything that is wrong with it.

    Exit code 3 when something is wrong.

    \b
    Example: soc config check
    """
    from soc.cli.failures import show as show_error
    from soc.config import Sources, places
    from soc.errors import Exit
    from soc.run.settings import read

    sources = Sources()
    found, problems = read(sources)
    for problem in problems:
        show_error(problem)
    if found is None:
        raise typer.Exit(Exit.CONTENT)
    for path in places(sources):
        state = _("valid") if path in found.config.files else _("not there")
        note(f"{path}: {state}")
    count = len(found.inputs)
    note(ngettext("{count} input", "{count} inputs", count).format(count=count))
