"""What workers share: leases, checkpoints and positions, one document each, compared and set.

Every document is read by its id, which sees the last write at once, and is written only over the
version that was read (`if_seq_no`, `if_primary_term`) or as a new one (`create`).
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Final
from urllib.parse import quote

import orjson

from soc.errors import Conflict
from soc.model.time import iso, parse_iso
from soc.store.base import Checkpoint, Lease
from soc.store.elastic.client import ApiError, Client, explained
from soc.store.elastic.names import Names, document_id

TRIES: Final = 20


@dataclass(frozen=True, slots=True)
class Document:
    """A document and the version of it that was read; `version` is None when there is none."""

    source: dict[str, Any]
    version: tuple[int, int] | None


def read(client: Client, index: str, identity: str) -> Document:
    """Return a document by its id, as it is now."""
    path = f"/{index}/_doc/{quote(document_id(identity), safe='')}"
    found = client.ask("GET", path, missing=True)
    if not found.get("found"):
        return Document({}, None)
    return Document(found["_source"], (found["_seq_no"], found["_primary_term"]))


def write(
    client: Client,
    index: str,
    identity: str,
    source: Any,  # noqa: ANN401
    over: tuple[int, int] | None,
) -> bool:
    """Write a document over the version that was read; False when another one is there."""
    name = quote(document_id(identity), safe="")
    with explained(client.url):
        try:
            if over is None:
                client.send("PUT", f"/{index}/_create/{name}", source)
            else:
                client.send(
                    "PUT",
                    f"/{index}/_doc/{name}",
                    source,
                    if_seq_no=over[0],
                    if_primary_term=over[1],
                )
        except ApiError as error:
            if error.status_code == 409:
                return False
            raise
    return True


def acquire(
    client: Client, names: Names, name: str, holder: str, seconds: float, now: datetime
) -> Lease | None:
    """Take or renew a lease; see `soc.store.base.Store.acquire`."""
    index = names.state("leases")
    for _ in range(TRIES):
        found = read(client, index, name)
        epoch = int(found.source.get("epoch", 0))
        alive = found.version is not None and parse_iso(found.source["expires"]) > now
        if alive and found.source["holder"] != holder:
            return None
        expires = now + timedelta(seconds=seconds)
        lease = Lease(name, holder, epoch if alive else epoch + 1, expires)
        fields = {"name": _text(name), "holder": holder, "epoch": lease.epoch}
        if write(client, index, name, fields | {"expires": iso(expires)}, found.version):
            return lease
    return None


def release(client: Client, names: Names, lease: Lease) -> None:
    """Give a lease back; its epoch stays known, so that the next holder's is higher."""
    index = names.state("leases")
    found = read(client, index, lease.name)
    mine = (found.source.get("holder"), found.source.get("epoch")) == (lease.holder, lease.epoch)
    if mine:
        ended = found.source | {"expires": iso(parse_iso("1970-01-01"))}
        write(client, index, lease.name, ended, found.version)


def checkpoint(client: Client, names: Names, name: str) -> Checkpoint | None:
    """Return a checkpoint, None when it was never saved."""
    found = read(client, names.state("checkpoints"), name)
    if found.version is None:
        return None
    known = found.source
    return Checkpoint(name, orjson.loads(known["payload"]), known["version"], known["epoch"])


def save_checkpoint(client: Client, names: Names, given: Checkpoint) -> Checkpoint:
    """Compare and set; see `soc.store.base.Store.save_checkpoint`."""
    index = names.state("checkpoints")
    found = read(client, index, given.name)
    version = int(found.source.get("version", 0))
    epoch = int(found.source.get("epoch", 0))
    if given.version != version:
        raise _moved(given, version)
    if given.epoch < epoch:
        raise Conflict(
            f"checkpoint {given.name} belongs to epoch {epoch}, not {given.epoch}",
            hint="the lease has passed to another worker: stop",
        )
    payload = orjson.dumps(dict(given.payload)).decode()
    fields = {"name": _text(given.name), "version": version + 1, "epoch": given.epoch}
    if not write(client, index, given.name, fields | {"payload": payload}, found.version):
        raise _moved(given, version + 1)
    return replace(given, version=version + 1)


def _moved(given: Checkpoint, version: int) -> Conflict:
    return Conflict(
        f"checkpoint {given.name} is at version {version}, not {given.version}",
        hint="read it again and decide again",
    )


def position(client: Client, names: Names, name: str) -> Mapping[str, Any] | None:
    """Return the payload last saved under this name."""
    found = read(client, names.state("positions"), name)
    if found.version is None:
        return None
    payload: Mapping[str, Any] = orjson.loads(found.source["payload"])
    return payload


def save_position(client: Client, names: Names, name: str, payload: Mapping[str, Any]) -> None:
    """Keep how far an input has been read; the last one counts."""
    line = orjson.dumps(dict(payload)).decode()
    path = f"/{names.state('positions')}/_doc/{quote(document_id(name), safe='')}"
    client.ask("PUT", path, {"name": _text(name), "payload": line})


def _text(name: str) -> str:
    """Return a name as JSON can hold it: for people, nothing is found by it."""
    return name.encode("utf-8", "backslashreplace").decode()
