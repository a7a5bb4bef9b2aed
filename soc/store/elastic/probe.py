"""What a cluster is and what its servers lack: asked, never assumed."""

from dataclasses import dataclass
from typing import Final

from soc.store.elastic.client import Client

OPTIONAL: Final = {
    "data-streams": "soc store retention",
    "x-pack-ilm": "soc store retention",
    "wildcard": "keyword",
    "mapper-extras": "text, double",
    "constant-keyword": "keyword",
    "x-pack-eql": "soc worker",
    "x-pack-esql": "soc worker",
    "x-pack-async-search": "search_after",
}
"""Module of a full install -> what soc uses in its place, there or not, so that a query means the
same on every server."""


@dataclass(frozen=True, slots=True)
class Capabilities:
    """The cluster's version, nodes and health; `missing` is a part of `OPTIONAL`."""

    version: str
    nodes: int
    health: str
    missing: tuple[str, ...]

    @property
    def instead(self) -> list[str]:
        """Return what is missing, each with what is used in its place."""
        return [f"{name} ({OPTIONAL[name]})" for name in self.missing]


def probe(client: Client) -> Capabilities:
    """Ask a cluster; a module counts when every node has it."""
    path = "nodes.*.version,nodes.*.modules.name,nodes.*.plugins.name"
    nodes = client.ask("GET", "/_nodes/plugins", filter_path=path).get("nodes", {}).values()
    has = [{one["name"] for one in [*n.get("modules", []), *n.get("plugins", [])]} for n in nodes]
    everywhere = set.intersection(*has) if has else set()
    health = client.ask("GET", "/_cluster/health", filter_path="status,number_of_nodes")
    version = ", ".join(sorted({str(one["version"]) for one in nodes}))
    missing = tuple(name for name in OPTIONAL if name not in everywhere)
    return Capabilities(version, int(health["number_of_nodes"]), str(health["status"]), missing)
