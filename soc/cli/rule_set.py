"""The rule set of a command that runs for long: loaded, left out, reloaded, what it finds told."""

import signal
from typing import TYPE_CHECKING

from soc.cli.terminal import note
from soc.i18n import _

if TYPE_CHECKING:
    from soc.model.finding import Finding
    from soc.run.detection import Detection
    from soc.run.rules_parking import Table
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
    left_out(reloader.current, reloader.parked)
    signal.signal(signal.SIGHUP, lambda _number, _frame: reloader.ask())
    return reloader


def reloaded(reloader: "Reloader") -> "Detection | None":
    """Return the new rule set when there is one, and say so."""
    new = reloader.poll()
    if new is not None:
        report = new.report
        note(
            _("rules reloaded: {rules} rules, {rejected} rejected").format(
                rules=report.in_force, rejected=len(report.rejected)
            )
        )
        left_out(new, reloader.parked)
    return new


def left_out(loaded: "Detection", parked: "Table") -> None:
    """Name the parked rules that a rule set leaves out, and the correlations that need them."""
    from detectors.sigma.correlation.starving import starved
    from soc.run.rules_parking import hungry

    for one in parked.values():
        note(_("rule parked: {what}").format(what=one))
    for hunger in starved(loaded.report):
        note(_("correlation starved: {what}").format(what=hungry(hunger)))


def tell(finding: "Finding", *, quiet: bool) -> None:
    """Say that an alert was raised, in one line."""
    time = finding.event["@timestamp"][:19]
    where = finding.event.get("host.name", "")
    note(f"{time}Z  {finding.rule.level}  {finding.rule.title}  {where}", quiet=quiet)
