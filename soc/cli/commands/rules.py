"""Check and test Sigma rules: what loads, what does not and why, what hits and misses."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from soc.cli.common import FormatOption, JsonOption, OutputOption, QuietOption, settings
from soc.cli.output import Column, results
from soc.cli.table import level_column
from soc.cli.terminal import note
from soc.errors import Exit
from soc.i18n import _

app = typer.Typer(no_args_is_help=True)

PathsArgument = Annotated[
    list[Path] | None,
    typer.Argument(help=_("Rule files and folders; by default those of the configuration.")),
]


@app.command()
def check(
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

    report = load(_paths(paths))
    unserved = pipelines().unserved(report.rules)
    columns = (
        Column("verdict", _("Verdict"), 8),
        Column("where", _("Where"), 60),
        Column("problem", _("Problem"), 90),
        Column("hint", _("Try"), 50),
    )
    with results(columns, format, json=json, output=output) as write:
        for one in report.rejected:
            write(_row("rejected", one.where, one.reason, one.hint))
        for warned in report.warnings:
            write(_row("warning", f"{warned.path}:{warned.line}", warned.message, ""))
        for rule in unserved:
            problem = _("no event source delivers {logsource}").format(logsource=rule.logsource)
            write(_row("warning", rule.where, problem, "docs/sources.md"))
    note(
        _("{loaded} rules loaded, {rejected} rejected, {warned} warnings").format(
            loaded=len(report.rules),
            rejected=len(report.rejected),
            warned=len(report.warnings) + len(unserved),
        ),
        quiet=quiet,
    )
    if report.rejected:
        raise typer.Exit(Exit.CONTENT)


@app.command("test")
def run_(
    paths: PathsArgument = None,
    format: FormatOption = None,
    json: JsonOption = False,
    output: OutputOption = None,
    quiet: QuietOption = False,
) -> None:
    """Run the tests that stand beside rules: every hit must fire, every near miss must not.

    Prints the failed cases with the reason tree. Exits with 3 when one failed.

    \b
    Example: soc rules test rules/sigma/sshd
    """
    from soc.run.detection import detection
    from soc.run.rules import run_tests, untested

    found = _paths(paths)
    loaded = detection(found)
    outcomes = list(run_tests(loaded.report.rules, loaded.engine))
    failed = [outcome for outcome in outcomes if not outcome.passed]
    columns = (
        Column("rule.name", _("Rule"), 48),
        Column("case", _("Case"), 40),
        Column("wanted", _("Wanted"), 6),
        Column("problem", _("Problem"), 60),
        Column("where", _("Where"), 60),
    )
    with results(columns, format, json=json, output=output) as write:
        for outcome in failed:
            matched = _("it fired") if outcome.matched else _("it did not fire")
            write(
                {
                    "rule.name": outcome.rule.info.title,
                    "rule.id": outcome.rule.id,
                    "case": outcome.case.name,
                    "wanted": "hit" if outcome.case.wanted else "miss",
                    "problem": outcome.problem or matched,
                    "where": outcome.rule.where,
                    "reason": outcome.reason.as_dict() if outcome.reason else None,
                }
            )
    note(
        _("{rules} rules, {cases} cases, {failed} failed, {untested} rules without a test").format(
            rules=len(loaded.report.rules),
            cases=len(outcomes),
            failed=len(failed),
            untested=len(untested(found)),
        ),
        quiet=quiet,
    )
    if failed or loaded.report.rejected:
        raise typer.Exit(Exit.CONTENT)


@app.command("list")
def list_(
    paths: PathsArgument = None,
    format: FormatOption = None,
    json: JsonOption = False,
    output: OutputOption = None,
) -> None:
    """List the rules that are loaded.

    \b
    Example: soc rules list --json
    """
    from detectors.sigma.load import load

    columns = (
        level_column(),
        Column("rule.name", _("Rule"), 60),
        Column("logsource", _("Log source"), 40),
        Column("threat.technique.id", _("ATT&CK"), 24),
        Column("rule.id", _("Id"), 36),
    )
    with results(columns, format, json=json, output=output) as write:
        for rule in load(_paths(paths)).rules:
            info = rule.info
            write(
                {
                    "rule.id": info.id,
                    "rule.name": info.title,
                    "rule.level": info.level,
                    "logsource": str(rule.logsource),
                    "threat.technique.id": list(info.techniques),
                    "path": info.path,
                }
            )


def _paths(paths: list[Path] | None) -> Sequence[Path]:
    return paths or settings().rules.paths


def _row(verdict: str, where: str, problem: str, hint: str) -> dict[str, str]:
    return {"verdict": verdict, "where": where, "problem": problem, "hint": hint}
