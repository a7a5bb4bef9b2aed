"""Load rules and report what is wrong with them."""

import typer

from soc.cli.common import FormatOption, JsonOption, OutputOption, QuietOption
from soc.cli.output import Column, results
from soc.cli.rules._places import PathsArgument, split, yara_report
from soc.cli.terminal import note
from soc.errors import Exit
from soc.i18n import _


def command(
    paths: PathsArgument = None,
    format: FormatOption = None,
    json: JsonOption = False,
    output: OutputOption = None,
    quiet: QuietOption = False,
) -> None:
    """Load rules and report what was rejected, and what was loaded but can never fire.

    Exits with 3 when a rule was rejected.

    \b
    Example: soc rules check rules/sigma
    """
    from detectors.sigma.load import load
    from soc.run.detection import pipelines

    sigma, yara_paths = split(paths)
    report, yara = load(sigma), yara_report(yara_paths)
    unserved = pipelines().unserved(report.rules)
    columns = (
        Column("verdict", _("Verdict"), 8),
        Column("where", _("Where"), 60),
        Column("problem", _("Problem"), 90),
        Column("hint", _("Try"), 50),
    )
    with results(columns, format, json=json, output=output) as write:
        for one in (*report.rejected, *yara.rejected):
            write(_row("rejected", one.where, one.reason, one.hint))
        for warned in (*report.warnings, *yara.warnings):
            write(_row("warning", f"{warned.path}:{warned.line}", warned.message, ""))
        for rule in unserved:
            problem = _("no event source delivers {logsource}").format(logsource=rule.logsource)
            write(_row("warning", rule.where, problem, "docs/sources.md"))
    note(
        _("{loaded} rules loaded, {rejected} rejected, {warned} warnings").format(
            loaded=len(report.rules) + len(report.correlations) + len(yara.rules),
            rejected=len(report.rejected) + len(yara.rejected),
            warned=len(report.warnings) + len(yara.warnings) + len(unserved),
        ),
        quiet=quiet,
    )
    if report.rejected or yara.rejected:
        raise typer.Exit(Exit.CONTENT)


def _row(verdict: str, where: str, problem: str, hint: str) -> dict[str, str]:
    return {"verdict": verdict, "where": where, "problem": problem, "hint": hint}
