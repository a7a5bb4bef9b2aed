"""Alerts in `state.db`: evidence written once, the workflow's projection beside it."""

from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from soc.errors import Conflict, InputError
from soc.model.alert import MUTABLE, Entry, project
from soc.model.event import Event
from soc.store.base import Verdict
from soc.store.sqlite import documents as d
from soc.store.sqlite.append import Batch
from soc.store.sqlite.database import Database
from soc.store.sqlite.tokens import Tokens


def create(state: Database, alerts: Sequence[Event]) -> list[Verdict]:
    """Store alerts; see `soc.store.base.Store.create_alerts`."""
    evidence = [{k: v for k, v in alert.items() if k not in MUTABLE} for alert in alerts]
    batch = Batch(evidence, "soc.alert.id", Tokens())
    given = {
        alert.get("soc.alert.id"): {k: v for k, v in alert.items() if k in MUTABLE}
        for alert in reversed(alerts)
        if isinstance(alert.get("soc.alert.id"), str)
    }
    first = {
        d.packed(str(name)): orjson.dumps(project([]) | found) for name, found in given.items()
    }
    with state.write() as connection:
        there = d.existing(connection, [one.id for one in batch.documents])
        fresh = [one._replace(mutable=first[one.id]) for one in batch.without(there)]
        d.insert(connection, fresh)
    return batch.verdicts(there)


def append_workflow(state: Database, entry: Entry, projection: Mapping[str, Any]) -> None:
    """Add to an alert's log; see `soc.store.base.Store.append_workflow`."""
    line, fields = orjson.dumps(entry.as_dict()), orjson.dumps(dict(projection))
    with state.write() as connection:
        key = d.packed(entry.alert_id)
        alert = connection.execute("SELECT seq FROM id WHERE id = ?", (key,)).fetchone()
        if alert is None:
            raise InputError(f"there is no alert {entry.alert_id}", hint="soc alerts list")
        last = connection.execute(
            "SELECT max(seq) FROM workflow WHERE alert = ?", (entry.alert_id,)
        ).fetchone()[0]
        if entry.seq != (last or 0) + 1:
            raise Conflict(
                f"entry {entry.id} does not follow entry {last or 0}",
                hint=f"somebody else was first: soc alerts show {entry.alert_id}",
            )
        connection.execute(
            "INSERT INTO workflow VALUES (?, ?, CAST(? AS TEXT))", (entry.alert_id, entry.seq, line)
        )
        connection.execute("UPDATE document SET mutable = ? WHERE seq = ?", (fields, alert[0]))


def workflow(state: Database, alert_id: str) -> list[Entry]:
    """Return an alert's log, oldest first."""
    with state.read() as connection:
        rows = connection.execute(
            "SELECT entry FROM workflow WHERE alert = ? ORDER BY seq", (alert_id,)
        ).fetchall()
    return [Entry(**orjson.loads(line)) for (line,) in rows]
