"""A correlation explained on one event: which of its rules matched, and what it would take of it.

Whether the condition became true is a question about all events of the timespan; this is about
what a single one contributes.
"""

from collections.abc import Callable, Iterator
from typing import Final

from detectors.sigma.correlation.match import Extractor, Match
from detectors.sigma.correlation.rule import Correlation
from detectors.sigma.load import LoadReport
from detectors.sigma.pipeline import Pipelines
from detectors.sigma.rule import Rule
from soc.model.event import Event
from soc.model.reason import Reason
from soc.text import shorten

Explain = Callable[[Rule, Event], Reason]
MAX_VALUES: Final = 5
MAX_SHOWN: Final = 1_000


class Explainer:
    """Explains the correlations of a rule set on single events."""

    def __init__(self, report: LoadReport, pipelines: Pipelines, explain: Explain) -> None:
        self._rules = {rule.id: rule for rule in report.rules}
        self._correlations = {one.id: one for one in report.correlations}
        self._extractor = Extractor(report.correlations, report.rules, pipelines)
        self._explain = explain

    def explain(self, one: Correlation, event: Event) -> Reason:
        """Return the tree: each rule the correlation is about, and the values it takes.

        It is matched when the event counts: one of the rules matched, and the event has every
        field to group by.
        """
        children = tuple(self._rule(one, name, event) for name in one.rules)
        return Reason("or", one.label, any(child.matched for child in children), children)

    def _rule(self, one: Correlation, name: str, event: Event) -> Reason:
        inner = self._correlations.get(name)
        tree = self.explain(inner, event) if inner else self._explain(self._rules[name], event)
        title = one.titles[one.rules.index(name)]
        if not tree.matched:
            return Reason("selection", title, False, (tree,))
        match = next(self._matches(name, event), None)
        taken = tuple(_taken(one, name, match)) if match else ()
        return Reason("and", title, all(leaf.matched for leaf in taken), (tree, *taken))

    def _matches(self, name: str, event: Event) -> Iterator[Match]:
        """Yield the matches of the rules at the bottom of a name that match the event."""
        inner = self._correlations.get(name)
        if inner:
            for base in inner.rules:
                yield from self._matches(base, event)
        elif self._explain(self._rules[name], event).matched:
            yield self._extractor.match(name, event)


def _taken(one: Correlation, name: str, match: Match) -> Iterator[Reason]:
    for kind, names in (("group-by", one.group_by), (one.kind, one.fields)):
        for wanted in names:
            field = one.field_of(wanted, name, match.base)
            values = [_shown(value) for value in match.fields.get(field, ())[:MAX_VALUES]]
            shown = values[0] if len(values) == 1 else values or None
            yield Reason("field", f"{kind} {wanted}", bool(values), (), field, shown)


def _shown(value: object) -> object:
    return shorten(value, MAX_SHOWN) if isinstance(value, str) else value
