"""Drop second copies of events."""

from soc.cli.common import StoreOption
from soc.cli.store._cluster import ApplyOption, cluster
from soc.cli.terminal import note
from soc.i18n import ngettext


def command(store: StoreOption = None, apply: ApplyOption = False) -> None:
    """Delete events that were sent again while their stream's index turned, and lie in both.

    The first copy stays. Workers leave second copies out by themselves; searches count them.

    \b
    Example: soc store dedup --apply
    """
    count = 0
    with cluster(store) as found:
        for index, ids in found.upkeep.second_copies():
            count += found.upkeep.drop(index, ids) if apply else len(ids)
    done = ngettext("{n} second copy deleted", "{n} second copies deleted", count)
    planned = ngettext(
        "{n} second copy would be deleted: --apply",
        "{n} second copies would be deleted: --apply",
        count,
    )
    note((done if apply else planned).format(n=count))
