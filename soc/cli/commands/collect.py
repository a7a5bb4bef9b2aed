"""Turn log files and streams into ECS events."""

import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from soc.cli.common import (
    FieldsOption,
    FormatOption,
    JsonOption,
    OutputOption,
    ParserOption,
    QuietOption,
    StoreOption,
    UnitOption,
    ZoneOption,
    settings,
    zone_named,
)
from soc.cli.failures import show
from soc.cli.output import Column, Format, results
from soc.cli.terminal import note, progress
from soc.errors import Exit, SocError
from soc.i18n import _, ngettext
from soc.registry import plugins

if TYPE_CHECKING:
    from soc.model.event import Event
    from soc.run.captures import Captures
    from soc.run.collecting import Reading
    from soc.run.settings import Settings

app = typer.Typer(no_args_is_help=True)

COLUMNS = (
    Column("@timestamp", _("Time"), 27),
    Column("event.dataset", _("Dataset"), 14),
    Column("host.name", _("Host"), 20),
    Column("user.name", _("User"), 16),
    Column("source.ip", _("Source"), 20),
    Column("event.original", _("Record"), 70),
)
ToStoreOption = Annotated[
    bool, typer.Option("--to-store", help=_("Store the events; what is there already stays once."))
]


@app.command()
def file(
    paths: Annotated[list[Path], typer.Argument(help=_("Log files, or folders of them."))],
    parser: ParserOption = None,
    zone: ZoneOption = None,
    unit: UnitOption = "",
    to_store: ToStoreOption = False,
    store: StoreOption = None,
    format: FormatOption = None,
    json: JsonOption = False,
    output: OutputOption = None,
    fields: FieldsOption = None,
    quiet: QuietOption = False,
) -> None:
    """Read files once: text logs, JSON, XML and EVTX, packed with gzip or not.

    The kind of a file is recognised; a line that nobody knows is an event with the line in it.
    Reading the same file into the store again stores nothing twice.

    \b
    Example: soc collect file /var/log/auth.log --to-store
    """
    from soc.model.time import now
    from soc.run.collecting import Reading

    config = settings(store=store)
    how = Reading(now(), zone_named(zone), config.node.name, unit or config.node.unit, parser)
    _read(paths, how, config, None, (to_store, format, json, output, fields, quiet))


@app.command()
def pcap(
    paths: Annotated[list[Path], typer.Argument(help=_("Captures (pcap, pcapng), or folders."))],
    unit: UnitOption = "",
    to_store: ToStoreOption = False,
    store: StoreOption = None,
    format: FormatOption = None,
    json: JsonOption = False,
    output: OutputOption = None,
    fields: FieldsOption = None,
    quiet: QuietOption = False,
) -> None:
    """Read captures: flows, DNS, HTTP, TLS and files as events, each file judged by YARA.

    Files are carved from HTTP and kept by their SHA-256 in the folder `files` of the state
    folder, with size and count limited; their names are data only. Guarantee: as for files.

    \b
    Example: soc collect pcap portal.pcapng | soc detect - | jq .rule.name
    """
    from soc.model.time import now
    from soc.run.captures import Captures
    from soc.run.collecting import Reading

    config = settings(store=store)
    how = Reading(now(), zone_named(None), config.node.name, unit or config.node.unit)
    kept = config.paths.state / "files"
    with Captures(how, kept, config.rules.paths, show, lambda why: note(str(why))) as captures:
        _read(paths, how, config, captures, (to_store, format, json, output, fields, quiet))


@app.command()
def stdin(
    parser: ParserOption = None,
    zone: ZoneOption = None,
    unit: UnitOption = "",
    to_store: ToStoreOption = False,
    store: StoreOption = None,
    format: FormatOption = None,
    json: JsonOption = False,
    output: OutputOption = None,
    fields: FieldsOption = None,
    quiet: QuietOption = False,
) -> None:
    """Read raw records from standard input as they come.

    Guarantee: at least once for each run; a stream has no identity by which a second run could
    be recognised.

    \b
    Example: journalctl -f -o short-iso | soc collect stdin --parser syslog --to-store
    """
    import secrets

    from collectors.reading import read_stream
    from soc.model.time import now

    config = settings(store=store)
    events = read_stream(
        sys.stdin.buffer,
        clock=now,
        key=secrets.token_bytes(32),
        observer=config.node.name,
        unit=unit,
        zone=zone_named(zone),
        parser=parser,
        mode="raw",
    )
    _deliver(events, config, (to_store, format, json, output, fields, quiet))


@app.command()
def parsers(
    format: FormatOption = None, json: JsonOption = False, output: OutputOption = None
) -> None:
    """List the parsers: what they read, and what `--parser` calls them.

    \b
    Example: soc collect parsers
    """
    from collectors.parsing import KIND
    from soc.registry import plugins

    columns = (Column("name", _("Parser"), 20), Column("summary", _("Reads"), 100))
    with results(columns, format, json=json, output=output) as write:
        for plugin in plugins(KIND).values():
            write({"name": plugin.name, "summary": plugin.summary()})


for _plugin in plugins("soc.cli.collect").values():
    _module = _plugin.load()
    _name = _plugin.name.replace("_", "-")
    if hasattr(_module, "app"):
        app.add_typer(_module.app, name=_name, help=_plugin.summary())
    else:
        app.command(_name)(_module.command)


Delivery = tuple[bool, Format | None, bool, Path | None, str | None, bool]
"""The options to_store, format, json, output, fields and quiet."""


def _read(
    paths: list[Path],
    how: "Reading",
    config: "Settings",
    captures: "Captures | None",
    delivery: Delivery,
) -> None:
    from soc.run.collecting import files_in, read_all

    problems: list[SocError] = []

    def tell(error: SocError) -> None:
        problems.append(error)
        show(error)

    if captures:
        captures.problem = tell
    found = files_in(paths, tell)
    total = sum(path.stat().st_size for path in found if path.is_file())
    with progress(_("reading"), total, quiet=delivery[-1]) as advance:
        capture = captures.events if captures else None
        events = read_all(found, how, problem=tell, advance=advance, capture=capture)
        _deliver(events, config, delivery)
    if problems:
        raise typer.Exit(Exit.INPUT)


def _deliver(events: "Iterable[Event]", config: "Settings", delivery: Delivery) -> None:
    to_store, format, json, output, fields, quiet = delivery
    if not to_store:
        with results(COLUMNS, format, json=json, output=output, fields=fields) as write:
            for event in events:
                write(event)
        return
    from soc.model.time import now
    from soc.run.collecting import store_all

    store = config.store.open()
    try:
        stored = store_all(events, store, now)
    finally:
        store.close()
    for verdict in stored.rejected[:10]:
        note(_("refused {id}: {why}").format(id=verdict.id, why=verdict.reason))
    text = ngettext("{created} event stored", "{created} events stored", stored.created)
    rest = _("{duplicate} were there already, {rejected} refused")
    note(
        f"{text}, {rest}".format(
            created=stored.created, duplicate=stored.duplicate, rejected=len(stored.rejected)
        ),
        quiet=quiet,
    )
    if stored.rejected:
        raise typer.Exit(Exit.INPUT)
