"""Write a commented soc.toml and make the state folder; a second run changes nothing."""

import sys

from soc.cli.terminal import note
from soc.folders import private
from soc.i18n import _


def command() -> None:
    """Write ./soc.toml with every option explained, make the state folder, and show the file.

    What is there already stays as it is.

    \b
    Example: soc init
    """
    from pathlib import Path

    from soc.config import FILE
    from soc.run.settings import load
    from soc.run.starting import starter
    from soc.text import safe

    path = Path.cwd() / FILE
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(starter())
        note(_("written: {path}").format(path=path))
    except FileExistsError:
        note(_("there already, unchanged: {path}").format(path=path))
    state = load().paths.state
    if state.is_dir():
        note(_("there already, unchanged: {path}").format(path=state))
    else:
        private(state)
        note(_("made: {path}").format(path=state))
    for line in path.read_text("utf-8", errors="replace").splitlines():
        sys.stdout.write(safe(line) + "\n")
    note(_("next: soc doctor, then soc run"))
