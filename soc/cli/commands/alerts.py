"""Triage alerts: list, understand, decide."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from soc.cli.common import (
    FieldsOption,
    FormatOption,
    FullOption,
    JsonOption,
    LimitOption,
    OutputOption,
    SinceOption,
    StoreOption,
    UntilOption,
    levels_from,
    opened,
    person,
    settings,
    span,
)
from soc.cli.output import Column, choose, json_text, results, target
from soc.cli.output import Format as OutputFormat
from soc.cli.table import level_column
from soc.cli.terminal import note
from soc.errors import UsageError
from soc.i18n import _
from soc.model.alert import short_id

if TYPE_CHECKING:
    from soc.alerts.triage import Decision

app = typer.Typer(no_args_is_help=True)

COLUMNS = (
    Column("soc.alert.id", _("Id"), 9, short_id),
    Column("@timestamp", _("Time"), 20, lambda value: str(value)[:19] + "Z"),
    level_column(),
    Column("soc.alert.state", _("State"), 12),
    Column("rule.name", _("Rule"), 48),
    Column("soc.entities", _("Entities"), 48),
    Column("soc.alert.owner", _("Owner"), 12),
)

IdArgument = Annotated[
    str,
    typer.Argument(metavar="ID", help=_("The alert's id, or the part of it that the list shows.")),
]
IdsArgument = Annotated[
    list[str], typer.Argument(metavar="ID...", help=_("The alerts' ids, as the list shows them."))
]
ReasonOption = Annotated[
    str, typer.Option("--reason", "-r", help=_("Why, for those who read it later."))
]
AsOption = Annotated[
    str | None,
    typer.Option("--as", help=_("Who decides; by default the name you are logged in by.")),
]


@app.command("list")
def list_(
    query: Annotated[str, typer.Argument(help=_("Only alerts that match, as in `soc hunt`."))] = "",
    state: Annotated[
        str, typer.Option("--state", help=_("open (not closed), all, or one state."))
    ] = "open",
    level: Annotated[
        str | None, typer.Option("--level", help=_("This level and those above it."))
    ] = None,
    since: SinceOption = None,
    until: UntilOption = None,
    limit: LimitOption = 50,
    store: StoreOption = None,
    format: FormatOption = None,
    json: JsonOption = False,
    output: OutputOption = None,
    fields: FieldsOption = None,
    full: FullOption = False,
) -> None:
    """List alerts, newest first; without options those that are not closed.

    \b
    Example: soc alerts list --level high --since 24h
    """
    from soc.model.time import now
    from soc.store.query import parse

    moment_now = now()
    node = parse(_narrowed(query, state, level), now=moment_now)
    start, end = span(since, until, moment_now)
    with (
        opened(store) as found,
        results(COLUMNS, format, json=json, output=output, fields=fields, full=full) as write,
    ):
        page = found.search(
            node,
            collection="alerts",
            since=start,
            until=end,
            limit=limit,
        )
        for alert in page.events:
            write(alert)
        more = page.next is not None
    if more:
        note(_("there are more; narrow it with --since or a query, or raise --limit"))


def _narrowed(query: str, state: str, level: str | None) -> str:
    from soc.model.alert import STATES

    parts = [f"({query})"] if query.strip() else []
    if state not in ("open", "all", *STATES):
        problem = _("{state!r} is not a state").format(state=state)
        raise UsageError(problem, hint=", ".join(("open", "all", *STATES)))
    if state == "open":
        parts.append("NOT soc.alert.state:closed")
    elif state != "all":
        parts.append(f"soc.alert.state:{state}")
    if wanted := levels_from(level):
        parts.append(f"rule.level:({' OR '.join(wanted)})")
    return " AND ".join(parts)


@app.command()
def show(
    alert: IdArgument,
    store: StoreOption = None,
    format: FormatOption = None,
    json: JsonOption = False,
    output: OutputOption = None,
    full: FullOption = False,
) -> None:
    """Explain an alert: why it fired, the raw event, what happened around it, what to do.

    \b
    Example: soc alerts show 3f9a2c41
    """
    from soc.alerts.context import gather
    from soc.alerts.triage import find
    from soc.cli.explain import document, lines
    from soc.run.guides import guide

    with opened(store) as found:
        context = gather(found, find(found, alert))
    text = guide(context.alert["rule.id"], settings().rules.paths)
    chosen = choose(format, json=json, output=output)
    with target(output) as stream:
        if chosen is OutputFormat.TABLE:
            stream.writelines(f"{line}\n" for line in lines(context, text, full=full))
        else:
            stream.write(json_text(document(context, text)) + "\n")


@app.command()
def ack(alerts: IdsArgument, actor: AsOption = None, store: StoreOption = None) -> None:
    """Acknowledge alerts: somebody has seen them.

    \b
    Example: soc alerts ack 3f9a2c41
    """
    from soc.alerts.triage import Decision

    _act(alerts, Decision("ack", _actor(actor)), store)


@app.command()
def assign(
    alerts: IdsArgument,
    to: Annotated[str, typer.Option("--to", help=_("Who works on it from now on."))],
    actor: AsOption = None,
    store: StoreOption = None,
) -> None:
    """Give alerts to somebody: they are in progress then.

    \b
    Example: soc alerts assign 3f9a2c41 --to lan
    """
    from soc.alerts.triage import Decision

    _act(alerts, Decision("assign", _actor(actor), owner=to), store)


@app.command()
def close(
    alerts: IdsArgument,
    verdict: Annotated[
        str,
        typer.Option(
            "--verdict",
            "-v",
            help=_("true_positive, false_positive, benign, duplicate, test or unknown."),
        ),
    ],
    reason: ReasonOption,
    actor: AsOption = None,
    store: StoreOption = None,
) -> None:
    """Close alerts with a verdict and the reason for it.

    \b
    Example: soc alerts close 3f9a2c41 --verdict benign --reason 'backup job of the data centre'
    """
    from typing import cast

    from soc.alerts.triage import Decision
    from soc.model.alert import Verdict

    _act(alerts, Decision("close", _actor(actor), cast(Verdict, verdict), reason), store)


@app.command("note")
def note_(
    alerts: IdsArgument, reason: ReasonOption, actor: AsOption = None, store: StoreOption = None
) -> None:
    """Write a note into the alerts' history.

    \b
    Example: soc alerts note 3f9a2c41 --reason 'called the owner of the server'
    """
    from soc.alerts.triage import Decision

    _act(alerts, Decision("note", _actor(actor), reason=reason), store)


@app.command()
def reopen(
    alerts: IdsArgument, reason: ReasonOption, actor: AsOption = None, store: StoreOption = None
) -> None:
    """Open closed alerts again; their history stays.

    \b
    Example: soc alerts reopen 3f9a2c41 --reason 'the same file came back'
    """
    from soc.alerts.triage import Decision

    _act(alerts, Decision("reopen", _actor(actor), reason=reason), store)


def _actor(name: str | None) -> str:
    return name or person()


def _act(wanted: Sequence[str], decision: "Decision", store: str | None) -> None:
    from soc.alerts.triage import act, check, find
    from soc.model.time import now

    with opened(store) as found:
        # All are looked up first, so that a mistyped one, or one that is closed already, changes
        # nothing at all.
        alerts = {alert["soc.alert.id"]: alert for alert in (find(found, one) for one in wanted)}
        for name in alerts:
            check(found, name, decision, now())
        for alert in alerts.values():
            entry = act(found, alert["soc.alert.id"], decision, now())
            note(
                _("{id} {rule}: {before} -> {after}").format(
                    id=short_id(entry.alert_id),
                    rule=alert["rule.name"],
                    before=entry.state_from,
                    after=entry.state_to,
                )
            )
