"""Show what the collector received, sent and lost, and whether its books balance."""

from typing import Any

import typer

from soc.cli.common import FormatOption, JsonOption, OutputOption, settings
from soc.cli.output import Column, results
from soc.cli.terminal import note
from soc.errors import Exit, InputError
from soc.i18n import _


def command(
    format: FormatOption = None, json: JsonOption = False, output: OutputOption = None
) -> None:
    """Show the figures of the collector of this node, also while it runs.

    For each input, in records: arrived = received + refused + dropped (by reason), and
    received = settled + left (pending in the spool, or lost there); then where the events are:
    emitted = stored + there already + dead letters + queued. Exits with 1 when something does not
    balance, a dataset or nothing at all can be sent, or the collector is there and does not work.

    \b
    Example: soc collect status
    """
    from soc.model.time import now
    from soc.run import status

    state = settings().paths.state
    found = status.read(state)
    if found is None:
        raise InputError(_("no collector has run here"), where=str(state), hint="soc collect run")
    columns = (
        Column("what", _("What"), 40),
        Column("count", _("Count"), 14),
    )
    with results(columns, format, json=json, output=output) as write:
        for what, count in _rows(found):
            write({"what": what, "count": count})
    wrong = status.wrong(found)
    for text in wrong:
        note(_("the books do not balance: {what}").format(what=text))
    if not found["running"]:
        note(_("the collector does not run; as of {at}").format(at=found["at"]))
    if silent := status.silent(found, now()):
        note(_("the collector runs, but tells nothing since {at}").format(at=found["at"]))
    if found["trouble"]:
        note(
            _("not sending since {since}: {why}").format(
                since=found["trouble_since"], why=found["trouble"]
            )
        )
    closed = found.get("closed", {})
    for name, known in closed.items():
        note(
            _("{dataset} is not sent since {since}, {count} events of it wait: {why}").format(
                dataset=name or "-",
                since=known["since"],
                count=known["waiting"],
                why=known["why"],
            )
        )
    if closed:
        note(_kept(found["spool"]))
    if found["spool"]["problem"]:
        note(_("not receiving: {why}").format(why=found["spool"]["problem"]))
    if wrong or closed or silent or found["trouble"] or found["spool"]["problem"]:
        raise typer.Exit(Exit.FINDINGS)


def _kept(spool: dict[str, Any]) -> str:
    """Say what a wait costs: the mark of the spool moves over settled records only."""
    size, limit = spool["bytes"] / 1e6, spool["limit"]
    if limit is None:
        return _("what comes after it stays in the spool, {size:.0f} MB now, no limit set").format(
            size=size
        )
    return _(
        "what comes after it stays in the spool, {size:.0f} of {limit:.0f} MB now; then inputs wait"
    ).format(size=size, limit=limit / 1e6)


def _rows(found: dict[str, Any]) -> list[tuple[str, int]]:
    from soc.run import status

    spool, events = found["spool"], found["events"]
    rows = [
        (f"{name}: {what}", many)
        for name, counts in status.accounts(found).items()
        for what, many in counts.items()
    ]
    rows += [(f"spool: {what}", spool[what]) for what in ("pending", "lost", "bytes", "segments")]
    rows += [(f"events: {what}", many) for what, many in events.items()]
    return [*rows, ("dead letters", found["dead_letters"])]
