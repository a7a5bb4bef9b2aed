"""Open a store by the place that the configuration names."""

import re
from pathlib import Path

from soc.errors import ContentError
from soc.store.base import Store


def open_store(place: str | Path) -> Store:
    """Return the store at a folder's path or `sqlite:PATH`; the folder is made when missing.

    Raises ContentError for any other kind of place, StoreError when it cannot be opened.
    """
    text = str(place)
    kind, colon, path = text.partition(":")
    if isinstance(place, Path) or not (colon and re.fullmatch(r"[a-z][a-z0-9+.-]+", kind)):
        path = text
    elif kind != "sqlite":
        raise ContentError(f"no store is called {kind!r}", where=text, hint="sqlite:PATH or a PATH")
    if not path:
        raise ContentError("the store has no path", where=text, hint="sqlite:PATH or a PATH")
    from soc.store.sqlite import SqliteStore  # what is not used is not imported

    return SqliteStore(Path(path))
