"""Who may do what: the roles as data, and the API keys that carry them.

A key is for one environment and has an end. A node's key can add events and nothing else: stolen,
it erases no evidence. Nobody but an admin can change an event or an entry of a workflow log.
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from soc.errors import StoreError, UsageError
from soc.store.elastic.client import Client, Json
from soc.store.elastic.names import Names

READ: Final = ("read", "view_index_metadata", "monitor", "maintenance")
"""Search, and what a complete tail needs: statistics and refreshing."""
ADD: Final = ("create_doc", "auto_configure")
CHANGE: Final = ("read", "write", "auto_configure")

Grant = tuple[tuple[str, ...], tuple[str, ...]]
_EVENTS: Final = ("logs-soc.*-{env}",)
_MATCHES: Final = ("soc-matches.*-{env}",)
_ALERTS: Final = ("soc-alerts-{env}-*",)
_LOG: Final = ("soc-workflow-{env}",)
_SHARED: Final = ("soc-leases-{env}", "soc-checkpoints-{env}", "soc-positions-{env}")
_DAYS: Final = ("soc-days-{env}",)

ROLES: Final[dict[str, tuple[Grant, ...]]] = {
    "node": ((_EVENTS, ADD),),
    "detector": (
        (_EVENTS, READ),
        (_MATCHES, READ + ADD),
        (_ALERTS, READ + ADD),
        (_SHARED, CHANGE),
    ),
    "analyst": (
        (_EVENTS + _MATCHES, READ),
        (_ALERTS, (*READ, "index")),
        (_LOG, READ + ADD),
    ),
    "responder": (
        (_EVENTS, READ + ADD),
        (_MATCHES, READ),
        (_ALERTS, (*READ, "index")),
        (_LOG, READ + ADD),
        (_SHARED, CHANGE),
    ),
    "admin": ((_EVENTS + _MATCHES + _ALERTS + _LOG + _SHARED + _DAYS, ("all",)),),
}
"""Role -> (index patterns, privileges) ...; `{env}` is the environment."""

CLUSTER: Final[dict[str, tuple[str, ...]]] = {
    "admin": ("monitor", "manage_index_templates", "create_snapshot"),
}
_OTHERS: Final = ("monitor",)


@dataclass(frozen=True, slots=True)
class Key:
    """An API key; `secret` is known only when it has just been made."""

    id: str
    name: str
    role: str
    environment: str
    created: datetime
    expires: datetime | None
    revoked: bool
    secret: str = ""


def descriptor(role: str, environment: str) -> Json:
    """Return a role as Elasticsearch's role descriptor; raise UsageError for no role."""
    if role not in ROLES:
        raise UsageError(f"there is no role {role!r}", hint=", ".join(ROLES))
    return {
        "cluster": list(CLUSTER.get(role, _OTHERS)),
        "indices": [
            {
                "names": [name.format(env=environment) for name in patterns],
                "privileges": list(privileges),
            }
            for patterns, privileges in ROLES[role]
        ],
    }


@dataclass(frozen=True, slots=True)
class Keys:
    """The API keys of one environment."""

    client: Client
    names: Names

    def create(self, name: str, role: str, *, days: int) -> Key:
        """Make a key that ends after some days; needs a user, a key may not make keys."""
        environment = self.names.environment
        answer = self.client.ask(
            "POST",
            "/_security/api_key",
            {
                "name": name,
                "expiration": f"{days}d",
                "role_descriptors": {f"metrosoc-{role}": descriptor(role, environment)},
                "metadata": {"metrosoc": role, "environment": environment},
            },
        )
        found = self._find(answer["id"])
        return Key(**{n: getattr(found, n) for n in Key.__slots__} | {"secret": answer["encoded"]})

    def _find(self, identity: str) -> Key:
        answer = self.client.ask("GET", "/_security/api_key", id=identity)
        return _key(answer["api_keys"][0])

    def known(self) -> list[Key]:
        """Return the keys of this environment, the newest first."""
        answer = self.client.ask("GET", "/_security/api_key", name="*")
        known = [_key(one) for one in answer["api_keys"] if "metrosoc" in one.get("metadata", {})]
        mine = [one for one in known if one.environment == self.names.environment]
        return sorted(mine, key=lambda one: (one.created, one.id), reverse=True)

    def revoke(self, name: str) -> list[Key]:
        """End the keys of this name or id at once; raise UsageError when there is none."""
        mine = [one for one in self.known() if name in (one.id, one.name) and not one.revoked]
        if not mine:
            raise UsageError(f"there is no key {name!r}", hint="soc store keys list")
        answer = self.client.ask("DELETE", "/_security/api_key", {"ids": [one.id for one in mine]})
        if answer.get("error_count"):
            raise StoreError("not every key could be revoked", where=self.client.url)
        return mine


def _key(found: dict[str, Any]) -> Key:
    ends = found.get("expiration")
    metadata = found.get("metadata", {})
    return Key(
        found["id"],
        found["name"],
        str(metadata.get("metrosoc", "")),
        str(metadata.get("environment", "")),
        _moment(found["creation"]),
        _moment(ends) if ends else None,
        bool(found.get("invalidated")),
    )


def _moment(millis: int) -> datetime:
    return datetime.fromtimestamp(millis / 1000, UTC)
