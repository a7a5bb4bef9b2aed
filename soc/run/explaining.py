"""A rule explained on events: what of it matched, what failed, and with which values."""

import difflib
import secrets
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

from collectors.reading import read_file, read_stream
from detectors.sigma.correlation.explain import Explainer
from detectors.sigma.correlation.rule import Correlation
from detectors.sigma.rule import Rule
from soc.errors import ContentError, InputError, UsageError
from soc.model.event import Event, nest
from soc.model.finding import RuleInfo
from soc.model.reason import Reason
from soc.run.collecting import Reading
from soc.run.detection import Detection, detection
from soc.run.sorting import Sorting
from soc.store.base import Store

STDIN: Final = "-"
Scope = Literal["event", "part", "series"]


@dataclass(frozen=True, slots=True)
class Explained:
    """What a rule says.

    `scope`: of an `event`; of an event as a `part` of what a correlation counts; or that a
    correlation's condition became true over the `series` of all events, with the last of them.
    """

    rule: RuleInfo
    event: Event
    reason: Reason
    scope: Scope = "event"

    def as_document(self) -> dict[str, Any]:
        """Return it as one nested document."""
        return nest(
            {
                "rule.id": self.rule.id,
                "rule.name": self.rule.title,
                "event.id": self.event.get("event.id", ""),
                "matched": self.reason.matched,
                "scope": self.scope,
                "reason": self.reason.as_dict(),
            }
        )


def loaded_with(rule: str, paths: Iterable[Path]) -> tuple[Detection, Rule | Correlation]:
    """Return the rules and the one of this id, title or file.

    Raises UsageError when there is none, or when it names several, and ContentError when the file
    of that name was rejected.
    """
    file = Path(rule)
    if file.is_file():
        inside = any(path.resolve() in (file.resolve(), *file.resolve().parents) for path in paths)
        loaded = detection([*paths] if inside else [*paths, file])
        return loaded, _in_file(loaded, file)
    loaded = detection([*paths])
    return loaded, _named(loaded, rule)


def _in_file(loaded: Detection, file: Path) -> Rule | Correlation:
    report, place = loaded.report, file.resolve()
    for rejection in report.rejected:
        if Path(rejection.path).resolve() == place:
            raise ContentError(rejection.reason, where=rejection.where, hint=rejection.hint)
    # Of a file with a correlation and the rules that it is about, the correlation is meant.
    for kind in (report.correlations, report.rules):
        found = [one for one in kind if Path(one.info.path).resolve() == place]
        if found:
            return _single(found[-1:] if kind is report.correlations else found, str(file))
    raise ContentError("there is no Sigma rule in the file", where=str(file))


def _named(loaded: Detection, name: str) -> Rule | Correlation:
    everything: list[Rule | Correlation] = [*loaded.report.rules, *loaded.report.correlations]
    wanted = name.casefold()
    found = [r for r in everything if wanted in (r.id.casefold(), r.info.title.casefold())]
    if found:
        return _single(found, name)
    known = [text for one in everything for text in (one.info.title, one.id)]
    near = difflib.get_close_matches(name, known, n=1)
    raise UsageError(
        f"there is no rule {name!r}",
        hint=f"did you mean {near[0]!r}?" if near else "soc rules list",
    )


def _single(found: list[Any], name: str) -> Rule | Correlation:
    if len(found) > 1:
        ids = ", ".join(one.id for one in found[:5])
        raise UsageError(f"{name!r} names {len(found)} rules", hint=f"give the id: {ids}")
    one: Rule | Correlation = found[0]
    return one


def stored(identifier: str, store: Store) -> Event:
    """Return an event of the store; raise InputError when it has none of that id."""
    found = store.get([identifier])
    if not found:
        raise InputError(
            f"there is no file and no stored event {identifier!r}",
            hint="soc hunt QUERY --fields event.id lists ids",
        )
    return found[0]


def read(named: str, how: Reading) -> Iterator[Event]:
    """Yield the events of a file, or of standard input (`-`)."""
    common: dict[str, Any] = {"observer": how.observer, "zone": how.zone, "parser": how.parser}
    if named != STDIN:
        return read_file(Path(named), received=how.received, **common)
    key = secrets.token_bytes(32)
    return read_stream(sys.stdin.buffer, clock=lambda: how.received, key=key, **common)


def explained(
    loaded: Detection, rule: Rule | Correlation, events: Iterable[Event]
) -> Iterator[Explained]:
    """Yield what the rule says of each event; a correlation at the end also of all of them."""
    if isinstance(rule, Rule):
        for event in events:
            yield Explained(rule.info, event, loaded.engine.explain(rule, event))
        return
    explainer = Explainer(loaded.report, loaded.pipelines, loaded.engine.explain)
    correlating, matches = loaded.correlating(), Sorting()
    for event in events:
        yield Explained(rule.info, event, explainer.explain(rule, event), "part")
        correlating.collect(event, loaded.evaluate(event), matches)
    for finding in correlating.count(matches.drain()):
        if finding.rule.id == rule.id:
            yield Explained(rule.info, finding.event, finding.reason, "series")
