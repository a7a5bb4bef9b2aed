"""The reason of a finding: the tree, and the form that the reasons of one rule share."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

import orjson

GAP: Final = orjson.Fragment(b"\0")
"""Stands for a value that a template leaves open; no JSON text holds a NUL."""


class Reason(NamedTuple):
    """One node of the tree that says why a rule matched (or did not).

    `kind`: and, or, not, selection, field, keyword. `label`: the rule's own words (a condition,
    a selection's name, `CommandLine|contains`). Leaves carry the event's `field`, the `value` it
    had and the `pattern` that was wanted.
    """

    kind: str
    label: str
    matched: bool
    children: tuple["Reason", ...] = ()
    field: str = ""
    value: Any = None
    pattern: str = ""

    def as_dict(self) -> dict[str, Any]:
        """Return the tree as plain JSON values, empty parts left out."""
        document: dict[str, Any] = {
            "kind": self.kind,
            "label": self.label,
            "matched": self.matched,
        }
        if self.field:
            document |= {"field": self.field, "value": self.value}
        if self.pattern:
            document["pattern"] = self.pattern
        if self.children:
            document["children"] = [child.as_dict() for child in self.children]
        return document

    def values(self) -> Iterator[Any]:
        """Yield the values of the tree in the order in which JSON writes them."""
        if self.field:
            yield self.value
        for child in self.children:
            yield from child.values()

    def filled(self, values: Iterator[Any]) -> "Reason":
        """Return the tree with these values in the place of its own."""
        value = next(values) if self.field else None
        children = tuple(child.filled(values) for child in self.children)
        return self._replace(value=value, children=children)

    def open(self) -> "Reason":
        """Return the tree with its values left open."""
        return self.filled(iter(lambda: GAP, None))


class Form:
    """What the reasons of a rule have in common when the same lines matched in the same way.

    `about`: what a document says beside the reason that does not change either.
    """

    __slots__ = ("_about", "_parts", "tree")

    def __init__(self, tree: Reason, about: Mapping[str, Any]) -> None:
        self.tree = tree
        self._about = about
        self._parts: list[bytes] | None = None

    def written(self, values: Sequence[Any]) -> list[bytes]:
        """Return `about` and the reason as the end of a JSON object, in pieces."""
        if self._parts is None:
            parts = template({**self._about, "reason": self.tree.as_dict()})
            self._parts = [b"," + parts[0][1:], *parts[1:]]
        pieces = self._parts.copy()
        pieces[1::2] = map(orjson.dumps, values)
        return pieces


class Told:
    """A reason that is a form and the values in it; a tree only when somebody looks at it."""

    __slots__ = ("form", "values")
    __hash__ = None  # type: ignore[assignment]

    def __init__(self, form: Form, values: Sequence[Any]) -> None:
        self.form = form
        self.values = values

    def tree(self) -> Reason:
        """Return the tree."""
        return self.form.tree.filled(iter(self.values))

    def __eq__(self, other: object) -> bool:
        """Tell whether the trees are the same."""
        return self.tree() == (other.tree() if isinstance(other, Told) else other)


def template(document: Mapping[str, Any]) -> list[bytes]:
    """Return a document's JSON in pieces; every second one is empty, the place of a value."""
    pieces = orjson.dumps(document).split(b"\0")
    return [part for piece in pieces for part in (piece, b"")][:-1]
