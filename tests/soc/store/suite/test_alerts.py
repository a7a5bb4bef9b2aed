"""The protocol's promises, the same for every store: alerts and their workflow."""

from datetime import datetime

import pytest

from soc.errors import Conflict, InputError
from soc.model.alert import project
from soc.store.base import Store, Terms
from soc.store.query import parse
from tests.soc.store.suite.kit import Make, alert, entry, outcomes


def test_an_alert_is_created_once(store: Store, make: Make) -> None:
    first = alert(make)
    assert outcomes(store.create_alerts([first, first])) == ["created", "duplicate"]
    verdicts = store.create_alerts([first | {"rule.name": "changed"}, {"rule.name": "no id"}])
    assert outcomes(verdicts) == ["duplicate", "rejected"]
    (stored,) = store.get([first["soc.alert.id"]], collection="alerts")
    assert stored == first | {"soc.alert.seq": 0}


def test_alerts_and_events_are_apart(store: Store, noon: datetime, make: Make) -> None:
    store.append([make(1)], now=noon)
    store.create_alerts([alert(make)])
    assert len(store.search(parse("*"), collection="alerts").events) == 1
    assert len(store.search(parse("*")).events) == 1
    assert store.info().events == store.info().alerts == 1


def test_the_projection_is_searched(store: Store, make: Make) -> None:
    alerts = [alert(make, n) for n in range(3)]
    store.create_alerts(alerts)
    name = alerts[1]["soc.alert.id"]
    log = [
        entry(name, 1),
        entry(
            name, 2, "close", state="closed", verdict="benign", reason="Planned work", owner="lan"
        ),
    ]
    for number in range(2):
        store.append_workflow(log[number], project(log[: number + 1]))

    def ids(query: str) -> list[str]:
        page = store.search(parse(query), collection="alerts")
        return [one["soc.alert.id"] for one in page.events]

    assert ids("soc.alert.state:CLOSED") == [name]
    assert ids('soc.alert.reason:plan* rule.name:"brute force"') == [name]
    assert ids("soc.alert.state:new OR soc.alert.owner:lan") == [
        one["soc.alert.id"] for one in reversed(alerts)
    ]
    assert ids("soc.alert.seq:2") == [name]
    assert ids("NOT soc.alert.state:new") == [name]
    assert ids("soc.alert.state:acknowledged") == []
    states = store.aggregate(parse("*"), Terms("soc.alert.state"), collection="alerts")
    assert [(b.key, b.count) for b in states] == [("new", 2), ("closed", 1)]
    assert store.workflow(name) == log


def test_a_second_writer_gets_a_conflict(store: Store, make: Make) -> None:
    one = alert(make)
    store.create_alerts([one])
    name = one["soc.alert.id"]
    store.append_workflow(entry(name, 1), {"soc.alert.state": "acknowledged", "soc.alert.seq": 1})
    for seq in (1, 3, 0):
        with pytest.raises(Conflict):
            store.append_workflow(entry(name, seq), {"soc.alert.state": "closed"})
    with pytest.raises(InputError):
        store.append_workflow(entry("none", 1), {})
    assert store.workflow("none") == []
    assert len(store.workflow(name)) == 1
    (stored,) = store.get([name], collection="alerts")
    assert stored["soc.alert.state"] == "acknowledged"
