"""Load rules and report what is wrong with them."""

from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING

import typer

from soc.cli.common import FormatOption, JsonOption, OutputOption, QuietOption, settings
from soc.cli.output import Column, results
from soc.cli.rules._places import PathsArgument, split, yara_report
from soc.cli.terminal import note
from soc.errors import Exit, SocError
from soc.i18n import _

if TYPE_CHECKING:
    from soc.run.rules_parking import Parked


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
    regex (slow), parked. Exits with 3 when a rule was rejected.

    \b
    Example: soc rules check rules/sigma
    """
    from detectors.sigma.check import Remark, check
    from detectors.sigma.load import load
    from soc.run.detection import known_fields, pipelines

    sigma, yara_paths = split(paths)
    report, yara = load(sigma), yara_report(yara_paths)
    remarks = check(report, pipelines(), known_fields())
    remarks += [Remark("form", one.path, one.line, one.message) for one in yara.warnings]
    loaded = {rule.id: rule.where for rule in report.rules}
    for one in _parked():
        if one.rule in loaded:
            path, _colon, line = loaded[one.rule].rpartition(":")
            remarks.append(
                Remark("parked", path, int(line), str(one), f"soc rules unpark {one.rule}")
            )
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
            loaded=len(report.rules) + len(report.correlations) + len(yara.rules),
            rejected=len(report.rejected) + len(yara.rejected),
            warned=len(remarks),
            kinds=": " + ", ".join(f"{n} {kind}" for kind, n in kinds.items()) if kinds else "",
        ),
        quiet=quiet,
    )
    if report.rejected or yara.rejected:
        raise typer.Exit(Exit.CONTENT)


def _parked() -> "Iterator[Parked]":
    """Yield what is parked in the configured store, as far as there is one that can be asked."""
    from soc.run.rules_parking import parked_if_any

    try:
        yield from parked_if_any(settings().store).values()
    except SocError as error:
        note(_("which rules are parked is not known: {why}").format(why=error))


def _row(verdict: str, kind: str, where: str, problem: str, hint: str) -> dict[str, str]:
    return {"verdict": verdict, "kind": kind, "where": where, "problem": problem, "hint": hint}
