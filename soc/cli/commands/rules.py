"""Check and test Sigma and YARA rules: what loads, what not and why, what hits and misses."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from soc.cli.common import FormatOption, JsonOption, OutputOption, QuietOption, settings
from soc.cli.output import Column, results
from soc.cli.table import level_column
from soc.cli.terminal import note
from soc.errors import Exit
from soc.i18n import _

if TYPE_CHECKING:
    from detectors.yara.load import YaraReport

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

    sigma, yara_paths = _paths(paths)
    report, yara = load(sigma), _yara(yara_paths)
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
    from soc.run.rules import run_tests, subjects, untested
    from soc.run.scanning import run_yara_tests, untested_yara

    sigma, yara_paths = _paths(paths)
    yara = _yara(yara_paths)
    outcomes: list[Any] = list(run_yara_tests(yara))
    loaded = detection(sigma) if sigma or not yara_paths else None
    if loaded:
        outcomes += run_tests(loaded)
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
            rules=len(yara.rules) + (len(subjects(loaded.report)) if loaded else 0),
            cases=len(outcomes),
            failed=len(failed),
            untested=len(untested(sigma)) + len(untested_yara(yara_paths)),
        ),
        quiet=quiet,
    )
    if failed or yara.rejected or (loaded and loaded.report.rejected):
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
        sigma, yara_paths = _paths(paths)
        report = load(sigma)
        sources = {one.id: _("correlation") for one in report.correlations}
        yara = _yara(yara_paths).rules
        loaded: list[Any] = [*report.rules, *report.correlations, *yara]
        for rule in loaded:
            info = rule.info
            source = sources.get(info.id, _("files (YARA)"))
            write(
                {
                    "rule.id": info.id,
                    "rule.name": info.title,
                    "rule.level": info.level,
                    "logsource": str(getattr(rule, "logsource", source)),
                    "threat.technique.id": list(info.techniques),
                    "path": info.path,
                }
            )


def _paths(paths: list[Path] | None) -> tuple[list[Path], list[Path]]:
    """Return where the Sigma rules and where the YARA rules lie."""
    from soc.run.scanning import by_language, yara_paths

    configured = settings().rules.paths
    return by_language(paths) if paths else (list(configured), yara_paths(configured))


def _yara(paths: list[Path]) -> "YaraReport":
    from soc.run.scanning import check_yara

    return check_yara(paths)


def _row(verdict: str, where: str, problem: str, hint: str) -> dict[str, str]:
    return {"verdict": verdict, "where": where, "problem": problem, "hint": hint}
