"""The rule set of a command that runs for long: loaded, left out, reloaded, and said so."""

import signal
from typing import TYPE_CHECKING

from soc.cli.terminal import note
from soc.i18n import _

if TYPE_CHECKING:
    from soc.run.detection import Detection
    from soc.run.rules_reload import Reloader
    from soc.run.settings import Settings
    from soc.store.base import Store


def rule_set(config: "Settings", store: "Store") -> "Reloader":
    """Load the rules, name what is left out of them, and have SIGHUP load them again."""
    from soc.run.rules_parking import parked
    from soc.run.rules_reload import Reloader

    reloader = Reloader(config.rules.paths, config.paths.state, lambda: parked(store))
    for rejection in reloader.current.report.rejected:
        note(_("rule left out: {why}").format(why=rejection))
    for left_out in parked(store).values():
        note(_("rule parked: {what}").format(what=left_out))
    signal.signal(signal.SIGHUP, lambda _number, _frame: reloader.ask())
    return reloader


def reloaded(reloader: "Reloader") -> "Detection | None":
    """Return the new rule set when there is one, and say so."""
    new = reloader.poll()
    if new is not None:
        report = new.report
        note(
            _("rules reloaded: {rules} rules, {rejected} rejected").format(
                rules=len(report.rules) + len(report.correlations), rejected=len(report.rejected)
            )
        )
    return new
