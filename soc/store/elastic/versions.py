"""Whether the store is of this program's version, and what to do where it is not.

Templates say what the next indices will be; an index goes on as it was begun. A node's key sees
the templates and no index.
"""

from collections.abc import Sequence
from typing import Final

from soc.errors import StoreError
from soc.store.elastic.client import Client
from soc.store.elastic.names import Names
from soc.store.elastic.streams import Streams
from soc.store.elastic.templates import COMPONENT, VERSION

TOGETHER: Final = 20
"""Indices that one request names: its line has room for 4 KB."""
_MAPPINGS: Final = "*.mappings._meta.metrosoc"


def templates(client: Client) -> int:
    """Return the version of the templates, 0 where there are none."""
    path = f"/_component_template/{COMPONENT}"
    answer = client.ask("GET", path, missing=True, filter_path="**.version")
    known = answer.get("component_templates", [])
    return int(known[0]["component_template"]["version"]) if known else 0


def older(client: Client, names: Names, streams: Streams) -> list[str]:
    """Return the indices that take documents and that an older version began, if one may see them.

    Raises StoreError when a newer one did.
    """
    newest = {one.stream: one.name for one in streams.backing(f"{names.events},{names.matches}")}
    path = f"/_resolve/index/{names.alerts}"
    months = client.ask("GET", path, missing=True, expand_wildcards="open,hidden")
    taking = sorted([*newest.values(), *(one["name"] for one in months.get("indices", []))])
    known: dict[str, int] = {}
    for start in range(0, len(taking), TOGETHER):
        known |= _versions(client, taking[start : start + TOGETHER])
    if max(known.values(), default=0) > VERSION:
        raise _newer(client.url, max(known.values()))
    return [name for name in taking if known.get(name, 0) < VERSION]


def _versions(client: Client, indices: Sequence[str]) -> dict[str, int]:
    path = f"/{','.join(indices)}/_mapping"
    answer = client.ask("GET", path, ignore_unavailable="true", filter_path=_MAPPINGS)
    return {name: int(one["mappings"]["_meta"]["metrosoc"]) for name, one in answer.items()}


def mismatch(url: str, version: int, old: Sequence[str] = ()) -> StoreError | None:
    """Return what a person has to do about the templates' version and about old indices."""
    if version > VERSION:
        return _newer(url, version)
    if version == 0:
        return StoreError("the cluster is not set up for soc", where=url, hint="soc store init")
    if version == VERSION and not old:
        return None
    what = f"version {version} of the fields is in the store, {VERSION} in this soc"
    if version == VERSION:
        what = f"indices that take events are of an older soc: {len(old)}, such as {old[0]}"
    text = f"{what}; what is new in this one is not searched in what is stored until then"
    return StoreError(text, where=url, hint="soc store migrate")


def _newer(url: str, version: int) -> StoreError:
    text = f"the cluster was set up by a newer soc, with version {version} of the fields"
    return StoreError(f"{text}; this soc has {VERSION}", where=url, hint="update soc here")
