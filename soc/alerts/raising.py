"""From findings to alerts: the same rule on the same event is one alert, however often seen."""

from collections.abc import Sequence
from datetime import datetime

from soc.model.alert import alert_id
from soc.model.event import Event
from soc.model.finding import Finding
from soc.model.time import iso
from soc.store.base import Store, Verdict


def to_alert(finding: Finding, now: datetime) -> Event:
    """Return the alert document of a finding; its id depends on rule, event and group."""
    return finding.as_event() | {
        "soc.alert.id": alert_id(finding.rule.id, finding.event["event.id"], finding.group),
        "soc.alert.created": iso(now),
        "soc.reason": finding.reason.as_dict(),
    }


def raise_alerts(findings: Sequence[Finding], store: Store, now: datetime) -> list[Verdict]:
    """Store the findings as alerts, durably; those that are there already stay as they are."""
    return store.create_alerts([to_alert(finding, now) for finding in findings])
