"""Set the store up."""

from soc.cli.common import StoreOption, opened
from soc.cli.terminal import note
from soc.i18n import _


def command(store: StoreOption = None) -> None:
    """Set the store up: folders, or the templates of a cluster; a second time changes nothing.

    \b
    Example: soc store init --store https://soc.example:9200
    """
    with opened(store, make=True) as found:
        made = found.init() if hasattr(found, "init") else []
        problem = found.mismatch()
    for name in made:
        note(_("{name} is in place").format(name=name))
    note(_("the store is ready") if problem is None else str(problem))
