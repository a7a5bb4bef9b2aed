"""Leave a rule out for every worker."""

from typing import Annotated

import typer

from soc.cli.common import RulesOption, StoreOption, opened, person, settings
from soc.cli.rules._places import chosen
from soc.cli.terminal import note
from soc.errors import UsageError
from soc.i18n import _


def command(
    rule: Annotated[str, typer.Argument(help=_("A rule's id, title or file."))],
    reason: Annotated[str, typer.Option("--reason", help=_("Why; stands wherever it is listed."))],
    rules: RulesOption = None,
    store: StoreOption = None,
) -> None:
    """Leave a rule out, for every `soc run` and worker on the store, within seconds.

    It stays in force until `soc rules unpark`, and is named at every start, by `soc doctor`,
    `soc rules check` and `soc rules health`. A correlation is parked like a rule: it counts
    nothing, and begins anew when it is unparked. Correlations that need what is parked are starved
    and named in the same places.

    \b
    Example: soc rules park "Root Logged In Over SSH" --reason "scanner of the city, until Friday"
    """
    from soc.model.time import iso, now
    from soc.run.rules_parking import Parked, park

    if not reason.strip():
        raise UsageError(_("a reason is needed"), hint='--reason "too many alerts, ticket 17"')
    found = chosen(rule, settings(rules=rules).rules.paths)
    one = Parked(found.id, found.info.title, reason.strip(), person(), iso(now()))
    with opened(store) as opened_store:
        done = park(opened_store, one)
    note(
        (
            _("parked: {rule}; undo: soc rules unpark {id}")
            if done
            else _("parked already: {rule}")
        ).format(rule=found.info.title, id=found.id)
    )
