"""Set the store up, see what it holds, drop what is old, give out keys."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from soc.cli.common import FormatOption, JsonOption, OutputOption, StoreOption, opened, settings
from soc.cli.output import Column, results
from soc.cli.terminal import note
from soc.errors import ContentError, UsageError
from soc.i18n import _, ngettext

if TYPE_CHECKING:
    from soc.store.elastic import ElasticStore
    from soc.store.elastic.roles import Key

app = typer.Typer(no_args_is_help=True)
keys = typer.Typer(no_args_is_help=True, help=_("API keys of a cluster: who may do what."))
app.add_typer(keys, name="keys")

NameArgument = Annotated[str, typer.Argument(help=_("What the key is called: node or person."))]


@contextmanager
def _cluster(url: str | None) -> Iterator["ElasticStore"]:
    if not settings(store=url).store.url.startswith("http"):
        raise UsageError(
            _("the embedded store has no keys: its folder's owner may do everything"),
            hint="soc store keys ... --store https://host:9200",
        )
    from soc.store.elastic import ElasticStore

    with opened(url) as store:
        if not isinstance(store, ElasticStore):
            raise AssertionError("a URL opens a cluster")
        yield store


@app.command()
def init(store: StoreOption = None) -> None:
    """Set the store up: folders, or the templates of a cluster; a second time changes nothing.

    \b
    Example: soc store init --store https://soc.example:9200
    """
    with opened(store) as found:
        made = found.init() if hasattr(found, "init") else []
    for name in made:
        note(_("{name} is in place").format(name=name))
    note(_("the store is ready"))


@app.command()
def status(
    store: StoreOption = None,
    format: FormatOption = None,
    json: JsonOption = False,
    output: OutputOption = None,
) -> None:
    """Show what the store holds.

    \b
    Example: soc store status --json
    """
    columns = (
        Column("kind", _("Kind"), 8),
        Column("place", _("Place"), 60),
        Column("schema", _("Schema"), 6),
        Column("events", _("Events"), 14),
        Column("alerts", _("Alerts"), 10),
        Column("bytes", _("Bytes"), 16),
    )
    with opened(store) as found:
        info = found.info()
    with results(columns, format, json=json, output=output) as write:
        write({column.field: getattr(info, column.field) for column in columns})


@app.command()
def retention(
    store: StoreOption = None,
    apply: Annotated[
        bool, typer.Option("--apply", help=_("Drop them. Nothing brings them back."))
    ] = False,
) -> None:
    """Drop the days of events that `[retention]` does not keep; without --apply only say so.

    Alerts and what was decided about them stay.

    \b
    Example: soc store retention --apply
    """
    from soc.model.time import now
    from soc.store.base import Retention

    kept = settings(store=store).retention
    if kept.days is None and kept.bytes is None:
        raise ContentError(
            _("nothing says how long events stay"),
            where="[retention]",
            hint="days = 180, bytes = 2000000000000",
        )
    if not apply:
        days = _("{days} days").format(days=kept.days) if kept.days else ""
        size = _("{size} bytes").format(size=kept.bytes) if kept.bytes else ""
        limits = ", ".join(filter(None, (days, size)))
        note(_("what goes beyond {limits} would be dropped: --apply").format(limits=limits))
        return
    with opened(store) as found:
        gone = found.retain(Retention(kept.days, kept.bytes), now=now())
    for name in gone:
        note(_("dropped {name}").format(name=name))
    note(
        ngettext("{n} day of events dropped", "{n} days of events dropped", len(gone)).format(
            n=len(gone)
        )
    )


@keys.command("create")
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

    with _cluster(store) as cluster:
        try:
            handle = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except OSError as error:
            raise UsageError(str(error.strerror), where=str(file), hint=_("a new file")) from error
        try:
            made = cluster.keys.create(name, role, days=days)
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


@keys.command("list")
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
    with _cluster(store) as cluster:
        found = cluster.keys.known()
    with results(columns, format, json=json, output=output) as write:
        for key in found:
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


@keys.command("revoke")
def revoke(name: NameArgument, store: StoreOption = None) -> None:
    """End the keys of this name (or id) at once.

    \b
    Example: soc store keys revoke office-17
    """
    with _cluster(store) as cluster:
        ended = cluster.keys.revoke(name)
    for key in ended:
        note(_("{name} ({id}) is revoked").format(name=key.name, id=key.id))
