"""`soc alerts ack|close|...`: what of several alerts is decided."""

from pathlib import Path

import pytest

from soc.model.event import Event
from soc.store.sqlite import SqliteStore
from tests.command import soc

IDS = [f"019aa000000{number}-{number}{'0' * 19}" for number in range(3)]


def alerts(home: Path) -> SqliteStore:
    store = SqliteStore(home / "state" / "store")
    fields: Event = {"@timestamp": "2026-11-22T08:00:00Z", "rule.id": "r", "rule.name": "Rule"}
    store.create_alerts([fields | {"soc.alert.id": name} for name in IDS])
    return store


def states(store: SqliteStore) -> list[str]:
    return [one["soc.alert.state"] for one in store.get(IDS, collection="alerts")]


@pytest.mark.slow
def test_of_several_alerts_all_are_decided_or_none(tmp_path: Path) -> None:
    store = alerts(tmp_path)
    assert soc("alerts", "ack", IDS[1], home=tmp_path).code == 0
    assert states(store) == ["new", "acknowledged", "new"]
    refused = soc("alerts", "ack", *IDS, home=tmp_path)
    assert refused.code == 6
    assert IDS[1] in refused.err
    assert states(store) == ["new", "acknowledged", "new"]
    assert soc("alerts", "ack", IDS[0], IDS[2], IDS[0], home=tmp_path).code == 0
    assert states(store) == ["acknowledged"] * 3
    store.close()
