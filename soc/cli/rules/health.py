"""Show what each rule costs and finds."""

from collections.abc import Collection
from typing import TYPE_CHECKING, Any

from soc.cli.common import FormatOption, JsonOption, OutputOption, QuietOption, StoreOption, opened
from soc.cli.output import Column, results
from soc.cli.terminal import note
from soc.i18n import _

if TYPE_CHECKING:
    from detectors.sigma.load import LoadReport


def command(
    store: StoreOption = None,
    format: FormatOption = None,
    json: JsonOption = False,
    output: OutputOption = None,
    quiet: QuietOption = False,
) -> None:
    """Show what each rule costs and finds, the most expensive first; parked rules at the top.

    Correlations that need what is parked stand there as starved.

    Share and time are measured on a sample of the last 10 to 20 minutes, matches and errors are
    counted for every event since the beginning. What was noticed (a rule is costly, or was parked)
    stands below.

    \b
    Example: soc rules health
    """
    from detectors.sigma.correlation.starving import starved
    from soc.run.rules_parking import hungry, parked
    from soc.run.rules_watch import health

    columns = (
        Column("state", _("State"), 7),
        Column("rule.name", _("Rule"), 50),
        Column("share", _("Share %"), 8, show=_percent),
        Column("per_event", _("us/event"), 9, show=_tenth),
        Column("slowest", _("Slowest ms"), 10, show=_tenth),
        Column("matches", _("Matches"), 10),
        Column("errors", _("Errors"), 7),
        Column("last", _("Last hit"), 20),
        Column("rule.id", _("Id"), 36),
    )
    with opened(store) as found:
        table, known = parked(found), health(found)
    report = _report()
    titles = {one.id: one.info.title for one in report.everything} if report else {}
    hungers = starved(report.without(table)) if report else []
    reasons = {one.rule: hungry(one) for one in hungers}
    reasons |= {rule: one.reason for rule, one in table.items()}
    total, recent = known.total, known.recent
    costly = recent.costly()
    ids = sorted(
        {*total.rules, *reasons},
        key=lambda rule: (rule not in table, rule not in reasons, -recent.share(rule)),
    )
    with results(columns, format, json=json, output=output) as write:
        for rule in ids:
            tally, now = total.of(rule), recent.of(rule)
            title = table[rule].title if rule in table else titles.get(rule, "")
            write(
                {
                    "state": _state(rule, table, reasons, costly),
                    "rule.name": title,
                    "rule.id": rule,
                    "share": recent.share(rule),
                    "per_event": recent.per_event(rule) * 1e6,
                    "slowest": tally.slowest * 1e3,
                    "candidates": now.candidates,
                    "sampled": recent.sampled,
                    "matches": tally.matches,
                    "errors": tally.errors,
                    "last": tally.last,
                    "reason": reasons.get(rule, ""),
                }
            )
    for hunger in hungers:
        note(_("correlation starved: {what}").format(what=hungry(hunger)))
    for one in known.notices:
        note(f"{one['at'][:19]}Z  {one['title']} ({one['rule']}): {one['detail']}", quiet=quiet)
    note(
        _(
            "{judged} events judged, {sampled} of the last ones measured; {parked} rules parked"
        ).format(judged=total.judged, sampled=recent.sampled, parked=len(table)),
        quiet=quiet,
    )


def _state(
    rule: str, parked: Collection[str], reasons: Collection[str], costly: Collection[str]
) -> str:
    if rule in parked:
        return "parked"
    if rule in reasons:
        return "starved"
    return "costly" if rule in costly else "ok"


def _report() -> "LoadReport | None":
    """Return the configured rules, None when they cannot be loaded: then the ids have to do."""
    from detectors.sigma.load import load
    from soc.cli.common import settings
    from soc.errors import ContentError

    try:
        return load(settings().rules.paths)
    except ContentError:
        return None


def _percent(value: Any) -> str:  # noqa: ANN401 - a cell's value
    return f"{value:.1%}"


def _tenth(value: Any) -> str:  # noqa: ANN401
    return f"{value:.1f}"
