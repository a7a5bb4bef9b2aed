"""Opening the store where only a cluster will do."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from soc.cli.common import opened, settings
from soc.errors import UsageError
from soc.i18n import _

if TYPE_CHECKING:
    from soc.store.elastic import ElasticStore

ApplyOption = Annotated[
    bool, typer.Option("--apply", help=_("Do it; without this only say what would be done."))
]

LocationOption = Annotated[
    str,
    typer.Option("--location", help=_("The servers' folder for snapshots, below path.repo; once.")),
]


@contextmanager
def cluster(url: str | None) -> Iterator["ElasticStore"]:
    """Open the configured cluster, or the one at this URL; raise UsageError for a folder."""
    if not settings(store=url).store.url.startswith("http"):
        raise UsageError(
            _("this is for a cluster: the embedded store is its owner's folder"),
            hint="--store https://host:9200",
        )
    from soc.store.elastic import ElasticStore

    with opened(url) as store:
        if not isinstance(store, ElasticStore):
            raise AssertionError("a URL opens a cluster")
        yield store
