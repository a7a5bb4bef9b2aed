"""Parked rules: left out by a decision that is written down, for every worker on the store.

A correlation is parked like a rule. Those that need what is parked are starved, and said to be.
"""

from collections.abc import Callable
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from detectors.sigma.correlation.starving import Effect, Starved
from soc.errors import Conflict
from soc.i18n import _
from soc.run.settings import StoreOptions
from soc.store.base import Checkpoint, Store

NAME: Final = "rules.parked"
TRIES: Final = 5


@dataclass(frozen=True, slots=True)
class Parked:
    """A rule that is left out: why, by whom (`soc` when a hard bound was exceeded) and since."""

    rule: str
    title: str
    reason: str
    by: str
    at: str

    def __str__(self) -> str:
        """Return one line for a person."""
        return f"{self.title} ({self.rule}): {self.reason} [{self.by}, {self.at}]"


Table = dict[str, Parked]


def hungry(starved: Starved) -> str:
    """Return one line for a person: which parked rules a correlation needs, and what that does."""
    effects: dict[Effect, str] = {
        "never": _("it can no longer fire"),
        "less": _("it may miss what it is about"),
        "wrongly": _("it may fire where it should not"),
    }
    return _("{title} ({id}) hears nothing of {rules}, which is parked: {effect}").format(
        title=starved.title,
        id=starved.rule,
        rules=", ".join(starved.missing),
        effect=effects[starved.effect],
    )


def parked(store: Store) -> Table:
    """Return the parked rules by id."""
    return _table(store.checkpoint(NAME))


def parked_if_any(options: StoreOptions) -> Table:
    """Return the parked rules of a configured store; none when it has not been made yet."""
    if options.url.startswith("sqlite:") and not Path(options.url.removeprefix("sqlite:")).exists():
        return {}
    with closing(options.open()) as store:
        return parked(store)


def park(store: Store, one: Parked) -> bool:
    """Park a rule; return False when it is parked already (what is written then stays)."""

    def change(table: Table) -> Table | None:
        return None if one.rule in table else {**table, one.rule: one}

    return _changed(store, change)


def unpark(store: Store, rule: str) -> bool:
    """Let a rule run again; return False when it is not parked."""

    def change(table: Table) -> Table | None:
        return {k: v for k, v in table.items() if k != rule} if rule in table else None

    return _changed(store, change)


def _table(found: Checkpoint | None) -> Table:
    rules = found.payload["rules"] if found else {}
    return {rule: Parked(**parts) for rule, parts in rules.items()}


def _changed(store: Store, change: Callable[[Table], Table | None]) -> bool:
    """Write a changed table; who comes between is read and the change made again."""
    for tries_left in reversed(range(TRIES)):
        found = store.checkpoint(NAME)
        table = change(_table(found))
        if table is None:
            return False
        payload = {"rules": {rule: asdict(one) for rule, one in table.items()}}
        try:
            store.save_checkpoint(Checkpoint(NAME, payload, found.version if found else 0))
        except Conflict:
            if not tries_left:
                raise
            continue
        return True
    return False
