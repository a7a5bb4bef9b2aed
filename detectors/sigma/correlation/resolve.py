"""References of correlations: names become ids, inner correlations come before outer ones."""

import difflib
from collections.abc import Mapping as Map
from collections.abc import Sequence as Seq
from dataclasses import dataclass, field, replace
from itertools import pairwise

from detectors.sigma.correlation.load import Draft
from detectors.sigma.correlation.rule import Correlation
from detectors.sigma.document import DocumentError
from detectors.sigma.rule import Rule


@dataclass(slots=True)
class Resolver:
    """Joins drafts to the rules and to each other: inner ones before those that refer to them."""

    drafts: Seq[Draft]
    rules: Seq[Rule]
    rejected: list[tuple[Draft, DocumentError]] = field(default_factory=list)
    _found: dict[str, Correlation] = field(default_factory=dict)
    _ids: dict[str, list[str]] = field(default_factory=dict)
    _titles: dict[str, str] = field(default_factory=dict)

    def resolve(self) -> list[Correlation]:
        """Return the usable correlations in an order of evaluation; `rejected` has the rest."""
        for one in self._all():
            self._titles[one.id] = one.info.title
            for text in {one.id, one.id.lower(), one.name} - {""}:
                self._ids.setdefault(text, []).append(one.id)
        usable = {draft.correlation.id: draft for draft in self.drafts}
        waiting = {i: self._inner(draft, usable) for i, draft in usable.items()}
        while ready := [i for i, inner in waiting.items() if not inner]:
            for identifier in ready:
                del waiting[identifier]
                self._join(usable[identifier])
            for inner in waiting.values():
                inner.difference_update(ready)
        for identifier in waiting:
            self._circle(usable[identifier], waiting)
        return list(self._found.values())

    def _all(self) -> list[Rule | Correlation]:
        return [*self.rules, *(draft.correlation for draft in self.drafts)]

    def _inner(self, draft: Draft, usable: Map[str, Draft]) -> set[str]:
        return {
            i for reference in draft.references for i in self._called(reference.text)
        } & usable.keys()

    def _circle(self, draft: Draft, waiting: Map[str, set[str]]) -> None:
        path = [draft.correlation.id]
        while (following := min(waiting[path[-1]] & waiting.keys())) not in path:
            path.append(following)
        circle = [*path[path.index(following) :], following]
        names = " -> ".join(self._titles[i] for i in circle)
        line = draft.references[0].line
        error = DocumentError(
            f"correlations refer to each other in a circle: {names}", line, "one must go first"
        )
        self.rejected.append((draft, error))

    def _join(self, draft: Draft) -> None:
        try:
            ids = [self._id(reference.text, reference.line) for reference in draft.references]
            for (one, _), (two, reference) in pairwise(
                sorted(zip(ids, draft.references, strict=True), key=lambda pair: pair[0])
            ):
                if one == two:
                    raise DocumentError(f"rules names {reference.text!r} twice", reference.line)
            aliases = {
                alias: {self._id(rule, line): name for rule, (line, name) in mapping.items()}
                for alias, mapping in draft.aliases.items()
            }
        except DocumentError as error:
            self.rejected.append((draft, error))
            return
        self._found[draft.correlation.id] = replace(
            draft.correlation,
            rules=tuple(ids),
            titles=tuple(self._titles[i] for i in ids),
            aliases=aliases,
        )

    def _called(self, text: str) -> Seq[str]:
        """Return the rules of that name or id; the case of an id does not count."""
        low = text.lower()
        return self._ids.get(text) or [i for i in self._ids.get(low, ()) if i.lower() == low]

    def _id(self, text: str, line: int) -> str:
        ids = self._called(text)
        if not ids:
            near = difflib.get_close_matches(text, self._ids, n=1)
            hint = near[0] if near else "the rule must be loaded, with this `id` or `name`"
            raise DocumentError(f"there is no rule {text!r}", line, hint)
        if len(ids) > 1:
            raise DocumentError(f"{len(ids)} rules are called {text!r}", line, "refer to the id")
        refused = {draft.correlation.id for draft, _ in self.rejected}
        if ids[0] in refused:
            raise DocumentError(f"the correlation {text!r} was rejected itself", line)
        return ids[0]


def silent(correlations: Seq[Correlation]) -> frozenset[str]:
    """Return the rules that raise nothing themselves: a correlation without `generate` is about
    them (as in pySigma, one such correlation is enough)."""
    return frozenset(rule for one in correlations if not one.generate for rule in one.rules)
