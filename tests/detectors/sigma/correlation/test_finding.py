"""What a finding of a correlation tells, and the alert that becomes of it."""

from datetime import UTC, datetime

from detectors.sigma.correlation.match import Extractor
from soc.alerts.raising import to_alert
from soc.model.event import Event
from tests.detectors.sigma.correlation.material import event, found, loaded, pipelines

CHAIN = {
    "many": "type: event_count\nrules: a\ngroup-by: User\ntimespan: 10m\ncondition: {gte: 3}",
    "it": "type: temporal_ordered\nrules: [many, b]\ngroup-by: User\ntimespan: 10m",
}


def happened(user: str = "Bob", **more: str) -> list[Event]:
    common = {"ecs.version": "9.5.0", "User": user}
    failures = [event(n, n, "a", common | {"host.name": "web01"}) for n in range(1, 4)]
    return [*failures, event(4, 60, "b", {**common, "host.name": "web02", **more})]


def test_the_reason_tells_condition_group_count_and_what_contributed() -> None:
    [finding] = found(loaded({"it": CHAIN["many"]}), happened()[:3])
    reason = finding.reason.as_dict()
    assert reason["label"] == "event_count gte 3 within 600 s"
    group, count, rule = reason["children"]
    assert (group["label"], group["value"]) == ("group-by User", "Bob")
    assert (count["field"], count["value"], count["pattern"]) == ("events", 3, "gte 3")
    assert rule["label"] == "Rule a: 3"
    assert [child["value"] for child in rule["children"]] == [f"e0000000{n}" for n in (1, 2, 3)]


def test_a_chain_names_the_events_and_the_entities_of_all_levels() -> None:
    [finding] = found(loaded(CHAIN), happened())
    assert [e["event.id"][-1] for e in finding.events] == ["1", "2", "3", "4"]
    assert finding.entities == ("host:web02", "host:web01")
    labels = [child["label"] for child in finding.reason.as_dict()["children"]]
    assert labels[2:] == ["many: 1 (over 3 events)", "Rule b: 1"]


def test_the_completing_event_lends_its_fields() -> None:
    [finding] = found(loaded(CHAIN), happened(message="Accepted", **{"event.original": "raw"}))
    document = finding.as_event()
    assert document["message"] == "Accepted"
    assert document["host.name"] == "web02"
    assert document["@timestamp"] == "2026-11-22T00:01:00.000000Z"
    assert document["soc.event_ids"] == [f"e0000000{n}" for n in (1, 2, 3, 4)]


def test_the_alert_has_the_same_id_whenever_it_is_found() -> None:
    now, later = datetime(2026, 11, 22, tzinfo=UTC), datetime(2026, 11, 23, tzinfo=UTC)
    [one], [again] = found(loaded(CHAIN), happened()), found(loaded(CHAIN), happened("bOB"))
    assert to_alert(one, now)["soc.alert.id"] == to_alert(again, later)["soc.alert.id"]


def test_groups_that_one_event_completes_are_different_alerts() -> None:
    body = "type: event_count\nrules: a\ngroup-by: User\ntimespan: 1m\ncondition: {gte: 1}"
    one = event(1, 0, "a", {"User": ["ann", "bob"], "ecs.version": "9.5.0"})
    told = found(loaded({"it": body}), [one])
    now = datetime(2026, 11, 22, tzinfo=UTC)
    assert len({to_alert(finding, now)["soc.alert.id"] for finding in told}) == 2


def test_a_finding_names_a_bounded_number_of_events() -> None:
    body = "type: event_count\nrules: a\ntimespan: 1h\ncondition: {gte: 500}"
    [finding] = found(loaded({"it": body}), [event(n, n, "a", {}) for n in range(500)])
    assert len(finding.events) == 100
    assert finding.event["event.id"] == "e00000499"
    assert finding.reason.as_dict()["children"][0]["value"] == 500


def test_fields_are_found_as_the_base_rule_finds_them() -> None:
    report = loaded({"it": CHAIN["many"]})
    extractor = Extractor(report.correlations, report.rules, pipelines())
    rule = report.rules[0].id
    assert extractor.wants(rule)
    assert not extractor.wants(report.rules[1].id)
    assert extractor.match(rule, happened()[0]).fields == {"User": ["Bob"]}
