"""Judge files or a pipe by the rules; no store is needed."""

import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from soc.cli.common import (
    FailOnOption,
    FieldsOption,
    FormatOption,
    FullOption,
    JsonOption,
    OutputOption,
    ParserOption,
    QuietOption,
    RulesOption,
    UnitOption,
    ZoneOption,
    levels_from,
    settings,
    zone_named,
)
from soc.cli.failures import show
from soc.cli.output import Column, results
from soc.cli.table import level_column
from soc.cli.terminal import note, progress
from soc.errors import Exit, SocError, UsageError
from soc.i18n import _, ngettext

if TYPE_CHECKING:
    from soc.model.event import Event
    from soc.run.captures import Captures
    from soc.run.collecting import Reading
    from soc.run.summary import Summary

COLUMNS = (
    Column("@timestamp", _("Time"), 27),
    level_column(),
    Column("rule.name", _("Rule"), 48),
    Column("host.name", _("Host"), 20),
    Column("user.name", _("User"), 16),
    Column("source.ip", _("Source"), 20),
    Column("log.file.path", _("File"), 40),
)


def command(
    paths: Annotated[
        list[str], typer.Argument(help=_("Log files or folders of them; - reads standard input."))
    ],
    rules: RulesOption = None,
    fail_on: FailOnOption = None,
    raw: Annotated[
        bool, typer.Option("--raw", help=_("Standard input holds raw records, not events."))
    ] = False,
    events: Annotated[
        bool, typer.Option("--events", help=_("The input holds events that `soc` wrote."))
    ] = False,
    parser: ParserOption = None,
    zone: ZoneOption = None,
    unit: UnitOption = "",
    format: FormatOption = None,
    json: JsonOption = False,
    output: OutputOption = None,
    fields: FieldsOption = None,
    full: FullOption = False,
    quiet: QuietOption = False,
    jobs: Annotated[
        int,
        typer.Option("--jobs", min=1, max=256, help=_("Processes that read files side by side.")),
    ] = 1,
) -> None:
    """Judge logs, EVTX files, captures or a pipe of events by the rules and print the findings.

    One finding a line: the rule, its level and ATT&CK techniques, the event, and the reason it
    matched. A summary follows on standard error.

    \b
    Example: soc detect /var/log/auth.log Security.evtx portal.pcap --fail-on high
    Example: soc collect file access.log | soc detect - | jq .rule.name
    """
    from soc.model.time import now
    from soc.run.captures import Captures
    from soc.run.collecting import Reading, files_in
    from soc.run.detection import detection
    from soc.run.parallel import Job, parts_in, workers
    from soc.run.summary import Summary

    if raw and events:
        raise UsageError(_("--raw and --events contradict each other"), hint=_("leave one out"))
    if jobs > 1 and "-" in paths:
        raise UsageError(_("standard input is read by one process"), hint=_("leave out --jobs"))
    failing = levels_from(fail_on)
    config = settings(rules=rules)
    loaded = detection(config.rules.paths, state=config.paths.state)
    for rejection in loaded.report.rejected:
        note(_("rule left out: {why}").format(why=rejection), quiet=quiet)
    mode: Any = "raw" if raw else "events" if events else "auto"
    how = Reading(now(), zone_named(zone), config.node.name, unit, parser, mode)
    summary, problems = Summary(files=len(paths)), list[SocError]()

    def tell(error: SocError) -> None:
        problems.append(error)
        show(error)

    with ExitStack() as stack:
        if jobs > 1:
            parts = parts_in(files_in([Path(path) for path in paths], tell), how)
            job = Job(parts, how, config.rules.paths, loaded)
            some = stack.enter_context(workers(job, jobs))
            total = sum(part.size for part in parts)
            advance = stack.enter_context(progress(_("reading"), total, quiet=quiet))
            findings = some.findings(summary, tell, note, advance)
        else:
            captures = stack.enter_context(
                Captures(how, None, config.rules.paths, tell, lambda why: note(str(why)))
            )
            found = _events(paths, captures, tell, quiet)
            findings = loaded.findings(found, summary, stream=paths == ["-"])
        write = stack.enter_context(
            results(COLUMNS, format, json=json, output=output, fields=fields, full=full)
        )
        for finding in findings:
            write(finding)
    if not quiet:
        _tell(summary)
    if problems:
        raise typer.Exit(Exit.INPUT)
    if any(summary.levels[level] for level in failing):
        raise typer.Exit(Exit.FINDINGS)


def _events(
    paths: list[str], captures: "Captures", tell: Callable[[SocError], None], quiet: bool
) -> "Iterator[Event]":
    from soc.run.collecting import files_in, read_all

    found = files_in([Path(path) for path in paths if path != "-"], tell)
    total = sum(path.stat().st_size for path in found if path.is_file())
    with progress(_("reading"), total, quiet=quiet) as advance:
        yield from read_all(
            found, captures.how, problem=tell, advance=advance, capture=captures.events
        )
    if "-" in paths:
        yield from _stdin(captures.how)


def _stdin(how: "Reading") -> "Iterator[Event]":
    import secrets

    from collectors.reading import read_stream
    from soc.model.time import now

    yield from read_stream(
        sys.stdin.buffer,
        clock=now,
        key=secrets.token_bytes(32),
        observer=how.observer,
        unit=how.unit,
        zone=how.zone,
        parser=how.parser,
        mode=how.mode,
    )


def _tell(summary: "Summary") -> None:
    events = ngettext("{n} event", "{n} events", summary.events).format(n=summary.events)
    found = ngettext("{n} finding", "{n} findings", summary.findings).format(n=summary.findings)
    note(f"{events}, {found}")
    if summary.unparsed:
        note(
            _("{n} records were not understood; they are events all the same").format(
                n=summary.unparsed
            )
        )
    if not summary.findings:
        return
    totals = summary.as_dict()
    note(_("levels: {list}").format(list=_counts(totals["levels"])))
    note(_("top rules: {list}").format(list=_counts(totals["rules"])))
    if totals["hosts"]:
        note(_("top hosts: {list}").format(list=_counts(totals["hosts"])))
    note(_("from {first} to {last}").format(first=summary.first, last=summary.last))


def _counts(counts: dict[str, int]) -> str:
    return ", ".join(f"{name} {count}" for name, count in list(counts.items())[:5])
