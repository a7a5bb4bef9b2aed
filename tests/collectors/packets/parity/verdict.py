"""What became of one check, and how the checks of a suite are counted."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

Outcome = Literal["met", "unmet", "not expressible"]


@dataclass(frozen=True, slots=True)
class Verdict:
    """One check: where it is from, of which kind, what became of it and why."""

    place: str
    kind: str
    outcome: Outcome
    reason: str = ""


def table(verdicts: Iterable[Verdict]) -> list[str]:
    """Return a Markdown table: per kind, checks expressible, met, and the share."""
    counts = Counter((v.kind, v.outcome) for v in verdicts)
    kinds = sorted({kind for kind, _ in counts})
    lines = ["| kind | checks | expressible | met | share |", "|---|--:|--:|--:|--:|"]
    outcomes: tuple[Outcome, ...] = ("met", "unmet", "not expressible")
    for kind in (*kinds, "all"):
        among = kinds if kind == "all" else [kind]
        met, unmet, other = (sum(counts[k, outcome] for k in among) for outcome in outcomes)
        share = f"{100 * met / (met + unmet):.0f} %" if met + unmet else ""
        lines.append(f"| {kind} | {met + unmet + other} | {met + unmet} | {met} | {share} |")
    return lines


def reasons(verdicts: Iterable[Verdict], outcome: Outcome) -> list[str]:
    """Return a list of the reasons for an outcome, most frequent first."""
    counts = Counter(v.reason for v in verdicts if v.outcome == outcome)
    return [f"- {number} × {reason}" for reason, number in counts.most_common()]
