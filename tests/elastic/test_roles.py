"""Who may do what, tried on the real server: a key of every role, every action."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from soc.config.secret import SecretRef
from soc.errors import StoreError, UsageError
from soc.model.alert import Entry, alert_id
from soc.model.event import Event, event_id
from soc.model.time import iso
from soc.store.base import Checkpoint, Retention
from soc.store.elastic import ElasticStore
from soc.store.elastic.client import Client
from soc.store.elastic.roles import ROLES
from soc.store.open import Access
from soc.store.query import parse
from tests.elastic.cluster import Cluster, environment

pytestmark = [pytest.mark.elastic, pytest.mark.slow]
NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
Act = Callable[["Member"], object]


def an_event(number: int) -> Event:
    moment = NOON + timedelta(seconds=number)
    identity = event_id(moment, b"key", "", str(number), 0)
    return {"@timestamp": iso(moment), "event.id": identity, "event.dataset": "test"}


def an_alert(number: int) -> Event:
    one = an_event(number)
    return one | {"soc.alert.id": alert_id("rule", one["event.id"]), "event.kind": "signal"}


def an_entry(alert: str, seq: int) -> Entry:
    return Entry(alert, seq, iso(NOON), "lan", "ack", "new", "acknowledged")


class Member:
    """Somebody with a key of one role; `raw` speaks past the store's protocol."""

    def __init__(
        self, cluster: Cluster, place: str, role: str, file: Path, master: ElasticStore
    ) -> None:
        self.number = list(ROLES).index(role) * 1000
        self.role, self.master, self.place = role, master, place
        key = master.keys.create(f"{role}-1", role, days=1)
        file.touch(mode=0o600)
        file.write_text(key.secret)
        access = Access(place, SecretRef.parse(f"file:{file}"), cluster.ca)
        self.store = ElasticStore(cluster.url, access)
        self.raw = Client.connect(cluster.url, access)
        self.event, self.alert = an_event(self.number), an_alert(self.number)
        master.append([self.event], now=NOON)
        master.create_alerts([self.alert])
        master.append_workflow(an_entry(self.alert["soc.alert.id"], 1), {"soc.alert.seq": 1})
        self.backing = next(iter(master.tail(None).cursor.split('"')[1:]))

    def fresh(self) -> int:
        self.number += 1
        return self.number

    def drop(self) -> None:
        later = NOON + timedelta(days=self.fresh())
        self.master.append([an_event(self.fresh())], now=later)
        assert self.store.retain(Retention(days=0), now=later)

    def close(self) -> None:
        self.store.close()
        self.raw.raw.close()


@pytest.fixture(scope="module", params=list(ROLES))
def member(
    request: pytest.FixtureRequest, cluster: Cluster, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Member]:
    """One of each role, in an environment of its own with an event, an alert and its log."""
    with environment(cluster) as place:
        master = cluster.store(place)
        file = tmp_path_factory.mktemp("keys") / "key"
        one = Member(cluster, place, request.param, file, master)
        yield one
        one.close()
        master.close()


def lease(one: Member) -> object:
    got = one.store.acquire("shard", "x", seconds=1, now=NOON)
    assert got is not None
    return got


ACTIONS: dict[str, tuple[Act, str]] = {
    "add an event": (
        lambda m: m.store.append([an_event(m.fresh())], now=NOON),
        "node responder admin",
    ),
    "change an event": (
        lambda m: m.raw.ask(
            "PUT",
            f"/{m.backing}/_doc/{m.event['event.id']}",
            m.event,
            if_seq_no=0,
            if_primary_term=1,
        ),
        "admin",
    ),
    "delete an event": (
        lambda m: m.raw.ask("DELETE", f"/{m.backing}/_doc/nothing", missing=True),
        "admin",
    ),
    "search events": (
        lambda m: m.store.search(parse("*")).events[0],
        "detector analyst responder admin",
    ),
    "tail events": (lambda m: m.store.tail(None).events[0], "detector analyst responder admin"),
    "add a match": (
        lambda m: m.store.append([an_event(m.fresh())], now=NOON, stream="matches"),
        "detector admin",
    ),
    "raise an alert": (
        lambda m: m.store.create_alerts([an_alert(m.fresh())]),
        "detector analyst responder admin",  # who may change an index may add to it
    ),
    "list alerts": (
        lambda m: m.store.search(parse("*"), collection="alerts").events[0],
        "detector analyst responder admin",
    ),
    "triage an alert": (
        lambda m: m.store.append_workflow(
            an_entry(m.alert["soc.alert.id"], 2), {"soc.alert.seq": 2}
        ),
        "analyst responder admin",
    ),
    "rewrite the log": (
        lambda m: m.raw.ask(
            "PUT", f"/soc-workflow-{m.place}/_doc/{m.alert['soc.alert.id']}:1", {"entry": "{}"}
        ),
        "admin",
    ),
    "cut the log": (
        lambda m: m.raw.ask("DELETE", f"/soc-workflow-{m.place}/_doc/nothing", missing=True),
        "admin",
    ),
    "take a lease": (lease, "detector responder admin"),
    "save a checkpoint": (
        lambda m: m.store.save_checkpoint(Checkpoint(f"c{m.fresh()}", {})),
        "detector responder admin",
    ),
    "set the cluster up": (lambda m: m.store.init(), "admin"),
    "make a key": (lambda m: m.store.keys.create("more", "admin", days=1), ""),
    "make a user": (
        lambda m: m.raw.ask(
            "PUT", "/_security/user/eve", {"password": "x" * 12, "roles": ["superuser"]}
        ),
        "",
    ),
    "read another environment": (
        lambda m: m.raw.ask("GET", "/logs-soc.test-other/_search"),
        "",
    ),
    "begin the day's indices": (
        lambda m: m.store.tend(NOON + timedelta(days=30 + m.fresh() % 1000)),
        "admin",
    ),
    "drop second copies": (
        lambda m: m.store.upkeep.drop(m.backing, ["nothing"]),
        "admin",
    ),
    "extend a mapping": (
        lambda m: m.raw.ask("PUT", f"/logs-soc.test-{m.place}/_mapping", {}),
        "admin",
    ),
    "say where snapshots lie": (lambda m: m.store.snapshots.register("/nowhere"), ""),
    "take a snapshot": (
        lambda m: m.raw.ask("PUT", "/_snapshot/none/x", missing=True),
        "admin",
    ),
    "restore a snapshot": (
        lambda m: m.raw.ask("POST", "/_snapshot/none/x/_restore", missing=True),
        "",
    ),
    "see what the servers are": (
        lambda m: m.store.capabilities(),
        "node detector analyst responder admin",
    ),
    "drop old events": (Member.drop, "admin"),
}


@pytest.mark.parametrize("action", ACTIONS)
def test_what_a_role_may_do(member: Member, action: str) -> None:
    act, allowed = ACTIONS[action]
    if member.role in allowed.split():
        verdicts: Any = act(member)
        if isinstance(verdicts, list) and verdicts and hasattr(verdicts[0], "outcome"):
            assert [one.outcome for one in verdicts] == ["created"]
    else:
        with pytest.raises(StoreError) as caught:
            act(member)
        assert "may not do this" in caught.value.message
        assert caught.value.hint


def test_a_node_key_adds_and_changes_nothing_and_ends_when_revoked(
    cluster: Cluster, place: str, tmp_path: Path
) -> None:
    master = cluster.store(place)
    made = master.keys.create("office-17", "node", days=30)
    assert (made.name, made.role, made.environment) == ("office-17", "node", place)
    assert made.expires is not None
    assert made.expires - made.created == timedelta(days=30)
    file = tmp_path / "key"
    file.touch(mode=0o600)
    file.write_text(made.secret)
    node = cluster.store(place, api_key=SecretRef.parse(f"file:{file}"), user="", password=None)
    assert node.append([an_event(1)], now=NOON)[0].outcome == "created"
    forged = an_event(1) | {"user.name": "forged"}
    assert node.append([forged], now=NOON)[0].outcome == "duplicate"
    assert master.tail(None).events == [an_event(1)]
    assert [one.id for one in master.keys.known()] == [made.id]
    assert made.secret not in repr(master.keys.known())
    master.keys.revoke("office-17")
    with pytest.raises(StoreError) as caught:
        node.append([an_event(2)], now=NOON)
    assert "soc store keys" in caught.value.hint
    with pytest.raises(UsageError):
        master.keys.revoke("office-17")
    node.close()
    master.close()
