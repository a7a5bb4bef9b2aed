"""Drop old events, and begin the day's indices."""

from typing import Annotated

import typer

from soc.cli.common import StoreOption, opened, settings
from soc.cli.terminal import note
from soc.errors import ContentError
from soc.i18n import _, ngettext


def command(
    store: StoreOption = None,
    apply: Annotated[
        bool, typer.Option("--apply", help=_("Drop them. Nothing brings them back."))
    ] = False,
) -> None:
    """Drop the days of events that `[retention]` does not keep; without --apply only say so.

    On a cluster it also begins the day's index of every stream: let a timer run it each day, just
    after midnight UTC, with an admin's key. Alerts and what was decided about them stay.

    \b
    Example: soc store retention --apply
    """
    from soc.model.time import now
    from soc.store.base import Retention

    known = settings(store=store)
    kept = known.retention
    policy = Retention(kept.days, kept.bytes)
    if policy == Retention() and not known.store.url.startswith("http"):
        raise ContentError(
            _("nothing says how long events stay"),
            where="[retention]",
            hint="days = 180, bytes = 2000000000000",
        )
    if not apply:
        days = _("{days} days").format(days=kept.days) if kept.days else ""
        size = _("{size} bytes").format(size=kept.bytes) if kept.bytes else ""
        limits = ", ".join(filter(None, (days, size))) or _("no limit")
        note(_("what goes beyond {limits} would be dropped: --apply").format(limits=limits))
        return
    with opened(store) as found:
        gone = found.retain(policy, now=now())
        for name in gone:
            note(_("dropped {name}").format(name=name))
        note(
            ngettext("{n} day of events dropped", "{n} days of events dropped", len(gone)).format(
                n=len(gone)
            )
        )
        # Last: on a full disk, or beside the most shards there may be, nothing begins before that.
        for name in found.tend(now()) if hasattr(found, "tend") else ():
            note(_("{name} is begun").format(name=name))
