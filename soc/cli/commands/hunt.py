"""Search stored events: by field, word, range, network or regular expression."""

from typing import Annotated

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
    opened,
    span,
)
from soc.cli.output import Column, results
from soc.cli.terminal import note
from soc.errors import UsageError
from soc.i18n import _

COLUMNS = (
    Column("@timestamp", _("Time"), 27),
    Column("event.dataset", _("Dataset"), 14),
    Column("host.name", _("Host"), 20),
    Column("user.name", _("User"), 16),
    Column("source.ip", _("Source"), 20),
    Column("event.original", _("Record"), 70),
)

_LONGEST = 10_000
"""A bar of `--every` spans fewer units of time than these."""


def command(
    query: Annotated[str, typer.Argument(help=_("What to look for; docs/query.md has it all."))],
    since: SinceOption = None,
    until: UntilOption = None,
    limit: LimitOption = 50,
    count_by: Annotated[
        str | None,
        typer.Option("--count-by", help=_("Count by this field instead of listing the events.")),
    ] = None,
    every: Annotated[
        str | None, typer.Option("--every", help=_("Count by time instead: 1m, 1h, 1d."))
    ] = None,
    store: StoreOption = None,
    format: FormatOption = None,
    json: JsonOption = False,
    output: OutputOption = None,
    fields: FieldsOption = None,
    full: FullOption = False,
) -> None:
    """Search stored events, newest first. Text compares without regard to case.

    \b
    Example: soc hunt 'source.ip:203.0.113.0/24 AND NOT user.name:lan' --since 2h
    Example: soc hunt 'process.command_line:*mimikatz*' --count-by host.name
    """
    from soc.model.time import now
    from soc.store.base import Histogram, Terms
    from soc.store.query import parse

    if count_by and every:
        raise UsageError(_("--count-by and --every contradict each other"), hint=_("leave one out"))
    moment_now = now()
    node = parse(query, now=moment_now)
    start, end = span(since, until, moment_now)
    with opened(store) as found:
        if count_by or every:
            by = Terms(count_by, limit + 1) if count_by else Histogram(_seconds(every or ""))
            columns = (Column("key", count_by or _("Time"), 60), Column("count", _("Count")))
            buckets = found.aggregate(node, by, since=start, until=end)
            more = bool(count_by) and len(buckets) > limit
            with results(columns, format, json=json, output=output, full=full) as write:
                for bucket in buckets[:limit] if count_by else buckets:
                    write({"key": bucket.key, "count": bucket.count})
        else:
            page = found.search(node, since=start, until=end, limit=limit)
            more = page.next is not None
            with results(
                COLUMNS, format, json=json, output=output, fields=fields, full=full
            ) as write:
                for event in page.events:
                    write(event)
    if more:
        note(_("there are more; narrow it with --since or a query, or raise --limit"))


def _seconds(text: str) -> int:
    units = {"s": 1, "m": 60, "h": 3600, "d": 86400}
    number, unit = text[:-1], text[-1:]
    if (
        unit not in units
        or not number.isdecimal()
        or not number.isascii()
        or not 0 < int(number) < _LONGEST
    ):
        problem = _("{text!r} is not a length of time").format(text=text)
        raise UsageError(problem, hint=_("30s, 5m, 1h or 1d"))
    return int(number) * units[unit]
