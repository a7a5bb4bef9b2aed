"""What came of a detection run, for the lines at its end."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from soc.model.event import Event
from soc.model.finding import LEVELS, Finding


@dataclass(slots=True)
class Summary:
    """Counts over events and findings; `first` and `last` are event times of findings."""

    files: int = 0
    events: int = 0
    unparsed: int = 0
    levels: Counter[str] = field(default_factory=Counter)
    rules: Counter[str] = field(default_factory=Counter)
    hosts: Counter[str] = field(default_factory=Counter)
    first: str = ""
    last: str = ""

    def saw(self, event: Event) -> None:
        """Count an event."""
        self.events += 1
        self.unparsed += event["event.kind"] == "pipeline_error"

    def found(self, finding: Finding) -> None:
        """Count a finding."""
        self.levels[finding.rule.level] += 1
        self.rules[finding.rule.title] += 1
        if host := finding.event.get("host.name"):
            self.hosts[host] += 1
        moment = finding.event["@timestamp"]
        self.first = min(self.first or moment, moment)
        self.last = max(self.last, moment)

    @property
    def findings(self) -> int:
        """Return how many findings there were."""
        return self.levels.total()

    def as_dict(self) -> dict[str, Any]:
        """Return the summary as plain JSON values, worst level first."""
        return {
            "files": self.files,
            "events": self.events,
            "unparsed": self.unparsed,
            "findings": self.findings,
            "levels": {name: self.levels[name] for name in reversed(LEVELS) if self.levels[name]},
            "rules": dict(self.rules.most_common(10)),
            "hosts": dict(self.hosts.most_common(10)),
            "first": self.first,
            "last": self.last,
        }
