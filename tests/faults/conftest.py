"""A fake store server, and a node that sends to it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from soc.store.elastic import ElasticStore
from tests.faults.sending import Node
from tests.faults.servers.store_server import StoreServer


@pytest.fixture
def server() -> Iterator[StoreServer]:
    """A fake that does what it is told."""
    with StoreServer().running() as started:
        yield started


@pytest.fixture
def node(server: StoreServer, tmp_path: Path) -> Iterator[Node]:
    """A node whose store is the fake."""
    store = ElasticStore(server.url)
    made = Node(tmp_path / "state", store)
    yield made
    made.stop()
    store.close()
