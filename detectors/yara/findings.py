"""From a YARA event to a finding: pure, so that it is the same wherever the file was scanned."""

from collections.abc import Iterator
from typing import Any

from detectors.yara.events import DATASET
from soc.model.event import Event, values
from soc.model.finding import LEVELS, Finding, RuleInfo
from soc.model.reason import Reason

STRINGS = "soc.yara.strings"


def finding_of(event: Event) -> Finding | None:
    """Return the finding that an event of a YARA match is, None for any other event."""
    if event.get("event.module") != DATASET or event.get("event.kind") != "event":
        return None
    if not event.get("rule.id") or not event.get("rule.name"):
        return None
    rule = _rule(event)
    return Finding(
        rule=rule,
        events=(event,),
        why=_reason(event),
        also=tuple(_files(event)),
    )


def _rule(event: Event) -> RuleInfo:
    level = event.get("rule.level")
    return RuleInfo(
        id=event["rule.id"],
        title=event["rule.name"],
        level=level if level in LEVELS else "medium",
        version=event.get("rule.version", ""),
        description=event.get("rule.description", ""),
        author=next(iter(values(event.get("rule.author"))), ""),
        references=tuple(values(event.get("rule.reference"))),
        techniques=tuple(values(event.get("threat.technique.id"))),
        tactics=tuple(values(event.get("threat.tactic.name"))),
    )


def _reason(event: Event) -> Reason:
    """Return the tree: the rule, where it matched, and the strings that were there."""
    label = f"yara {event.get('soc.yara.rule', event['rule.name'])}"
    inside = values(event.get("soc.yara.member.name"))
    children = tuple(_leaves(event))
    if inside:
        label = f"{label} in {' > '.join(map(str, inside))}"
    return Reason("selection", label, True, children)


def _leaves(event: Event) -> Iterator[Reason]:
    strings = [one for one in values(event.get(STRINGS)) if isinstance(one, dict)]
    for one in strings:
        yield Reason(
            "keyword",
            str(one.get("identifier", "")),
            True,
            field=STRINGS,
            value=str(one.get("data", "")),
            pattern=_place(one.get("offset"), one.get("length")),
        )
    total = event.get("soc.yara.total", 0)
    if isinstance(total, int) and total > len(strings):
        yield Reason("keyword", f"and {total - len(strings)} more places", True)


def _place(offset: Any, length: Any) -> str:  # noqa: ANN401 - any JSON value
    return f"at {offset} ({length} bytes)"


def _files(event: Event) -> Iterator[str]:
    if digest := event.get("soc.yara.member.sha256") or event.get("file.hash.sha256"):
        yield f"file:{digest}"
