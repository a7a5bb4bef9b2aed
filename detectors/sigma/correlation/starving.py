"""Correlations that hear nothing of a rule they name, because it is parked: what that does."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from detectors.sigma.correlation.rule import Correlation
from detectors.sigma.load import LoadReport

Effect = Literal["never", "less", "wrongly"]


@dataclass(frozen=True, slots=True)
class Starved:
    """A correlation, by id and title, that is starved of rules: `missing` are their titles.

    `never`: it can no longer fire. `less`: it may miss what it is about. `wrongly`: it may fire
    where it should not, as what is missing counts against it.
    """

    rule: str
    title: str
    missing: tuple[str, ...]
    effect: Effect


def starved(report: LoadReport) -> list[Starved]:
    """Return the starved correlations of a report from which rules were left out, inner first."""
    alive = {rule.id for rule in report.rules} | {one.id for one in report.correlations}
    found: dict[str, Starved] = {}
    gone: set[str] = set()
    for one in report.correlations:
        if one.parked:
            gone.add(one.id)
            continue
        gone.update(rule for rule in one.rules if rule not in alive)
        if missing := _missing(one, gone, found):
            effect = _effect(one, gone, found)
            found[one.id] = Starved(one.id, one.info.title, missing, effect)
    return list(found.values())


def _missing(one: Correlation, gone: set[str], found: Mapping[str, Starved]) -> tuple[str, ...]:
    missing: dict[str, None] = {}
    for rule, title in zip(one.rules, one.titles, strict=True):
        if rule in gone:
            missing[title] = None
        elif rule in found:
            missing |= dict.fromkeys(found[rule].missing)
    return tuple(missing)


def _effect(one: Correlation, gone: set[str], found: Mapping[str, Starved]) -> Effect:
    inner = [found[rule].effect if rule in found else "" for rule in one.rules]
    heard = [
        position
        for position, rule in enumerate(one.rules)
        if rule not in gone and inner[position] != "never"
    ]
    if all(position in one.negated for position in heard):
        return "never"
    if one.rising and one.temporal and not one.holds_for(sum(1 << place for place in heard)):
        return "never"
    return "less" if one.rising and "wrongly" not in inner else "wrongly"
