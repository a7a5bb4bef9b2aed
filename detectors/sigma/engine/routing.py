"""Routing: which plan an event belongs to, decided by the values of a few fields.

The routing fields are those that pipelines test, and those that rules compare as a whole with
constants (such as EventID): what a rule says about them is folded away in the plan.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final

from detectors.sigma.engine.access import prefixes
from detectors.sigma.engine.formula import Slot
from detectors.sigma.patterns import Boolean, Null, Number, Pattern, Text
from detectors.sigma.pipeline import Pipelines
from detectors.sigma.rule import Group, Item, Rule
from detectors.sigma.values import Value
from soc.model.event import Event

CONSTANTS: Final = 3
"""Fields of rules that are folded away, at most."""
MAX_PLANS: Final = 512
MAX_KEYS: Final = 8_192
"""Routing keys that are remembered; their number does not bound the kinds of events."""
MAX_KEY: Final = 1_024
"""Characters of a routing key that is remembered."""
_MIN_RULES: Final = 20
Key = tuple[str | int | None, ...]


def is_exact(pattern: Pattern) -> bool:
    """Tell whether a pattern is a constant: no wildcard, no search."""
    if isinstance(pattern, Text):
        return pattern.glob.whole and all(isinstance(token, str) for token in pattern.tokens)
    return isinstance(pattern, Number | Boolean | Null)


def constant_fields(rules: Iterable[Rule]) -> list[str]:
    """Return the fields that tell kinds of records apart, the most frequent first.

    They are those that rules without a category (a category is one kind of record) compare with
    constants only.
    """
    rules_with: Counter[str] = Counter()
    exact: Counter[str] = Counter()
    for rule in rules:
        if rule.logsource.category:
            continue
        fields: dict[str, bool] = {}
        for item in _items(rule):
            if item.field is not None:
                fine = all(map(is_exact, item.patterns))
                fields[item.field] = fields.get(item.field, True) and fine
        rules_with.update(fields)
        exact.update(name for name, fine in fields.items() if fine)
    names = [n for n, count in rules_with.most_common() if exact[n] >= max(0.9 * count, _MIN_RULES)]
    return names[:CONSTANTS]


def _items(rule: Rule) -> list[Item]:
    found: list[Item] = []
    stack: list[Group | Item] = list(rule.selections.values())
    while stack:
        node = stack.pop()
        if isinstance(node, Item):
            found.append(node)
        else:
            stack.extend(node.children)
    return found


class Router:
    """The routing fields of a rule set, and the key that an event has in them."""

    def __init__(self, rules: Sequence[Rule], pipelines: Pipelines) -> None:
        constants: dict[Slot, dict[Pattern, None]] = {}
        wanted = constant_fields(rules)
        for source in pipelines.sources:
            for field in wanted:
                slot = source.names(field)
                if len(slot) == 1:
                    constants.setdefault(slot, {})
        for rule in rules:
            for item in _items(rule):
                if item.field in wanted:
                    for source in pipelines.sources:
                        found = constants.get(source.names(item.field))
                        if found is not None:
                            found.update((p, None) for p in item.patterns if is_exact(p))
        self.constants = {slot: tuple(patterns) for slot, patterns in constants.items()}
        names = dict.fromkeys((*pipelines.tested, *(slot[0] for slot in constants)))
        self.names = tuple(names)
        self.slots: tuple[Slot, ...] = tuple((name,) for name in self.names)
        self.prefixes = prefixes(self.slots)
        self._read: Callable[[Any], Key | None] = _reader(self.names)
        self._places = [(self.names.index(slot[0]), slot) for slot in self.constants]

    def key(self, event: Event) -> Key | None:
        """Return the values of the routing fields, None when they are no plain text or integer."""
        if self.prefixes and not event.keys().isdisjoint(self.prefixes):
            return None
        return self._read(event.get)

    def classes(self, key: Key) -> tuple[tuple[bool, ...], ...]:
        """Return for each constant field which of its constants the key's value is."""
        return tuple(_which(self.constants[slot], key[place]) for place, slot in self._places)

    def known(self, key: Key) -> dict[Slot, dict[Pattern, bool]]:
        """Return the same by slot and constant."""
        fitting = zip(self._places, self.classes(key), strict=True)
        return {
            slot: dict(zip(self.constants[slot], fits, strict=True)) for (_, slot), fits in fitting
        }


def _reader(names: Sequence[str]) -> Callable[[Any], Key | None]:
    """Return a function from an event's `get` to its key. True and 1.0 are no 1: types count."""
    lines = ["def read(get):"]
    for index, name in enumerate(names):
        lines.append(f" v{index} = get({name!r})")
        lines.append(f" if v{index}.__class__ not in PLAIN: return None")
    lines.append(f" return ({''.join(f'v{index}, ' for index in range(len(names)))})")
    space: dict[str, Any] = {"PLAIN": frozenset({str, int, type(None)})}
    exec(compile("\n".join(lines), "<routing>", "exec"), space)  # noqa: S102 - our own text
    read: Callable[[Any], Key | None] = space["read"]
    return read


def _which(constants: Sequence[Pattern], raw: str | int | None) -> tuple[bool, ...]:
    """Tell of each constant whether the value is it."""
    if raw is None:
        return tuple(isinstance(pattern, Null) for pattern in constants)
    value = Value(raw)
    return tuple(
        isinstance(pattern, Text | Number | Boolean) and pattern.matches(value)
        for pattern in constants
    )


def is_short(key: Key) -> bool:
    """Tell whether a key is worth remembering; no honest one is long."""
    return sum(len(value) for value in key if isinstance(value, str)) <= MAX_KEY
