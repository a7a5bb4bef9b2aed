"""Stores to test: the suite runs on every implementation of the protocol."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from soc.model.event import Event, event_id
from soc.model.time import iso
from soc.store.base import Store
from soc.store.sqlite import SqliteStore

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)


@contextmanager
def sqlite(folder: Path) -> Iterator[Store]:
    yield SqliteStore(folder)


@contextmanager
def elastic(folder: Path) -> Iterator[Store]:
    """Needs a server: see `tests/elastic/cluster.py`."""
    from tests.elastic.cluster import environment, running

    cluster = running()
    with environment(cluster) as name:
        yield cluster.store(name)


IMPLEMENTATIONS: dict[str, Callable[[Path], AbstractContextManager[Store]]] = {
    "sqlite": sqlite,
    "elastic": elastic,
}


@pytest.fixture(
    params=["sqlite", pytest.param("elastic", marks=[pytest.mark.elastic, pytest.mark.slow])]
)
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    """An empty store of each kind."""
    with IMPLEMENTATIONS[request.param](tmp_path / "store") as opened:
        yield opened
        opened.close()


@pytest.fixture
def noon() -> datetime:
    return NOON


@pytest.fixture
def make() -> Callable[..., Event]:
    """Make an event: `make(3, **{"user.name": "lan"})` happened 3 seconds after noon."""

    def event(second: float = 0, /, **fields: Any) -> Event:
        moment = NOON + timedelta(seconds=second)
        return {
            "@timestamp": iso(moment),
            "ecs.version": "9.5.0",
            "event.created": iso(moment),
            "event.dataset": "test",
            "event.id": event_id(moment, b"key", "", repr((second, sorted(fields.items()))), 0),
            "event.kind": "event",
            "event.original": "the raw record",
            "observer.name": "node1",
            **fields,
        }

    return event
