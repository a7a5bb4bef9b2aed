"""Load rules and report what is wrong with them."""

from collections import Counter
from typing import TYPE_CHECKING

import typer

from soc.cli.common import FormatOption, JsonOption, OutputOption, QuietOption, settings
from soc.cli.output import Column, results
from soc.cli.rules._places import PathsArgument, split, yara_report
from soc.cli.terminal import note
from soc.errors import Exit, SocError
from soc.i18n import _

if TYPE_CHECKING:
    from soc.run.rules_parking import Table


def command(
    paths: PathsArgument = None,
    format: FormatOption = None,
    json: JsonOption = False,
    output: OutputOption = None,
    quiet: QuietOption = False,
) -> None:
    """Load rules and report what was rejected, and what can be said against what was loaded.

    A warning names its kind: form, source (no event source delivers it), field (its events have
    no such field), mapping, never and dead (it, or a part, cannot be true), always, negation,
    regex (slow), parked, starved (what it needs is parked). Exits with 3 when a rule was rejected.

    \b
    Example: soc rules check rules/sigma
    """
    from detectors.sigma.check import Remark, check
    from detectors.sigma.correlation.starving import starved
    from detectors.sigma.load import load
    from soc.run.detection import known_fields, pipelines
    from soc.run.rules_parking import hungry

    sigma, yara_paths = split(paths)
    report, yara = load(sigma), yara_report(yara_paths)
    remarks = check(report, pipelines(), known_fields())
    remarks += [Remark("form", one.path, one.line, one.message) for one in yara.warnings]
    loaded = {one.id: one.where for one in report.everything}
    table = _parked()

    def say(kind: str, rule: str, message: str, hint: str) -> None:
        path, _colon, line = loaded[rule].rpartition(":")
        remarks.append(Remark(kind, path, int(line), message, hint))

    for rule, parked in table.items():
        if rule in loaded:
            say("parked", rule, str(parked), f"soc rules unpark {rule}")
    for hunger in starved(report.without(table)):
        say("starved", hunger.rule, hungry(hunger), "soc rules health")
    columns = (
        Column("verdict", _("Verdict"), 8),
        Column("kind", _("Kind"), 8),
        Column("where", _("Where"), 60),
        Column("problem", _("Problem"), 90),
        Column("hint", _("Try"), 50),
    )
    with results(columns, format, json=json, output=output) as write:
        for rejected in (*report.rejected, *yara.rejected):
            write(_row("rejected", "", rejected.where, rejected.reason, rejected.hint))
        for remark in remarks:
            write(_row("warning", remark.kind, remark.where, remark.message, remark.hint))
    kinds = Counter(remark.kind for remark in remarks)
    note(
        _("{loaded} rules loaded, {rejected} rejected, {warned} warnings{kinds}").format(
            loaded=report.in_force + len(yara.rules),
            rejected=len(report.rejected) + len(yara.rejected),
            warned=len(remarks),
            kinds=": " + ", ".join(f"{n} {kind}" for kind, n in kinds.items()) if kinds else "",
        ),
        quiet=quiet,
    )
    if report.rejected or yara.rejected:
        raise typer.Exit(Exit.CONTENT)


def _parked() -> "Table":
    """Return what is parked in the configured store, as far as there is one that can be asked."""
    from soc.run.rules_parking import parked_if_any

    try:
        return parked_if_any(settings().store)
    except SocError as error:
        note(_("which rules are parked is not known: {why}").format(why=error))
        return {}


def _row(verdict: str, kind: str, where: str, problem: str, hint: str) -> dict[str, str]:
    return {"verdict": verdict, "kind": kind, "where": where, "problem": problem, "hint": hint}
