"""Judge what is stored, by as many workers as it takes; see what they do; judge old events."""

from pathlib import Path
from typing import Annotated, Any

import typer

from soc.cli.common import (
    FormatOption,
    JsonOption,
    OutputOption,
    QuietOption,
    RulesOption,
    StoreOption,
    UntilOption,
    moment,
    opened,
    settings,
)
from soc.cli.output import Column, results
from soc.cli.rule_set import left_out, reloaded, rule_set, tell
from soc.cli.terminal import note
from soc.errors import UsageError
from soc.i18n import _

app = typer.Typer(no_args_is_help=True)


@app.command()
def run(store: StoreOption = None, rules: RulesOption = None, quiet: QuietOption = False) -> None:
    """Judge the events of the store and raise alerts, together with all workers that run.

    Start as many as needed, on any machine that reaches the store. Stops on Ctrl-C or SIGTERM; a
    worker that dies is replaced by the others within half a minute, no alert is lost and none is
    raised twice. Changed rules are taken up within seconds, at once on SIGHUP; a broken set is not.

    \b
    Example: soc worker run --store https://soc.example:9200
    """
    import signal
    from threading import Event
    from types import FrameType

    from soc.model.time import now
    from soc.run.rules_watch import Watch
    from soc.run.worker.worker import Worker

    config = settings(store=store, rules=rules)
    stop = Event()

    def end(_number: int, _frame: FrameType | None) -> None:
        stop.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, end)
    found = config.store.open()
    reloader = rule_set(config, found)
    loaded = reloader.current
    if problem := found.mismatch():
        note(str(problem))
    worker = Worker(
        found,
        loaded,
        now,
        idle=config.store.idle,
        told=lambda finding: tell(finding, quiet=quiet),
        reload=lambda: reloaded(reloader),
        watch=Watch(found, loaded.engine, now),
    )
    note(
        _("worker {name} with {rules} rules; Ctrl-C stops").format(
            name=worker.me, rules=loaded.report.in_force
        ),
        quiet=quiet,
    )
    try:
        worker.run(stop)
    finally:
        found.close()
    note(
        _("stopped: {documents} events judged, {alerts} alerts raised").format(
            documents=worker.shards.documents, alerts=worker.alerts
        ),
        quiet=quiet,
    )


@app.command()
def status(
    store: StoreOption = None,
    shards: Annotated[
        bool, typer.Option("--shards", help=_("The shards and what lies behind, not the workers."))
    ] = False,
    format: FormatOption = None,
    json: JsonOption = False,
    output: OutputOption = None,
) -> None:
    """Show the workers with their slots, events a second and what did not count; or the shards.

    `left_out` names what correlations could not count, and why (docs/sigma.md). `rules` are those
    that are in force; what is parked is named below.

    \b
    Example: soc worker status --shards
    """
    from soc.model.time import now
    from soc.run.rules_parking import hungry
    from soc.run.worker.status import status as read

    with opened(store) as found:
        known = read(found, now())
    columns = _shard_columns() if shards else _worker_columns()
    rows: list[dict[str, Any]] = (
        [{name: getattr(one, name) for name in one.__slots__} for one in known.lags]
        if shards
        else [dict(one) for one in known.workers]
    )
    with results(columns, format, json=json, output=output) as write:
        for row in rows:
            write(row)
    for parked in known.parked:
        note(_("rule parked: {what}").format(what=parked))
    for hunger in known.starved:
        note(_("correlation starved: {what}").format(what=hungry(hunger)))


def _shard_columns() -> tuple[Column, ...]:
    return (
        Column("shard", _("Shard"), 60),
        Column("slot", _("Slot"), 12),
        Column("holder", _("Worker"), 40),
        Column("behind", _("Behind"), 12),
    )


def _worker_columns() -> tuple[Column, ...]:
    return (
        Column("worker", _("Worker"), 40),
        Column("age", _("Seconds ago"), 11),
        Column("events", _("Event slots"), 11),
        Column("matches", _("Match slots"), 11),
        Column("documents", _("Documents"), 12),
        Column("rate", _("Per second"), 10),
        Column("alerts", _("Alerts"), 8),
        Column("rules", _("Rules"), 6),
        Column("left_out", _("Left out"), 40),
    )


@app.command()
def backfill(
    since: Annotated[
        str, typer.Option("--since", help=_("From this moment on: 2h, 3d, 2026-11-22."))
    ],
    until: UntilOption = None,
    rule: Annotated[str | None, typer.Option("--rule", help=_("Only the rule of this id."))] = None,
    store: StoreOption = None,
    rules: RulesOption = None,
    quiet: QuietOption = False,
) -> None:
    """Apply rules to events that are stored already; alerts that are there stay as they are.

    What it raises is marked `soc.alert.backfill`. A second time raises nothing. Parked rules are
    left out here too.

    \b
    Example: soc worker backfill --since 7d --rule 5d0c6a4e-7f0b-4c39-9d5b-0c4f8f0f9a11
    """
    from soc.model.time import now
    from soc.run.detection import detection
    from soc.run.rules_parking import parked
    from soc.run.worker.backfill import backfill as apply
    from soc.run.worker.backfill import only

    clock = now()
    begin, end = moment(since, clock), moment(until, clock) or clock
    if begin is None or begin >= end:
        raise UsageError(_("--since must lie before --until"))
    config = settings(store=store, rules=rules)
    loaded = detection(config.rules.paths, state=Path(config.paths.state))
    if rule:
        loaded = only(loaded, rule)
    found = config.store.open()
    try:
        table = parked(found)
        if rule in table:
            raise UsageError(
                _("rule parked: {what}").format(what=table[rule]), hint=f"soc rules unpark {rule}"
            )
        loaded = loaded.without(table)
        left_out(loaded, table)
        counts = apply(found, loaded, begin, end, clock)
    finally:
        found.close()
    note(
        _(
            "{events} events judged: {raised} alerts raised, {known} were there, {refused} refused"
        ).format(
            events=counts.events,
            raised=counts.raised,
            known=counts.known,
            refused=counts.refused,
        ),
        quiet=quiet,
    )
