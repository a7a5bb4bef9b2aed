"""Respond by a playbook: see the plan, carry it out, undo it."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from soc.cli.common import (
    FieldsOption,
    FormatOption,
    FullOption,
    JsonOption,
    OutputOption,
    StoreOption,
    opened,
    person,
    settings,
)
from soc.cli.output import Column, Format, choose, json_text, results, target
from soc.cli.plans import language, plan_lines, report_document, report_lines, step_name
from soc.cli.terminal import note
from soc.errors import Exit, Refused, UsageError
from soc.i18n import _

if TYPE_CHECKING:
    from playbooks.engine import Engine
    from playbooks.model import Playbook
    from playbooks.plan import Plan
    from playbooks.runs import Report
    from soc.run.settings import Settings

app = typer.Typer(no_args_is_help=True)

NameArgument = Annotated[
    str, typer.Argument(metavar="NAME", help=_("A shipped playbook's name, or a file."))
]
AlertOption = Annotated[
    str | None, typer.Option("--alert", help=_("Take the inputs from this alert."))
]
InputOption = Annotated[
    list[str] | None,
    typer.Option("--input", "-i", help=_("An input as __name__=value; wins over the alert.")),
]
RUNS = tuple(Column(name, name) for name in ("run", "playbook", "status", "started", "detail"))
"""What CSV tells of runs; a table is written by hand."""
RunArgument = Annotated[str, typer.Argument(metavar="RUN", help=_("The run's id."))]
HASH_DIGITS = 16
"""So many digits of a plan's hash name it: nobody finds a second plan with the same ones."""


@app.command("list")
def list_(
    format: FormatOption = None,
    json: JsonOption = False,
    output: OutputOption = None,
    fields: FieldsOption = None,
    full: FullOption = False,
) -> None:
    """List the playbooks that come with soc.

    \b
    Example: soc playbook list
    """
    from playbooks.load import load, shipped

    columns = [
        Column("name", _("Name"), 32),
        Column("title", _("Title"), 40),
        Column("answers", _("Answers"), 40),
        Column("description", _("Description"), 80),
    ]
    with results(columns, format, json=json, output=output, fields=fields, full=full) as write:
        for path in shipped():
            playbook = load(path)
            title, description = playbook.named(language())
            write(
                {
                    "name": path.stem,
                    "title": title,
                    "answers": list(playbook.answers),
                    "description": description,
                }
            )


@app.command()
def show(name: NameArgument, json: JsonOption = False, output: OutputOption = None) -> None:
    """Show a playbook step by step; --json writes it as CACAO 2.0.

    \b
    Example: soc playbook show block-source-address
    """
    from playbooks.lint import successors
    from playbooks.load import find
    from soc.text import safe

    playbook = find(name)
    with target(output) as stream:
        if json:
            stream.write(json_text(playbook.document) + "\n")
            return
        title, description = playbook.named(language())
        stream.write(f"{safe(title)}\n  {safe(description)}\n")
        for step in playbook.steps.values():
            kind = step.id.partition("--")[0]
            stream.write(f"{kind}: {safe(step_name(playbook, step))}\n")
            for key, following in successors(step).items():
                there = step_name(playbook, playbook.steps[following])
                stream.write(f"  {key} -> {safe(there)}\n")


@app.command()
def lint(
    files: Annotated[list[Path], typer.Argument(metavar="FILE...", help=_("Playbook files."))],
) -> None:
    """Check playbook files: everything that is wrong, each with file and line.

    Exit code 3 when something is wrong.

    \b
    Example: soc playbook lint block-port.yml
    """
    from playbooks.load import examine_file
    from soc.cli.failures import show as show_error

    wrong = 0
    for path in files:
        _playbook, problems = examine_file(path)
        for problem in problems:
            show_error(problem)
        wrong += len(problems)
    if wrong:
        raise typer.Exit(Exit.CONTENT)
    note(_("{count} playbooks are fine").format(count=len(files)))


@app.command()
def plan(
    name: NameArgument,
    alert: AlertOption = None,
    input: InputOption = None,
    store: StoreOption = None,
    format: FormatOption = None,
    json: JsonOption = False,
    output: OutputOption = None,
    full: Annotated[
        bool, typer.Option("--full", help=_("Also the exact change and the exact undo."))
    ] = False,
) -> None:
    """Show what a playbook would change, how it ends and how it is undone. Changes nothing.

    \b
    Example: soc playbook plan block-source-address --alert 3f9a2c41
    """
    found = _planned(settings(store=store), name, alert, input, store)
    _show_plan(found, choose(format, json=json, output=output), output, full=full)


@app.command()
def run(
    name: NameArgument,
    alert: AlertOption = None,
    input: InputOption = None,
    apply: Annotated[
        bool, typer.Option("--apply", help=_("Carry it out; without it only the plan is shown."))
    ] = False,
    agreed: Annotated[
        str | None,
        typer.Option("--plan", help=_("The hash of the plan that you have seen (16 digits do).")),
    ] = None,
    reason: Annotated[
        str, typer.Option("--reason", "-r", help=_("Why, for those who read it later."))
    ] = "",
    store: StoreOption = None,
    format: FormatOption = None,
    json: JsonOption = False,
    output: OutputOption = None,
) -> None:
    """Carry out a playbook whose plan you have seen; a dry run without --apply.

    Nothing happens when the plan is not the same any more. Each effect is read back, ends by
    itself and can be undone. Exit code 6 when a safety rule says no.

    \b
    Example: soc playbook run block-source-address --alert 3f9a2c41 --apply --plan 5e0c9a417b2d6f38
    """
    import secrets

    from playbooks.engine import Origin
    from soc.run.respond import responding

    config = settings(store=store)
    chosen = choose(format, json=json, output=output)
    found = _planned(config, name, alert, input, store)
    if not apply:
        _show_plan(found, chosen, output)
        note(
            _("nothing was changed; to carry it out: --apply --plan {hash}").format(
                hash=found.hash[:HASH_DIGITS]
            )
        )
        return
    if agreed is None:
        raise UsageError(_("--apply needs --plan"), hint=_("the hash that the plan shows"))
    if len(agreed) < HASH_DIGITS or not found.hash.startswith(agreed):
        raise Refused(
            _("this is not the plan that you have seen: something is different now"),
            hint=f"soc playbook plan {name}",
        )
    run_id = secrets.token_hex(6)
    origin = Origin(person(), reason, _alert_id(alert, store))
    with responding(config) as engine:
        _reconciled(engine)
        try:
            report = engine.start(run_id, found.playbook, found.inputs, found.hash, origin)
        except BaseException:  # Ctrl-C too: what was begun must not be forgotten
            if any(engine.journal.records(run_id)):
                note(_("cut short: soc playbook resume {run}, or undo {run}").format(run=run_id))
            raise
    _show_report(report, chosen, output)
    note(_("to take it back: soc playbook undo {run}").format(run=run_id))
    if report.status != "done":
        raise typer.Exit(Exit.STORE)


@app.command()
def status(
    run: Annotated[str | None, typer.Argument(metavar="[RUN]", help=_("One run; default all."))] = (
        None
    ),
    format: FormatOption = None,
    json: JsonOption = False,
    output: OutputOption = None,
) -> None:
    """Show runs, newest first: what they did and what they still hold.

    \b
    Example: soc playbook status
    """
    from playbooks.ledger import Ledger
    from playbooks.runs import report, runs
    from soc.errors import InputError
    from soc.run.respond import reading

    with reading(settings()) as journal:
        histories = runs(list(journal.records(run)))
        ledger = Ledger(journal.connection)
        found = [report(one, ledger.claims(run=one[0]["run"])) for one in reversed(histories)]
    if run is not None and not found:
        raise InputError(_("there is no run {run!r}").format(run=run), hint="soc playbook status")
    _show_reports(found, choose(format, json=json, output=output), output)


@app.command()
def resume(
    run: Annotated[
        str | None, typer.Argument(metavar="[RUN]", help=_("One run; default all that wait."))
    ] = None,
    format: FormatOption = None,
    json: JsonOption = False,
    output: OutputOption = None,
) -> None:
    """Go on with runs that were cut short; what was done already is not done again.

    \b
    Example: soc playbook resume
    """
    from playbooks.runs import open_runs
    from soc.run.respond import responding

    with responding(settings()) as engine:
        _reconciled(engine)
        waiting = [run] if run is not None else open_runs(list(engine.journal.records()))
        found = [engine.resume(one) for one in waiting]
    if not found:
        note(_("no run waits"))
    _show_reports(found, choose(format, json=json, output=output), output)
    if any(report.status != "done" for report in found):
        raise typer.Exit(Exit.STORE)


@app.command()
def undo(
    run: RunArgument,
    format: FormatOption = None,
    json: JsonOption = False,
    output: OutputOption = None,
) -> None:
    """Take back all that a run put in force, last first; a run that waits is ended.

    \b
    Example: soc playbook undo 9c41e07b52aa
    """
    from soc.run.respond import responding

    with responding(settings()) as engine:
        report, troubles = engine.abandon(run, person())
    _show_report(report, choose(format, json=json, output=output), output)
    for claim, trouble in troubles:
        note(f"{claim.resource}: {trouble}")
    if report.in_force:
        raise typer.Exit(Exit.STORE)


def _planned(
    config: "Settings",
    name: str,
    alert: str | None,
    given: Sequence[str] | None,
    store: str | None,
) -> "Plan":
    from playbooks.load import find
    from playbooks.plan import make
    from soc.model.time import now
    from soc.run.respond import devices, guard, options

    if options(config).packet_filter == "simulated":
        note(_("the packet filter is simulated: nothing real is blocked"))
    playbook = find(name)
    inputs = _inputs(playbook, alert, given, store)
    return make(playbook, inputs, devices(config).views, guard(config), now())


def _inputs(
    playbook: "Playbook", alert: str | None, given: Sequence[str] | None, store: str | None
) -> dict[str, str]:
    from playbooks.plan import from_alert

    found: dict[str, str] = {}
    if alert is not None:
        from soc.alerts.triage import find

        with opened(store) as place:
            found = from_alert(playbook, find(place, alert))
    for text in given or ():
        key, equals, value = text.partition("=")
        if not equals:
            raise UsageError(_("an input is written as __name__=value"), where=text)
        found[key] = value
    return found


def _alert_id(alert: str | None, store: str | None) -> str:
    if alert is None:
        return ""
    from soc.alerts.triage import find

    with opened(store) as place:
        return str(find(place, alert)["soc.alert.id"])


def _reconciled(engine: "Engine") -> None:
    from soc.run.respond import reconcile

    for drift in reconcile(engine, person()):
        note(f"{drift.claim.resource}: {drift.found}; {drift.done}")


def _show_plan(found: "Plan", chosen: Format, output: Path | None, *, full: bool = False) -> None:
    with target(output) as stream:
        if chosen is Format.TABLE:
            stream.writelines(f"{line}\n" for line in plan_lines(found, full=full))
        else:
            stream.write(json_text(found.as_dict()) + "\n")


def _show_reports(found: Sequence["Report"], chosen: Format, output: Path | None) -> None:
    if chosen is Format.TABLE:
        with target(output) as stream:
            for report in found:
                stream.writelines(f"{line}\n" for line in report_lines(report))
        return
    with results(RUNS, chosen, output=output) as write:
        for report in found:
            write(report_document(report))


def _show_report(report: "Report", chosen: Format, output: Path | None) -> None:
    """Show what one run did: in JSON it is one object, not a list of one."""
    single = Format.NDJSON if chosen is Format.JSON else chosen
    _show_reports([report], single, output)
