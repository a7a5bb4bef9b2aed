"""Run the tests that stand beside rules."""

from typing import Any

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
    """Run the tests that stand beside rules: every hit must fire, every near miss must not.

    Prints the failed cases with the reason tree. Exits with 3 when one failed.

    \b
    Example: soc rules test rules/sigma/sshd
    """
    from soc.run.detection import detection
    from soc.run.rules import run_tests, subjects, untested
    from soc.run.scanning import run_yara_tests, untested_yara

    sigma, yara_paths = split(paths)
    yara = yara_report(yara_paths)
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
