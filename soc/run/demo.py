"""The demo: an intrusion from packaged samples through the real path, to alerts and their reasons.

Collect, store, detect and raise are those of every day; only the samples are made up, and the
packet filter of the plan at the end is simulated. The demo's store lies in the state folder and is
kept, so that every other command can be tried on it; playing again stores nothing twice.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any, Final

import yaml

import rules
from playbooks.plan import Plan
from soc.errors import SocError
from soc.model.event import Event
from soc.model.time import parse_iso
from soc.run.allinone import Runner
from soc.run.captures import Captures
from soc.run.collecting import Reading, read_all, store_all
from soc.run.detection import detection
from soc.run.respond import rehearsal
from soc.store.base import Store
from soc.store.query import Equals

ZONE: Final = timezone(timedelta(hours=7), "ICT")
_MOST_ALERTS: Final = 1000


@dataclass(frozen=True, slots=True)
class Text:
    """A sentence of the story in both languages."""

    english: str
    vietnamese: str

    def in_language(self, code: str) -> str:
        """Return the sentence for a language code such as `vi`; English for all others."""
        return self.vietnamese if code == "vi" else self.english


@dataclass(frozen=True, slots=True)
class Step:
    """Something that happened, and the alerts that tell of it, in time order."""

    time: datetime
    what: Text
    rule_ids: tuple[str, ...]
    alerts: tuple[Event, ...] = ()


@dataclass(frozen=True, slots=True)
class Played:
    """What the demo shows."""

    title: Text
    paragraphs: Sequence[Text]
    steps: Sequence[Step]
    events: int
    alerts: int
    store: Path
    plan: Plan | None

    @property
    def missing(self) -> list[str]:
        """Return the rules that the story expects and that did not fire."""
        return [
            rule
            for step in self.steps
            for rule in step.rule_ids
            if rule not in {alert["rule.id"] for alert in step.alerts}
        ]


def play(
    place: Path, open_store: Callable[[str | Path], Store], clock: Callable[[], datetime]
) -> Played:
    """Play the story into the folder `place` (store and carved files); return what came of it."""
    with as_file(files("soc") / "demo") as folder:
        story = yaml.safe_load((folder / "story.yml").read_text("utf-8"))
        evening = parse_iso(story["steps"][-1]["time"]) + timedelta(hours=1)
        store = open_store(place / "store")
        try:
            _collect(
                [folder / "samples" / name for name in story["samples"]], evening, place, store
            )
            _judge(store, clock)
            steps = [_step(entry, store) for entry in story["steps"]]
            info = store.info()
        finally:
            store.close()
    return Played(
        title=Text(story["title"], story["vi"]),
        paragraphs=[Text(part["text"], part["vi"]) for part in story["paragraphs"]],
        steps=steps,
        events=info.events,
        alerts=info.alerts,
        store=place / "store",
        plan=_plan(steps, story["answer"], lambda: evening),
    )


def _collect(samples: Sequence[Path], evening: datetime, place: Path, store: Store) -> None:
    def refuse(error: SocError) -> None:
        raise error

    # The samples' year-less time stamps belong to the evening of the story, not to today.
    how = Reading(evening, ZONE, observer="demo")
    with Captures(how, place / "files", (), refuse, refuse) as captures:
        events = read_all(samples, how, problem=refuse, capture=captures.events)
        store_all(events, store, lambda: evening)


def _judge(store: Store, clock: Callable[[], datetime]) -> None:
    loaded = detection([rules.SIGMA])
    Runner(
        store=store,
        inputs=(),
        detector=loaded,
        correlating=loaded.correlating,
        key=b"",
        observer="demo",
        clock=clock,
    ).finish()


def _plan(steps: Sequence[Step], rule: str, clock: Callable[[], datetime]) -> Plan | None:
    """Return what the playbook for the rule's first alert would do; nothing is changed."""
    alerts = [alert for step in steps for alert in step.alerts if alert["rule.id"] == rule]
    return rehearsal(alerts[0], clock) if alerts else None


def _step(entry: dict[str, Any], store: Store) -> Step:
    alerts = [
        alert
        for rule in entry["rule_ids"]
        for alert in store.search(
            Equals("rule.id", rule), collection="alerts", limit=_MOST_ALERTS
        ).events
    ]
    return Step(
        time=parse_iso(entry["time"]).astimezone(ZONE),
        what=Text(entry["what"], entry["vi"]),
        rule_ids=tuple(entry["rule_ids"]),
        alerts=tuple(sorted(alerts, key=lambda alert: str(alert["@timestamp"]))),
    )
