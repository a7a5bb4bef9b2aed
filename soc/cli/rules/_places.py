"""Where the rules lie that a command of `soc rules` is about."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from soc.cli.common import settings
from soc.i18n import _

if TYPE_CHECKING:
    from detectors.yara.load import YaraReport

PathsArgument = Annotated[
    list[Path] | None,
    typer.Argument(help=_("Rule files and folders; by default those of the configuration.")),
]


def split(paths: list[Path] | None) -> tuple[list[Path], list[Path]]:
    """Return where the Sigma rules and where the YARA rules lie."""
    from soc.run.scanning import by_language, yara_paths

    configured = settings().rules.paths
    return by_language(paths) if paths else (list(configured), yara_paths(configured))


def yara_report(paths: list[Path]) -> "YaraReport":
    """Return what YARA makes of these files."""
    from soc.run.scanning import check_yara

    return check_yara(paths)
