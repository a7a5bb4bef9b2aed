"""Save what the cluster holds."""

from soc.cli.common import StoreOption
from soc.cli.store._cluster import LocationOption, cluster
from soc.cli.terminal import note
from soc.i18n import ngettext


def command(
    location: LocationOption = "",
    store: StoreOption = None,
) -> None:
    """Save events, alerts and the workers' state of this environment; only what is new is copied.

    The first time names the folder, which every server must see: a network file system. Naming it
    needs [store] user and password; afterwards an admin's key is enough.

    \b
    Example: soc store snapshot --location /srv/snapshots/soc
    """
    from soc.model.time import now

    with cluster(store) as found:
        if location:
            found.snapshots.register(location)
        found.snapshots.known()
        taken = found.snapshots.take(now())
    count = len(taken.parts)
    text = ngettext("{name}: {n} part is saved", "{name}: {n} parts are saved", count)
    note(text.format(name=taken.name, n=count))
