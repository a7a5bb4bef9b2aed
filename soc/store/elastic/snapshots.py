"""Snapshots in a folder that every server sees, and the way back.

A snapshot holds the events, alerts, workflow logs and the workers' state of one environment. Only
what is not there is restored: nothing that lives is overwritten. A restored shard has a history of
its own, so that the tail reads it again instead of trusting a place that may lie beyond its end.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from soc.errors import ContentError, StoreError
from soc.store.elastic.client import Client
from soc.store.elastic.names import Backing, Names
from soc.store.elastic.templates import STATE_KINDS

POLL: Final = 0.5


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One snapshot: its name, state (SUCCESS, PARTIAL, ...), when it was begun, what is in it."""

    name: str
    state: str
    started: datetime
    parts: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Snapshots:
    """The snapshots of one environment."""

    client: Client
    names: Names
    wait: Callable[[float], None] = time.sleep

    @property
    def repository(self) -> str:
        """Return what the cluster calls the place of these snapshots."""
        return f"metrosoc-{self.names.environment}"

    def register(self, location: str) -> None:
        """Name the folder; it must lie below `path.repo` of every server."""
        body = {"type": "fs", "settings": {"location": location, "compress": True}}
        self.client.ask("PUT", f"/_snapshot/{self.repository}", body)

    def known(self) -> list[Snapshot]:
        """Return the snapshots, the oldest first."""
        answer = self.client.ask("GET", f"/_snapshot/{self.repository}/_all", missing=True)
        if not answer:
            hint = "--location FOLDER"
            raise ContentError("no place for snapshots is known", where=self.client.url, hint=hint)
        found = [_snapshot(one) for one in answer["snapshots"]]
        return sorted(found, key=lambda one: (one.started, one.name))

    def take(self, now: datetime) -> Snapshot:
        """Make a snapshot and wait for it; raise StoreError when a shard is missing from it."""
        name = f"soc-{now.astimezone(UTC):%Y%m%d-%H%M%S}"
        body = {"indices": self._patterns(), "include_global_state": False}
        body |= {"ignore_unavailable": True, "partial": False}
        path = f"/_snapshot/{self.repository}/{name}"
        self.client.ask("PUT", path, body, wait_for_completion="false")
        while True:
            (found,) = self.client.ask("GET", path)["snapshots"]
            if found["state"] not in ("IN_PROGRESS", "STARTED"):
                break
            self.wait(POLL)
        if found["state"] != "SUCCESS":
            reason = f"the snapshot {name} is {found['state']}"
            raise StoreError(reason, where=self.client.url, hint="soc store status")
        return _snapshot(found)

    def missing(self, snapshot: Snapshot) -> list[str]:
        """Return what a snapshot holds of this environment and the cluster does not."""
        there = self._there()
        return [name for name in snapshot.parts if name not in there]

    def restore(self, snapshot: Snapshot, parts: list[str]) -> None:
        """Bring these parts back, and wait until every shard answers."""
        body = {"indices": parts, "include_global_state": False, "include_aliases": False}
        path = f"/_snapshot/{self.repository}/{snapshot.name}/_restore"
        self.client.ask("POST", path, body, wait_for_completion="false")
        for name in parts:
            path = f"/_cluster/health/{name}"
            while True:
                options: dict[str, Any] = {"wait_for_status": "yellow", "timeout": "30s"}
                answer = self.client.ask("GET", path, expand_wildcards="all", **options)
                if not answer["timed_out"]:
                    break

    def _patterns(self) -> list[str]:
        plain = [self.names.state(kind) for kind in STATE_KINDS]
        return [self.names.events, self.names.matches, self.names.alerts, *plain]

    def _there(self) -> set[str]:
        # Wildcards only: a name that is not there would be the whole answer.
        patterns = (self.names.events, self.names.alerts, self.names.state("*"))
        path = f"/_resolve/index/{','.join(patterns)}"
        answer = self.client.ask("GET", path, missing=True, expand_wildcards="all")
        streams = {one["name"] for one in answer.get("data_streams", [])}
        return streams | {one["name"] for one in answer.get("indices", [])}


def _snapshot(found: dict[str, Any]) -> Snapshot:
    plain = [name for name in found["indices"] if Backing.read(name) is None]
    parts = tuple(sorted([*plain, *found.get("data_streams", [])]))
    started = datetime.fromtimestamp(found["start_time_in_millis"] / 1000, UTC)
    return Snapshot(found["snapshot"], found["state"], started, parts)
