"""A real server and an empty environment on it."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from soc.store.elastic import ElasticStore
from tests.elastic.cluster import Cluster, absent, environment, of_node, running, with_init
from tests.elastic.server import Missing, single


@pytest.fixture(scope="session")
def cluster() -> Cluster:
    """The server of this test run."""
    return running()


@pytest.fixture
def place(cluster: Cluster) -> Iterator[str]:
    """The name of an environment that is empty."""
    with environment(cluster) as name:
        yield name


@pytest.fixture
def store(cluster: Cluster, place: str) -> Iterator[ElasticStore]:
    """An empty store."""
    opened = cluster.store(place)
    yield opened
    opened.close()


@pytest.fixture
def own() -> Iterator[Cluster]:
    """A server that the test may kill."""
    with tempfile.TemporaryDirectory(prefix="metrosoc-es-") as root:
        try:
            node = single(Path(root), heap="600m")
        except Missing as missing:
            absent(missing)
        try:
            found = of_node(node)
            with_init(found)
            yield found
        finally:
            node.stop()
