"""Prove that the journal of response is as it was written."""

from typing import Annotated

import typer

from soc.cli.common import settings
from soc.cli.terminal import note
from soc.errors import StoreError, UsageError
from soc.i18n import _

app = typer.Typer(no_args_is_help=True)


@app.command()
def verify(
    head: Annotated[
        str | None,
        typer.Option("--head", help=_("A head that you wrote down earlier: POSITION:HASH.")),
    ] = None,
) -> None:
    """Check every record of the journal and name the first that is not as it was written.

    Found: changed, deleted, inserted and moved records, and a cut end. A cut that took the end of
    the heads' file too is found only with --head. Exit code 5 when something is broken.

    \b
    Example: soc audit verify
    """
    from playbooks.journal import NAME
    from soc.audit.chain import parse_head
    from soc.run.respond import folder, reading

    config = settings()
    try:
        outside = parse_head(head) if head else None
    except ValueError as error:
        raise UsageError(str(error), where=head or "") from error
    with reading(config) as journal:
        found = journal.verify(outside)
    if found.broken:
        raise StoreError(
            _("record {position} is broken: {reason}").format(
                position=found.broken.position, reason=found.broken.reason
            ),
            where=str(folder(config) / NAME),
            hint=_("keep the files as they are, as evidence; the records before it are sound"),
        )
    note(_("{count} records are as they were written").format(count=found.sound))


@app.command()
def head() -> None:
    """Print the position and hash of the last record, to be kept somewhere else.

    \b
    Example: soc audit head
    """
    from soc.run.respond import reading

    with reading(settings()) as journal:
        found = journal.head()
    if found is None:
        note(_("the journal is empty"))
        return
    typer.echo(found.text)
