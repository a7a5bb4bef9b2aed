"""Alerts and their workflow: evidence written once, the log beside it, the projection on top.

The log is the truth: entry `alert:seq` is created, so a second writer of the number gets a
conflict. Then the projection on the alert follows, over the version that was read; an entry with
a higher number has the last word. Who dies in between leaves an alert that does not show its last
entry: the next writer brings it forward, also one that gets a conflict.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final
from urllib.parse import quote

import orjson

from soc.errors import Conflict, InputError, StoreError
from soc.model.alert import MUTABLE, Entry, project
from soc.model.event import Event
from soc.store.base import Verdict
from soc.store.elastic.bulk import Bulk, Item
from soc.store.elastic.client import Client
from soc.store.elastic.names import Names, document_id
from soc.store.elastic.wire import decode, encode
from soc.store.elastic.work import TRIES, read, write

PAGE: Final = 100


def create(client: Client, names: Names, alerts: Sequence[Event]) -> list[Verdict]:
    """Store alerts; see `soc.store.base.Store.create_alerts`."""
    outcomes: list[Verdict | Item] = []
    for alert in alerts:
        name = alert.get("soc.alert.id")
        text = name if isinstance(name, str) else ""
        try:
            line = encode(project([]) | alert, "soc.alert.id")
        except ValueError as error:
            outcomes.append(Verdict(text, "rejected", str(error)))
            continue
        outcomes.append(Item(names.alert(text), text, line))
    Bulk(client).send([one for one in outcomes if isinstance(one, Item)])
    found = [one.verdict if isinstance(one, Item) else one for one in outcomes]
    return [one for one in found if one is not None]


def append_workflow(
    client: Client, names: Names, entry: Entry, projection: Mapping[str, Any]
) -> None:
    """Add to an alert's log; see `soc.store.base.Store.append_workflow`."""
    if read(client, names.alert(entry.alert_id), entry.alert_id).version is None:
        raise InputError(f"there is no alert {entry.alert_id}", hint="soc alerts list")
    index = names.state("workflow")
    follows = entry.seq == 1 or (
        entry.seq > 1
        and read(client, index, f"{entry.alert_id}:{entry.seq - 1}").version is not None
    )
    line = {"entry": orjson.dumps(entry.as_dict()).decode()}
    if not follows or not write(client, index, entry.id, line, None):
        if log := workflow(client, names, entry.alert_id):
            _project(client, names, log[-1], project(log))
        raise Conflict(
            f"entry {entry.id} does not follow the last one",
            hint=f"somebody else was first: soc alerts show {entry.alert_id}",
        )
    _project(client, names, entry, projection)


def _project(client: Client, names: Names, entry: Entry, projection: Mapping[str, Any]) -> None:
    index = names.alert(entry.alert_id)
    for _ in range(TRIES):
        found = read(client, index, entry.alert_id)
        alert = decode(found.source)
        if int(alert.get("soc.alert.seq") or 0) > entry.seq:
            return
        kept = {name: value for name, value in alert.items() if name not in MUTABLE}
        source = orjson.loads(encode(kept | dict(projection), "soc.alert.id"))
        if write(client, index, entry.alert_id, source, found.version):
            return
    raise Conflict(f"alert {entry.alert_id} keeps changing", hint="try again")


def workflow(client: Client, names: Names, alert_id: str) -> list[Entry]:
    """Return an alert's log, oldest first."""
    try:
        alert_id.encode()
    except UnicodeEncodeError:
        raise StoreError("no alert can have this id", hint="soc alerts list") from None
    entries: list[Entry] = []
    index = names.state("workflow")
    while True:
        first = len(entries) + 1
        wanted = [document_id(f"{alert_id}:{n}") for n in range(first, first + PAGE)]
        answer = client.ask("POST", f"/{quote(index)}/_mget", {"ids": wanted}, missing=True)
        for one in answer.get("docs", []):
            if not one.get("found"):
                return entries
            entries.append(Entry(**orjson.loads(one["_source"]["entry"])))
        if not answer.get("docs"):
            return entries
