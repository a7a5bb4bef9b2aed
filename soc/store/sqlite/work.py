"""What workers share: leases with a fencing epoch, and checkpoints that are compared and set."""

from dataclasses import replace
from datetime import datetime, timedelta

import orjson

from soc.errors import Conflict
from soc.model.time import iso, parse_iso
from soc.store.base import Checkpoint, Lease
from soc.store.sqlite.database import Database


def acquire(state: Database, name: str, holder: str, seconds: float, now: datetime) -> Lease | None:
    """Take or renew a lease; see `soc.store.base.Store.acquire`."""
    with state.write() as connection:
        row = connection.execute(
            "SELECT holder, epoch, expires FROM lease WHERE name = ?", (name,)
        ).fetchone()
        held_by, epoch, alive = ("", 0, False)
        if row:
            held_by, epoch, alive = row[0], row[1], parse_iso(row[2]) > now
        if alive and held_by != holder:
            return None
        expires = now + timedelta(seconds=seconds)
        lease = Lease(name, holder, epoch if alive else epoch + 1, expires)
        connection.execute(
            "INSERT OR REPLACE INTO lease (name, holder, epoch, expires) VALUES (?, ?, ?, ?)",
            (name, holder, lease.epoch, iso(expires)),
        )
    return lease


def release(state: Database, lease: Lease) -> None:
    """Give a lease back; its epoch stays known, so that the next holder's is higher."""
    with state.write() as connection:
        connection.execute(
            "UPDATE lease SET expires = ? WHERE name = ? AND holder = ? AND epoch = ?",
            (iso(parse_iso("1970-01-01")), lease.name, lease.holder, lease.epoch),
        )


def checkpoint(state: Database, name: str) -> Checkpoint | None:
    """Return a checkpoint, None when it was never saved."""
    with state.read() as connection:
        row = connection.execute(
            "SELECT payload, version, epoch FROM checkpoint WHERE name = ?", (name,)
        ).fetchone()
    return Checkpoint(name, orjson.loads(row[0]), row[1], row[2]) if row else None


def save_checkpoint(state: Database, given: Checkpoint) -> Checkpoint:
    """Compare and set; see `soc.store.base.Store.save_checkpoint`."""
    payload = orjson.dumps(dict(given.payload))
    with state.write() as connection:
        row = connection.execute(
            "SELECT version, epoch FROM checkpoint WHERE name = ?", (given.name,)
        ).fetchone()
        version, epoch = row or (0, 0)
        if given.version != version:
            raise Conflict(
                f"checkpoint {given.name} is at version {version}, not {given.version}",
                hint="read it again and decide again",
            )
        if given.epoch < epoch:
            raise Conflict(
                f"checkpoint {given.name} belongs to epoch {epoch}, not {given.epoch}",
                hint="the lease has passed to another worker: stop",
            )
        connection.execute(
            "INSERT OR REPLACE INTO checkpoint (name, payload, version, epoch)"
            " VALUES (?, CAST(? AS TEXT), ?, ?)",
            (given.name, payload, version + 1, given.epoch),
        )
    return replace(given, version=version + 1)
