"""Where the rules lie that a command of `soc rules` is about."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from soc.cli.common import settings
from soc.errors import ContentError, UsageError
from soc.i18n import _

if TYPE_CHECKING:
    from detectors.sigma.correlation.rule import Correlation
    from detectors.sigma.rule import Rule
    from detectors.yara.load import YaraReport

PathsArgument = Annotated[
    list[Path] | None,
    typer.Argument(help=_("Rule files and folders; by default those of the configuration.")),
]


def split(paths: list[Path] | None) -> tuple[list[Path], list[Path]]:
    """Return where the Sigma rules and where the YARA rules lie."""
    from soc.run.scanning import by_language, yara_paths

    configured = settings().rules.paths
    if not paths:
        return list(configured), yara_paths(configured)
    sigma, yara = by_language(paths)
    if not sigma and not yara:
        raise ContentError(
            _("there is no rule in {places}").format(places=", ".join(map(str, paths))),
            hint=_("give a rule file or a folder of rules"),
        )
    return sigma, yara


def yara_report(paths: list[Path]) -> "YaraReport":
    """Return what YARA makes of these files."""
    from soc.run.scanning import check_yara

    return check_yara(paths)


def chosen(name: str, paths: Sequence[Path]) -> "Rule | Correlation":
    """Return the rule or correlation of that id, title or file; UsageError: none or several."""
    from detectors.sigma.load import load

    report = load(paths)
    wanted = Path(name).absolute()
    found = [
        rule
        for rule in report.everything
        if name in (rule.id, rule.info.title) or wanted == Path(rule.info.path).absolute()
    ]
    if len(found) == 1:
        return found[0]
    if found:
        hint = ", ".join(rule.id for rule in found)
        raise UsageError(_("{name!r} are several rules").format(name=name), hint=hint)
    raise UsageError(_("there is no rule {name!r}").format(name=name), hint="soc rules list")
