"""Look into captures: packets one by one, or one conversation cut out as evidence."""

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from soc.cli.common import (
    FieldsOption,
    FormatOption,
    FullOption,
    JsonOption,
    LimitOption,
    OutputOption,
    QuietOption,
    SinceOption,
    UntilOption,
    span,
)
from soc.cli.failures import show as show_error
from soc.cli.output import Column, results
from soc.cli.terminal import note, progress
from soc.errors import Exit, SocError, UsageError
from soc.i18n import _

if TYPE_CHECKING:
    from collectors.packets.tools.selection import Wanted

app = typer.Typer(no_args_is_help=True)

COLUMNS = (
    Column("soc.packets.frame", _("No."), 9),
    Column("@timestamp", _("Time"), 27),
    Column("source.address", _("Source"), 39),
    Column("destination.address", _("Destination"), 39),
    Column("network.protocol", _("Protocol"), 14),
    Column("network.bytes", _("Length"), 7),
    Column("message", _("Info"), 90),
)
SLICE_COLUMNS = (
    Column("file.path", _("File"), 50),
    Column("network.packets", _("Packets"), 10),
    Column("file.size", _("Bytes"), 12),
    Column("file.hash.sha256", _("SHA-256"), 64),
)
ConversationOption = Annotated[
    str | None,
    typer.Option("--community-id", help=_("The conversation, as in network.community_id: 1:...")),
]
_COMMUNITY_ID: Final = re.compile(r"1:[A-Za-z0-9+/]{27}=")


@app.command()
def show(
    path: Annotated[Path, typer.Argument(help=_("A pcap or pcapng file, packed or not."))],
    community_id: ConversationOption = None,
    limit: LimitOption = 1000,
    format: FormatOption = None,
    json: JsonOption = False,
    output: OutputOption = None,
    fields: FieldsOption = None,
    full: FullOption = False,
    quiet: QuietOption = False,
) -> None:
    """Show a capture packet by packet: time, source, destination, protocol, length, info.

    tshark says what a packet is where it and bubblewrap are installed, and runs in a sandbox;
    else scapy, else soc itself. A packet that stops one of them costs its info, not the listing.

    \b
    Example: soc packets show incident.pcap --limit 50
    Example: soc packets show incident.pcap --community-id 1:HcRgUXJoTB8HL2KJNHZi9/uihtg= --full
    """
    from soc.run.packets import show_capture

    wanted = _wanted(community_id) if community_id else None
    problems: list[SocError] = []
    notes: list[str] = []
    with results(COLUMNS, format, json=json, output=output, fields=fields, full=full) as write:
        rows = show_capture(path, wanted, limit, problem=_teller(problems), tell=notes.append)
        for row in rows:
            write(row)
    for text in notes:
        note(text, quiet=quiet)
    if problems:
        raise typer.Exit(Exit.INPUT)


@app.command()
def slice(
    paths: Annotated[list[Path], typer.Argument(help=_("pcap or pcapng files, in their order."))],
    out: Annotated[
        Path, typer.Option("--output", "-o", help=_("The new capture; .pcapng makes a pcapng."))
    ],
    community_id: ConversationOption = None,
    source: Annotated[str | None, typer.Option(help=_("An IP address of the one end."))] = None,
    destination: Annotated[
        str | None, typer.Option(help=_("An IP address of the other end."))
    ] = None,
    port: Annotated[
        int | None, typer.Option(min=0, max=65535, help=_("A port of either end."))
    ] = None,
    since: SinceOption = None,
    until: UntilOption = None,
    format: FormatOption = None,
    json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Cut one conversation out of captures into a new one, and print its SHA-256.

    Both directions and all fragments are in it, as they were captured. An existing file is not
    overwritten. Nothing found is exit code 4, with the conversations that are there.

    \b
    Example: soc packets slice ring-*.pcap --community-id 1:HcRgUXJoTB8HL2KJNHZi9/uihtg= -o it.pcap
    Example: soc packets slice ring-1.pcap --source 10.0.0.7 --port 443 --since 2h -o it.pcap
    """
    from soc.run.packets import slice_captures

    wanted = _wanted(community_id, source, destination, port, since, until)
    if str(out) == "-":
        raise UsageError(_("the new capture is a file"), hint="-o OUT.pcap")
    problems: list[SocError] = []
    total = sum(path.stat().st_size for path in paths if path.is_file())
    with progress(_("reading"), total, quiet=quiet) as advance:
        sliced = slice_captures(paths, wanted, out, problem=_teller(problems), advance=advance)
    with results(SLICE_COLUMNS, format, json=json) as write:
        write(sliced.document(out, paths, wanted))
    if sliced.there:
        note(_("the same file was there already"), quiet=quiet)
    if sliced.undecided:
        text = _(
            "{n} fragments belong to nobody: the capture lacks the first ones of their datagrams"
        )
        note(text.format(n=sliced.undecided), quiet=quiet)
    if problems:
        raise typer.Exit(Exit.INPUT)


def _teller(problems: list[SocError]) -> Any:  # noqa: ANN401 - a callback
    def tell(error: SocError) -> None:
        problems.append(error)
        show_error(error)

    return tell


def _wanted(
    community_id: str | None,
    source: str | None = None,
    destination: str | None = None,
    port: int | None = None,
    since: str | None = None,
    until: str | None = None,
) -> "Wanted":
    """Return what the options ask for; raise UsageError."""
    from collectors.packets.tools.selection import Wanted, packed
    from soc.model.time import now

    if not (community_id or source or destination or port is not None):
        raise UsageError(
            _("which conversation?"), hint="--community-id, --source, --destination, --port"
        )
    if community_id and not _COMMUNITY_ID.fullmatch(community_id):
        raise UsageError(
            _("{text!r} is not a community ID").format(text=community_id),
            hint=_("copy network.community_id of an event: 1: and 28 characters"),
        )
    try:
        addresses = packed((source, destination))
    except ValueError as error:
        raise UsageError(
            _("{text} is not an IP address").format(text=f"{source or ''} {destination or ''}"),
            hint="10.0.0.7, 2001:db8::7",
        ) from error
    present = now()
    window = [
        None if at is None else int(at.timestamp()) * 10**6 + at.microsecond
        for at in span(since, until, present)
    ]
    return Wanted(community_id or "", addresses, port, *window)
