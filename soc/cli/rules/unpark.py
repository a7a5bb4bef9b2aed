"""Let a parked rule run again."""

from typing import Annotated

import typer

from soc.cli.common import StoreOption, opened
from soc.cli.terminal import note
from soc.errors import UsageError
from soc.i18n import _


def command(
    rule: Annotated[str, typer.Argument(help=_("The id or title of a parked rule."))],
    store: StoreOption = None,
) -> None:
    """Let a parked rule run again, for every `soc run` and worker on the store.

    \b
    Example: soc rules unpark "Root Logged In Over SSH"
    """
    from soc.run.rules_parking import parked, unpark

    with opened(store) as found:
        table = parked(found)
        ids = [one.rule for one in table.values() if rule in (one.rule, one.title)]
        if len(ids) != 1:
            raise UsageError(
                _("no parked rule is called {rule!r}").format(rule=rule)
                if not ids
                else _("several parked rules are called {rule!r}").format(rule=rule),
                hint=", ".join(ids or table) or "soc rules health",
            )
        unpark(found, ids[0])
    note(_("{rule} runs again").format(rule=table[ids[0]].title))
