"""Look at the spool, where frames wait for the store, and mend it."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from soc.cli.common import (
    FieldsOption,
    FormatOption,
    JsonOption,
    LimitOption,
    OutputOption,
    QuietOption,
    settings,
)
from soc.cli.output import Column, results
from soc.cli.terminal import note
from soc.errors import Exit, StoreError
from soc.i18n import _, ngettext

app = typer.Typer(no_args_is_help=True)

FolderOption = Annotated[
    Path | None,
    typer.Option("--folder", help=_("A spool's folder instead of the one of this node.")),
]


@app.command()
def check(
    folder: FolderOption = None,
    format: FormatOption = None,
    json: JsonOption = False,
    output: OutputOption = None,
    fields: FieldsOption = None,
    quiet: QuietOption = False,
) -> None:
    """Read the whole spool and tell what is damaged; changes nothing.

    It may run beside a collector. Torn: a write that was never acknowledged was cut short, by a
    crash or at this moment; nothing is lost by it. Exits with 5 when frames are lost or the
    checkpoint is damaged.

    \b
    Example: soc collect spool check
    """
    from collectors.spool.inspection import look

    columns = (
        Column("segment", _("Segment"), 24),
        Column("verdict", _("Verdict"), 8),
        Column("frames", _("Frames"), 10),
        Column("bytes", _("Bytes"), 12),
        Column("lost", _("Lost"), 8),
        Column("bad_bytes", _("Bad bytes"), 10),
    )
    with _reading(_folder(folder)) as place:
        view = look(place)
    with results(columns, format, json=json, output=output, fields=fields) as write:
        for one in view.seen:
            write(
                {
                    "segment": one.segment.path.name,
                    "verdict": one.verdict,
                    "frames": one.frames,
                    "bytes": one.segment.size,
                    "lost": one.lost,
                    "bad_bytes": one.bad,
                }
            )
    lost = sum(one.lost for one in view.seen)
    waiting = max(view.found.end - view.found.checkpoint.sequence - lost, 0)
    text = ngettext("{count} frame waits", "{count} frames wait", waiting)
    more = ngettext("{count} is lost", "{count} are lost", lost)
    note(f"{text.format(count=waiting)}, {more.format(count=lost)}", quiet=quiet)
    if not view.checkpoint_read:
        note(_("the checkpoint is damaged: what is there will be sent again, and stored once"))
    if lost or not view.checkpoint_read:
        raise typer.Exit(Exit.STORE)


@app.command()
def repair(
    folder: FolderOption = None,
    apply: Annotated[bool, typer.Option("--apply", help=_("Do it, not only tell."))] = False,
) -> None:
    """Take damaged bytes out of the spool and keep them in its folder `quarantine`.

    A collector steps over damage by itself; this is for a spool that is to be moved, or that
    `check` shall call sound again. Frames that are lost stay lost. Refused while a collector runs.

    \b
    Example: soc collect spool repair --apply
    """
    from collectors.spool.inspection import look, mend

    with _reading(_folder(folder)) as place:
        if apply:
            done = mend(place)
            note(ngettext("{count} file mended", "{count} files mended", done).format(count=done))
            return
        view = look(place)
    bad = [one for one in view.seen if one.bad]
    for one in bad:
        note(
            _("would take {size} bytes out of {file}").format(
                size=one.bad, file=one.segment.path.name
            )
        )
    if not view.checkpoint_read:
        note(_("would write the checkpoint anew"))
    if not bad and view.checkpoint_read:
        note(_("there is nothing to mend"))
    else:
        note(_("nothing was changed; --apply does it"))


@app.command()
def show(
    folder: FolderOption = None,
    limit: LimitOption = 20,
    format: FormatOption = None,
    json: JsonOption = False,
    output: OutputOption = None,
    fields: FieldsOption = None,
) -> None:
    """Print the frames that wait, oldest first, as they arrived.

    \b
    Example: soc collect spool show -n 5
    """
    from collectors.spool.inspection import frames

    columns = (
        Column("number", _("Number"), 10),
        Column("received", _("Received"), 27),
        Column("input", _("Input"), 24),
        Column("from", _("From"), 30),
        Column("frame", _("Frame"), 90),
    )
    from datetime import UTC, datetime

    from soc.model.time import iso

    with (
        _reading(_folder(folder)) as place,
        results(columns, format, json=json, output=output, fields=fields) as write,
    ):
        for number, record in frames(place, limit):
            write(
                {
                    "number": number,
                    "received": iso(datetime.fromtimestamp(record.received / 1e6, UTC)),
                    "input": record.input,
                    "from": record.path or record.peer,
                    "position": record.frame.position,
                    "truncated": record.frame.truncated,
                    "frame": record.frame.raw.decode("utf-8", "backslashreplace"),
                }
            )


def _folder(folder: Path | None) -> Path:
    return folder or settings().paths.state / "spool"


@contextmanager
def _reading(place: Path) -> Iterator[Path]:
    try:
        yield place
    except OSError as error:
        raise StoreError(
            _("the spool cannot be read: {why}").format(why=error.strerror),
            where=str(error.filename or place),
        ) from error
