"""Formulas compiled to Python functions over the values of slots.

A function takes the raw values and their texts (in the order of the plan's slots) and tells
whether the formula holds. Formulas that ask for more than plain values (keywords, `exists`) are
not compiled.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from detectors.sigma.engine.access import ABSENT
from detectors.sigma.engine.expressions import needs
from detectors.sigma.engine.formula import KEYWORDS, Formula, Leaf, Node, Not, Slot, leaves
from detectors.sigma.many import MANY, any_of
from detectors.sigma.patterns import Exists, FieldRef, Null, Number, Pattern, Regex, Text
from detectors.sigma.values import Value

Predicate = Callable[[Sequence[Any], Sequence[str]], bool]
_FEW: Final = 12
_ABSENT_VALUE: Final = Value(ABSENT)


def compiled(formula: Formula, slots: Mapping[Slot, int]) -> Predicate | None:
    """Return the function of a formula, None when only the reference can decide it."""
    for leaf in leaves(formula):
        if leaf.slot == KEYWORDS or any(isinstance(p, Exists) for p in leaf.item.patterns):
            return None
    writer = Writer(slots)
    body = writer.formula(formula)
    lines = ["def holds(r, t):"]
    lines += [f" t{index} = t[{index}]" for index in sorted(writer.texts)]
    lines += [f" f{index} = t{index}.casefold()" for index in sorted(writer.folded)]
    lines.append(f" return {body}")
    exec(compile("\n".join(lines), "<rule>", "exec"), writer.space)  # noqa: S102 - our own text
    predicate: Predicate = writer.space["holds"]
    return predicate


class Writer:
    """Writes formulas as expressions; what is no literal goes into `space` by a name.

    They stand on the texts of slots, `t3`, and those case-folded, `f3`; `r` has the raw values.
    """

    def __init__(self, slots: Mapping[Slot, int]) -> None:
        self.slots = slots
        self.space: dict[str, Any] = {"A": ABSENT, "V": Value}
        self.texts: set[int] = set()
        self.folded: set[int] = set()

    def formula(self, node: Formula) -> str:
        """Write a formula."""
        if isinstance(node, bool):
            return str(node)
        if isinstance(node, Not):
            return f"(not {self.formula(node.child)})"
        if isinstance(node, Node):
            return self._joined(node.kind, [self.formula(child) for child in node.children])
        return self._leaf(node)

    @staticmethod
    def _joined(kind: str, terms: list[str]) -> str:
        if not terms:
            return str(kind == "and")
        return terms[0] if len(terms) == 1 else f"({f' {kind} '.join(terms)})"

    def name(self, thing: object) -> str:
        """Return a name for something."""
        name = f"c{len(self.space)}"
        self.space[name] = thing
        return name

    def _text(self, index: int, *, cased: bool) -> str:
        self.texts.add(index)
        if cased:
            return f"t{index}"
        self.folded.add(index)
        return f"f{index}"

    def _leaf(self, leaf: Leaf) -> str:
        index = self.slots[leaf.slot]
        others = iter(leaf.others)
        texts: list[Text] = []
        terms: list[str] = []
        for pattern in leaf.item.patterns:
            if isinstance(pattern, Text):
                texts.append(pattern)
            elif isinstance(pattern, FieldRef):
                terms.append(self._reference(pattern, index, self.slots[next(others)]))
            else:
                terms.append(self._other(pattern, index))
        if leaf.item.every:
            terms[:0] = [self.texts_of([text], index) for text in texts]
            return self._joined("and", terms)
        if texts:
            terms.insert(0, self.texts_of(texts, index))
        return self._joined("or", terms)

    def texts_of(self, patterns: list[Text], index: int) -> str:
        """Write that any of the patterns holds."""
        terms: list[str] = []
        for cased in (False, True):
            mine = [p for p in patterns if p.cased is cased]
            if mine:
                terms += self._forms(mine, self._text(index, cased=cased))
        body = self._joined("or", terms)
        if any(pattern.matches(_ABSENT_VALUE) for pattern in patterns):
            return f"({self._there(index)} and {body})"
        return body

    def _there(self, index: int) -> str:
        return f"{self._text(index, cased=True)} is not A"

    def _forms(self, patterns: list[Text], value: str) -> list[str]:
        searched = tuple(p.glob for p in patterns if not p.glob.simple)
        if len(searched) >= MANY:
            simple = [p for p in patterns if p.glob.simple]
            return [*self._forms(simple, value), f"{self.name(any_of(searched))}({value})"]
        equal: list[str] = []
        heads: list[str] = []
        tails: list[str] = []
        inner: list[str] = []
        terms: list[str] = []
        for pattern in patterns:
            glob = pattern.glob
            parts = [p for p in (glob.head, *glob.middle, glob.tail) if p is not None]
            if len(parts) != 1 or parts[0].regex is not None:
                terms.append(f"{self.name(glob.matches)}({value})")
            elif glob.whole:
                equal.append(parts[0].literal)
            elif glob.head is not None:
                heads.append(parts[0].literal)
            elif glob.tail is not None:
                tails.append(parts[0].literal)
            else:
                inner.append(parts[0].literal)
        return [*self._simple(value, equal, heads, tails, inner), *terms]

    def _simple(
        self, value: str, equal: list[str], heads: list[str], tails: list[str], inner: list[str]
    ) -> list[str]:
        terms: list[str] = []
        if len(equal) == 1:
            terms.append(f"{value} == {equal[0]!r}")
        elif equal:
            terms.append(f"{value} in {{{', '.join(map(repr, equal))}}}")
        if heads:
            terms.append(f"{value}.startswith({tuple(heads)})")
        if tails:
            terms.append(f"{value}.endswith({tuple(tails)})")
        if len(inner) > _FEW:
            terms.append(f"{self.name(_any_of(inner))}({value})")
        else:
            terms += [f"{text!r} in {value}" for text in inner]
        return terms

    def _other(self, pattern: Pattern, index: int) -> str:
        if isinstance(pattern, Null):
            return f"({self._text(index, cased=True)} is A)"
        if isinstance(pattern, Regex):
            return self._regex(pattern, index)
        assert not isinstance(pattern, FieldRef | Exists | Text)  # noqa: S101 - for the types
        test = self.name(pattern.matches)
        if isinstance(pattern, Number):
            self.texts.add(index)
        return f"({self._there(index)} and {test}(V(r[{index}])))"

    def _regex(self, pattern: Regex, index: int) -> str:
        terms = [self._there(index)]
        for need in needs(pattern.source):
            value = self._text(index, cased=False)
            terms.append(self._joined("or", [f"{text!r} in {value}" for text in need[:50]]))
            if len(need) > 50:
                terms.pop()
        terms.append(f"{self.name(pattern.matches)}(V(r[{index}]))")
        return self._joined("and", terms)

    def _reference(self, pattern: FieldRef, index: int, other: int) -> str:
        def related(mine: object, theirs: object) -> bool:
            values = [[] if v is ABSENT else [Value(v)] for v in (mine, theirs)]  # type: ignore[arg-type]
            return next(pattern.related(values[0], values[1]), None) is not None

        return f"{self.name(related)}(r[{index}], r[{other}])"


def _any_of(texts: list[str]) -> Callable[[str], bool]:
    wanted = tuple(texts)
    return lambda value: any(map(value.__contains__, wanted))
