"""Open a store by the place that the configuration names."""

import os
import re
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from soc.config.secret import SecretRef
from soc.errors import ContentError, StoreError
from soc.store.base import Store

_HINT = "sqlite:PATH, a PATH, or https://host:9200"


@dataclass(frozen=True, slots=True)
class Access:
    """How to get in: a key by reference, the CA that is trusted, and which environment.

    A person who makes keys for others needs a `user` and `password` instead: a key may not do that.
    """

    environment: str = "default"
    api_key: SecretRef | None = None
    ca: Path | None = None
    user: str = ""
    password: SecretRef | None = None


def open_store(place: str | Path, access: Access | None = None) -> Store:
    """Return the store at a folder's path, at `sqlite:PATH` or at the URL of a cluster.

    A folder is made when missing. `access` is for clusters. Raises ContentError for any other kind
    of place, StoreError when it cannot be opened.
    """
    text = str(place)
    folder = place if isinstance(place, Path) else _folder(text)
    if folder is None:
        return _cluster(text, access or Access())
    from soc.store.sqlite import SqliteStore  # what is not used is not imported

    return SqliteStore(folder)


def expect_store(place: str) -> None:
    """Raise StoreError where an embedded store should be and none is; a cluster is not asked.

    To read in a folder that is made by reading would find nothing, and say so.
    """
    folder = _folder(place)
    if folder is not None and not (folder / "state.db").exists():
        raise StoreError(
            "there is no store", where=str(folder), hint="check the path; soc store init makes one"
        )


def _folder(text: str) -> Path | None:
    """Return the folder of an embedded store, None for the URL of a cluster."""
    kind, colon, path = text.partition(":")
    if not (colon and re.fullmatch(r"[A-Za-z][A-Za-z0-9+.-]+", kind)):
        path = text
    elif kind in ("http", "https"):
        return None
    elif kind != "sqlite":
        raise ContentError(f"no store is called {kind!r}", where=text, hint=_HINT)
    if not path:
        raise ContentError("the store has no path", where=text, hint=_HINT)
    return Path(os.path.expanduser(path))


def _cluster(url: str, access: Access) -> Store:
    if find_spec("elasticsearch") is None:
        raise ContentError(
            "the Elasticsearch client is not installed",
            where=url,
            hint="pip install 'metrosoc[elastic]'",
        )
    from soc.store.elastic import ElasticStore

    return ElasticStore(url, access)
