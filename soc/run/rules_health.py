"""What each rule costs and finds: counts that any number of workers add up in the store.

Matches and errors are counted for every event. Time is sampled (`rules_watch`): a share says what
part of the time for some events a rule took, candidates on how many of them it had to be decided.
"""

from collections.abc import Mapping
from dataclasses import astuple, dataclass, field
from typing import Any, Final

WINDOW: Final = 600
"""Seconds of a window; the last two are what `recent` is about."""
TOTAL: Final = 0
"""The key of what was counted since the beginning; others are the starts of windows."""
MAX_RULES: Final = 20_000
MAX_NOTICES: Final = 50
COSTLY_SHARE: Final = 0.2
"""Part of the evaluation time above which a rule is costly ..."""
COSTLY_TIME: Final = 20e-6
"""... if it also takes more than these seconds per event, on average."""
ENOUGH: Final = 200
"""Sampled events below which nothing is said about a window."""


@dataclass(slots=True)
class Tally:
    """One rule: sampled candidates and their seconds, the slowest; all matches and errors."""

    candidates: int = 0
    seconds: float = 0.0
    slowest: float = 0.0
    matches: int = 0
    errors: int = 0
    last: str = ""
    """When it matched last (receipt by the detection)."""

    def add(self, other: "Tally") -> None:
        """Add what another one counted."""
        self.candidates += other.candidates
        self.seconds += other.seconds
        self.slowest = max(self.slowest, other.slowest)
        self.matches += other.matches
        self.errors += other.errors
        self.last = max(self.last, other.last)


@dataclass(slots=True)
class Period:
    """A stretch of time: events judged, how many of them were sampled, and their seconds."""

    judged: int = 0
    sampled: int = 0
    seconds: float = 0.0
    rules: dict[str, Tally] = field(default_factory=dict)

    def of(self, rule: str) -> Tally:
        """Return the tally of a rule, an empty one when there was none."""
        found = self.rules.get(rule)
        if found is None:
            found = self.rules[rule] = Tally()
        return found

    def add(self, other: "Period") -> None:
        """Add what another one counted."""
        self.judged += other.judged
        self.sampled += other.sampled
        self.seconds += other.seconds
        for rule, tally in other.rules.items():
            self.of(rule).add(tally)

    def share(self, rule: str) -> float:
        """Return the part of the sampled time that a rule took, 0 to 1."""
        whole = max(self.seconds, sum(tally.seconds for tally in self.rules.values()))
        found = self.rules.get(rule)
        return found.seconds / whole if found and whole else 0.0

    def per_event(self, rule: str) -> float:
        """Return the seconds that a rule takes per event, on average."""
        found = self.rules.get(rule)
        return found.seconds / self.sampled if found and self.sampled else 0.0

    def costly(self) -> list[str]:
        """Return the rules that take more than their share, the worst first."""
        if self.sampled < ENOUGH:
            return []
        heavy = [r for r in self.rules if self.per_event(r) > COSTLY_TIME]
        return sorted((r for r in heavy if self.share(r) > COSTLY_SHARE), key=self.share)[::-1]


@dataclass(slots=True)
class Health:
    """The counts since the beginning and of the last two windows, and what was noticed."""

    periods: dict[int, Period] = field(default_factory=dict)
    notices: list[dict[str, str]] = field(default_factory=list)
    """`at`, `rule`, `title`, `what` (costly, parked), `detail`; the newest last."""

    def now(self, seconds: float) -> tuple[Period, Period]:
        """Return where to count at this time (seconds since 1970): in all, and in its window."""
        window = int(seconds) // WINDOW * WINDOW
        return self._period(TOTAL), self._period(window)

    def _period(self, key: int) -> Period:
        return self.periods.setdefault(key, Period())

    @property
    def total(self) -> Period:
        """Return the counts since the beginning."""
        return self.periods.get(TOTAL) or Period()

    @property
    def recent(self) -> Period:
        """Return the counts of the last two windows."""
        found = Period()
        for key in sorted(self.periods)[-2:]:
            if key != TOTAL:
                found.add(self.periods[key])
        return found

    def merge(self, other: "Health") -> None:
        """Add what another worker counted; older windows than the last two go."""
        for key, period in other.periods.items():
            self._period(key).add(period)
        for key in sorted(self.periods)[1:-2]:
            del self.periods[key]
        for period in self.periods.values():
            _bound(period.rules)
        known = {tuple(sorted(one.items())) for one in self.notices}
        self.notices += [n for n in other.notices if tuple(sorted(n.items())) not in known]
        del self.notices[:-MAX_NOTICES]

    def dump(self) -> dict[str, Any]:
        """Return plain JSON values."""
        periods = {
            str(key): {
                "judged": period.judged,
                "sampled": period.sampled,
                "seconds": period.seconds,
                "rules": {rule: list(astuple(t)) for rule, t in period.rules.items()},
            }
            for key, period in self.periods.items()
        }
        return {"periods": periods, "notices": list(self.notices)}

    @classmethod
    def load(cls, state: Mapping[str, Any]) -> "Health":
        """Return what `dump` gave."""
        periods = {
            int(key): Period(
                found["judged"],
                found["sampled"],
                found["seconds"],
                {rule: Tally(*parts) for rule, parts in found["rules"].items()},
            )
            for key, found in state.get("periods", {}).items()
        }
        return cls(periods, [dict(one) for one in state.get("notices", ())])


def _bound(rules: dict[str, Tally]) -> None:
    """Drop the rules that matched longest ago when there are too many."""
    if len(rules) > MAX_RULES:
        oldest = sorted(rules, key=lambda rule: rules[rule].last)
        for rule in oldest[: len(rules) - MAX_RULES]:
            del rules[rule]
