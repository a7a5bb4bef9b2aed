"""Explain a rule on an event."""

from pathlib import Path
from typing import Annotated

import typer

from soc.cli.common import (
    FormatOption,
    FullOption,
    JsonOption,
    OutputOption,
    ParserOption,
    RulesOption,
    StoreOption,
    ZoneOption,
    opened,
    settings,
    zone_named,
)
from soc.cli.output import Column, choose, results, target
from soc.cli.output import Format as OutputFormat
from soc.i18n import _


def command(
    rule: Annotated[str, typer.Argument(help=_("The rule's id, title or file."))],
    event: Annotated[
        str, typer.Argument(help=_("A log or event file, - for standard input, or an event's id."))
    ],
    rules: RulesOption = None,
    parser: ParserOption = None,
    zone: ZoneOption = None,
    store: StoreOption = None,
    format: FormatOption = None,
    json: JsonOption = False,
    output: OutputOption = None,
    full: FullOption = False,
) -> None:
    """Show what of a rule matched an event and what failed, with the values that decided.

    Of a correlation: which of its rules matched, what the event is grouped by, and for several
    events whether the condition became true. Exits with 0 whether the rule matched or not.

    \b
    Example: soc rules explain 'Root Logged In Over SSH' auth.log
    Example: soc hunt 'user.name:root' -n 1 -f ndjson | soc rules explain rules/sigma/my.yml -
    """
    from soc.cli.explain import explanation
    from soc.model.time import now
    from soc.run import explaining
    from soc.run.collecting import Reading

    config = settings(rules=rules)
    loaded, one = explaining.loaded_with(rule, config.rules.paths)
    if event == explaining.STDIN or Path(event).exists():
        how = Reading(now(), zone_named(zone), config.node.name, parser=parser)
        found = explaining.read(event, how)
    else:
        with opened(store) as place:
            found = iter([explaining.stored(event, place)])
    told = explaining.explained(loaded, one, found)
    if choose(format, json=json, output=output) is OutputFormat.TABLE:
        with target(output) as stream:
            for each in told:
                stream.writelines(f"{line}\n" for line in explanation(each, full=full))
        return
    columns = tuple(Column(name, name) for name in ("rule.id", "event.id", "matched"))
    with results(columns, format, json=json, output=output) as write:
        for each in told:
            write(each.as_document())
