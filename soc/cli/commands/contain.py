"""See and end what is in force: blocks and locks, and until when."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from soc.cli.common import (
    FieldsOption,
    FormatOption,
    FullOption,
    JsonOption,
    OutputOption,
    person,
    settings,
)
from soc.cli.output import Column, results
from soc.cli.plans import claim_document
from soc.cli.terminal import note
from soc.errors import UsageError
from soc.i18n import _

if TYPE_CHECKING:
    from playbooks.engine import Engine

app = typer.Typer(no_args_is_help=True)

KeyArgument = Annotated[
    str, typer.Argument(metavar="KEY", help=_("The claim's key, or the beginning of it."))
]
UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


@app.command("list")
def list_(
    all: Annotated[bool, typer.Option("--all", help=_("Also what has ended."))] = False,
    format: FormatOption = None,
    json: JsonOption = False,
    output: OutputOption = None,
    fields: FieldsOption = None,
    full: FullOption = False,
) -> None:
    """List what is in force: since when, until when, by whom and why.

    \b
    Example: soc contain list
    """
    from playbooks.ledger import Ledger
    from soc.model.time import now
    from soc.run.respond import reading

    columns = [
        Column("key", _("Key"), 8, lambda value: str(value)[:8]),
        Column("action", _("Action"), 20),
        Column("target", _("Target"), 40),
        Column("state", _("State"), 10),
        Column("until", _("Until"), 20, lambda value: str(value)[:19] + "Z"),
        Column("actor", _("By"), 12),
        Column("playbook", _("Playbook"), 30),
        Column("alert", _("Alert"), 16),
        Column("reason", _("Reason"), 40),
        Column("run", _("Run"), 12),
    ]
    with reading(settings()) as journal:
        claims = Ledger(journal.connection).claims(holding=not all)
    moment = now()
    with results(columns, format, json=json, output=output, fields=fields, full=full) as write:
        for claim in claims:
            document = claim_document(claim)
            if claim.has_ended(moment):
                if not all:
                    continue
                document["state"] = "expired"
            write(document)


@app.command()
def extend(
    key: KeyArgument,
    duration: Annotated[str, typer.Option("--for", help=_("How long from now on: 30m, 2h, 1d."))],
) -> None:
    """Let something hold longer, counted from now.

    \b
    Example: soc contain extend 5e0c9a41 --for 2h
    """
    found = re.fullmatch(r"([1-9][0-9]{0,6})([smhd])", duration)
    if found is None:
        raise UsageError(_("{text!r} is not a duration").format(text=duration), hint="30m, 2h, 1d")
    seconds = int(found[1]) * UNITS[found[2]]
    with _engine() as engine:
        claim = engine.extend(engine.ledger.get(key), seconds, person())
    note(
        _("{resource} holds until {until}").format(
            resource=claim.resource, until=claim.until[:19] + "Z"
        )
    )


@app.command()
def release(
    keys: Annotated[list[str], typer.Argument(metavar="KEY...", help=_("The claims' keys."))],
) -> None:
    """End what is in force, before its time is over.

    \b
    Example: soc contain release 5e0c9a41
    """
    with _engine() as engine:
        # All keys are looked up first, so that a mistyped one changes nothing at all.
        for claim in [engine.ledger.get(key) for key in keys]:
            engine.release(claim, person())
            note(_("{resource} is released").format(resource=claim.resource))
            if others := engine.still_held(claim):
                note(f"{claim.resource}: {others}")


@app.command()
def reconcile() -> None:
    """Compare the ledger with the real state: end what ran out, restore what is gone.

    \b
    Example: soc contain reconcile
    """
    from soc.run.respond import reconcile as bring_together

    with _engine() as engine:
        drifts = bring_together(engine, person())
    for drift in drifts:
        note(f"{drift.claim.resource}: {drift.found}; {drift.done}")
    if not drifts:
        note(_("everything is as the ledger says"))


@app.command()
def stop() -> None:
    """Turn the kill switch on: nothing new is changed; what is in force can still be ended.

    \b
    Example: soc contain stop
    """
    from soc.run.respond import stop as switch

    switch(settings(), on=True)
    note(_("the kill switch is on; soc contain start turns it off"))


@app.command()
def start() -> None:
    """Turn the kill switch off: playbooks may change things again.

    \b
    Example: soc contain start
    """
    from soc.run.respond import stop as switch

    switch(settings(), on=False)
    note(_("the kill switch is off"))


@contextmanager
def _engine() -> Iterator["Engine"]:
    from soc.run.respond import responding

    with responding(settings()) as engine:
        yield engine
