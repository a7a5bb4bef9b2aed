"""Bring back what was saved."""

from typing import TYPE_CHECKING, Annotated

import typer

from soc.cli.common import StoreOption
from soc.cli.store._cluster import ApplyOption, LocationOption, cluster
from soc.cli.terminal import note
from soc.errors import UsageError
from soc.i18n import _

if TYPE_CHECKING:
    from soc.store.elastic.snapshots import Snapshot


def command(
    name: Annotated[str, typer.Argument(help=_("Which snapshot; the newest without one."))] = "",
    location: LocationOption = "",
    store: StoreOption = None,
    apply: ApplyOption = False,
) -> None:
    """Bring back from a snapshot what is not there; without --apply only say what.

    What is there stays as it is. Stop the workers first: they read what came back once more, and
    an alert that is there already is not raised again. A new cluster must be told the folder, and
    have its templates: soc store init. Needs [store] user and password.

    \b
    Example: soc store restore soc-20261122-030000 --apply
    """
    with cluster(store) as found:
        if location:
            found.snapshots.register(location)
        chosen = _chosen(found.snapshots.known(), name)
        parts = found.snapshots.missing(chosen)
        for part in chosen.parts:
            text = _("{name} is not there") if part in parts else _("{name} is there and stays")
            note(text.format(name=part))
        if not apply:
            note(
                _("what is not there would be restored from {name}: --apply").format(
                    name=chosen.name
                )
            )
            return
        if parts:
            found.snapshots.restore(chosen, parts)
    note(_("{name} is restored").format(name=chosen.name))


def _chosen(known: "list[Snapshot]", name: str) -> "Snapshot":
    whole = [one for one in known if one.state == "SUCCESS" and name in ("", one.name)]
    if not whole:
        names = ", ".join(one.name for one in known[-5:]) or "soc store snapshot"
        problem = _("there is no whole snapshot {name}").format(name=name)
        raise UsageError(problem.rstrip(), hint=names)
    return whole[-1]
