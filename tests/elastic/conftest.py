"""A real server and an empty environment on it."""

from collections.abc import Iterator

import pytest

from soc.store.elastic import ElasticStore
from tests.elastic.cluster import Cluster, environment, running


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
