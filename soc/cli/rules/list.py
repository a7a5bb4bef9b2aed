"""List the rules that are loaded."""

from typing import Any

from soc.cli.common import FormatOption, JsonOption, OutputOption
from soc.cli.output import Column, results
from soc.cli.rules._places import PathsArgument, split, yara_report
from soc.cli.table import level_column
from soc.i18n import _


def command(
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
        sigma, yara_paths = split(paths)
        report = load(sigma)
        sources = {one.id: _("correlation") for one in report.correlations}
        yara = yara_report(yara_paths).rules
        loaded: list[Any] = [*report.everything, *yara]
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
