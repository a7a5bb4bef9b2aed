"""Replaying dead letters: sent once more, those that the store takes are dropped."""

from collections.abc import Callable, Collection, Iterable, Iterator
from datetime import datetime
from itertools import islice
from typing import Final

from collectors.sender.dead_letters import DeadLetters, Letter
from soc.store.base import Store

BATCH: Final = 500


def replay(
    letters: DeadLetters,
    store: Store,
    clock: Callable[[], datetime],
    ids: Collection[str] = (),
) -> tuple[int, int]:
    """Send all letters, or those of these ids; return how many were stored and refused again.

    Each goes once. One that is refused again stays, once, with the new reason. Raises StoreError;
    what was not sent stays as it was.
    """
    stored = refused = 0
    wanted = (one for one in letters.all() if not ids or one.id in ids)
    for batch in _batches(wanted):
        verdicts = store.append([one.event for one in batch], now=clock(), again=True)
        judged = list(zip(batch, verdicts, strict=True))
        again = [(one.event, v.reason) for one, v in judged if v.outcome == "rejected"]
        taken = [one.id for one, v in judged if v.outcome != "rejected"]
        if again:
            letters.put(again, clock())
        letters.drop(taken)
        stored, refused = stored + len(taken), refused + len(again)
    return stored, refused


def _batches(letters: Iterable[Letter]) -> Iterator[list[Letter]]:
    rest = iter(letters)
    while batch := list(islice(rest, BATCH)):
        yield batch
