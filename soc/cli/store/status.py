"""Show what the store holds."""

from typing import Any

from soc.cli.common import FormatOption, JsonOption, OutputOption, StoreOption, opened
from soc.cli.output import Column, results
from soc.cli.terminal import note
from soc.i18n import _


def command(
    store: StoreOption = None,
    format: FormatOption = None,
    json: JsonOption = False,
    output: OutputOption = None,
) -> None:
    """Show what the store holds; of a cluster also what its servers lack, and what does it instead.

    Says so when the store is of another version than this soc.

    \b
    Example: soc store status --json
    """
    columns: tuple[Column, ...] = (
        Column("kind", _("Kind"), 8),
        Column("place", _("Place"), 60),
        Column("schema", _("Schema"), 6),
        Column("events", _("Events"), 14),
        Column("alerts", _("Alerts"), 10),
        Column("bytes", _("Bytes"), 16),
    )
    of_cluster = (
        Column("version", _("Version"), 10),
        Column("nodes", _("Nodes"), 6),
        Column("health", _("Health"), 8),
    )
    with opened(store) as found:
        if problem := found.mismatch():
            note(str(problem))
        info = found.info()
        cluster = found.capabilities() if hasattr(found, "capabilities") else None
    row: dict[str, Any] = {column.field: getattr(info, column.field) for column in columns}
    if cluster is not None:
        row |= {column.field: getattr(cluster, column.field) for column in of_cluster}
        row["missing"] = list(cluster.missing)
        columns += of_cluster
    with results(columns, format, json=json, output=output) as write:
        write(row)
    for one in cluster.instead if cluster else ():
        note(_("the servers lack {what}").format(what=one))
