"""API keys of a cluster: who may do what."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from soc.cli.common import FormatOption, JsonOption, OutputOption, StoreOption
from soc.cli.output import Column, results
from soc.cli.store._cluster import cluster
from soc.cli.terminal import note
from soc.errors import UsageError
from soc.i18n import _

if TYPE_CHECKING:
    from soc.store.elastic.roles import Key

app = typer.Typer(no_args_is_help=True, help=_("API keys of a cluster: who may do what."))
NameArgument = Annotated[str, typer.Argument(help=_("What the key is called: node or person."))]


@app.command("create")
def create(
    name: NameArgument,
    file: Annotated[Path, typer.Argument(help=_("Where the key is written, for its owner only."))],
    role: Annotated[
        str, typer.Option("--role", help=_("node, detector, analyst, responder or admin."))
    ],
    days: Annotated[int, typer.Option("--days", min=1, max=3650, help=_("How long it lasts."))],
    store: StoreOption = None,
) -> None:
    """Make a key of a role for this environment, and write it to a new file.

    The configuration needs [store] user and password: a key may not make keys.

    \b
    Example: soc store keys create office-17 office-17.key --role node --days 365
    """
    import os

    with cluster(store) as found:
        try:
            handle = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except OSError as error:
            raise UsageError(str(error.strerror), where=str(file), hint=_("a new file")) from error
        try:
            made = found.keys.create(name, role, days=days)
            os.write(handle, made.secret.encode() + b"\n")
        except BaseException:
            file.unlink()
            raise
        finally:
            os.close(handle)
    note(
        _("{name} ({role}) until {day}: {file}").format(
            name=name, role=role, day=f"{made.expires:%Y-%m-%d}", file=file
        )
    )


@app.command("list")
def list_(
    store: StoreOption = None,
    format: FormatOption = None,
    json: JsonOption = False,
    output: OutputOption = None,
) -> None:
    """List the keys of this environment, the newest first; never what they are.

    \b
    Example: soc store keys list
    """
    columns = (
        Column("name", _("Name"), 30),
        Column("role", _("Role"), 10),
        Column("created", _("Created"), 27),
        Column("expires", _("Expires"), 27),
        Column("state", _("State"), 10),
        Column("id", _("Id"), 24),
    )
    with cluster(store) as found:
        listed = found.keys.known()
    with results(columns, format, json=json, output=output) as write:
        for key in listed:
            write(_row(key))


def _row(key: "Key") -> dict[str, Any]:
    from soc.model.time import iso, now

    ended = key.expires is not None and key.expires <= now()
    return {
        "name": key.name,
        "role": key.role,
        "created": iso(key.created),
        "expires": iso(key.expires) if key.expires else "",
        "state": "revoked" if key.revoked else "expired" if ended else "valid",
        "id": key.id,
    }


@app.command("revoke")
def revoke(name: NameArgument, store: StoreOption = None) -> None:
    """End the keys of this name (or id) at once.

    \b
    Example: soc store keys revoke office-17
    """
    with cluster(store) as found:
        ended = found.keys.revoke(name)
    for key in ended:
        note(_("{name} ({id}) is revoked").format(name=key.name, id=key.id))
