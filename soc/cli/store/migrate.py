"""Take a cluster that an older soc set up to this version."""

from soc.cli.common import StoreOption
from soc.cli.store._cluster import cluster
from soc.cli.terminal import note
from soc.i18n import _


def command(store: StoreOption = None) -> None:
    """Write this version's templates and let every stream go on in an index of this version.

    What is stored stays readable. A second time, or from two places at once: nothing more happens.

    \b
    Example: soc store migrate
    """
    from soc.model.time import now

    with cluster(store) as found:
        found.init()
        for name in found.upkeep.migrate(now):
            note(_("{name} is of this version").format(name=name))
    note(_("the store is of this version"))
