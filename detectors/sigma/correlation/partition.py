"""Partitions: which matches must meet in one place, so that groups can be counted apart.

Correlations that refer to each other are a chain and are counted together: an inner result never
leaves its partition. What a chain is divided by are the group-by names that all its correlations
share; a group of each of them then lies in one partition with all that is above and below it. A
chain without such a name is one partition.
"""

import hashlib
from collections.abc import Mapping, Sequence

from detectors.sigma.correlation.match import Match, Scalar, groups, key_of
from detectors.sigma.correlation.rule import Correlation


class Partitioning:
    """Tells the partition of every group of a set of correlations.

    A parked one has its place in its chain, so the others' groups stay where they are, but nothing
    is handed on for it.
    """

    def __init__(self, correlations: Sequence[Correlation], partitions: int) -> None:
        self.partitions = partitions
        self._listening: dict[str, list[Correlation]] = {}
        self._places: dict[str, tuple[str, tuple[int, ...]]] = {}
        known = {one.id: one for one in correlations}
        for one in correlations:
            for rule in () if one.parked else one.rules:
                if rule not in known:
                    self._listening.setdefault(rule, []).append(one)
        for chain in _chains(known):
            names = sorted(_shared(chain, known))
            name = min(one.id for one in chain)
            for one in chain:
                self._places[one.id] = (name, tuple(one.group_by.index(n) for n in names))

    def of(self, one: Correlation, values: Sequence[Scalar]) -> int:
        """Return the partition of a group."""
        chain, positions = self._places[one.id]
        text = f"{chain}\n{key_of([values[position] for position in positions])}"
        digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()
        return int.from_bytes(digest[:8], "big") % self.partitions

    def targets(self, match: Match) -> list[int]:
        """Return the partitions that a match on an event must reach: none when no group has it."""
        found = {
            self.of(one, values)
            for one in self._listening.get(match.rule, ())
            for values in groups(one, match)
        }
        return sorted(found)


def _chains(known: Mapping[str, Correlation]) -> list[list[Correlation]]:
    """Return the correlations by chain: those that refer to each other, however far."""
    chain_of = {name: {name} for name in known}
    for one in known.values():
        for rule in one.rules:
            if rule in known and chain_of[rule] is not chain_of[one.id]:
                joined = chain_of[rule] | chain_of[one.id]
                for member in joined:
                    chain_of[member] = joined
    different = {id(chain): chain for chain in chain_of.values()}
    return [[known[name] for name in sorted(chain)] for chain in different.values()]


def _shared(chain: Sequence[Correlation], known: Mapping[str, Correlation]) -> set[str]:
    """Return the group-by names that mean the same value in all of a chain."""
    names = set(chain[0].group_by).intersection(*(one.group_by for one in chain[1:]))
    return {
        name
        for name in names
        if all(
            one.field_of(name, rule, base) == name
            for one in chain
            for rule in one.rules
            if rule in known
            for base in _bases(rule, known)
        )
    }


def _bases(rule: str, known: Mapping[str, Correlation]) -> set[str]:
    if rule not in known:
        return {rule}
    return {base for inner in known[rule].rules for base in _bases(inner, known)}
