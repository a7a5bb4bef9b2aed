"""The one server of a test run, or the cluster that METROSOC_TEST_ES_URL names.

`METROSOC_TEST_ES_USER` and `METROSOC_TEST_ES_PASSWORD` (and `METROSOC_TEST_ES_CA`, a file) go with
the URL; the user must be allowed everything. It is no API key, because a key may not make keys.
Where no server can be had, tests are skipped, and fail where CI=true.
"""

import atexit
import base64
import json
import os
import shutil
import ssl
import tempfile
import urllib.request
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, NoReturn

import pytest

from soc.config.secret import SecretRef
from soc.store.elastic import ElasticStore
from soc.store.open import Access
from tests.elastic.server import Missing, Node, single


@dataclass(frozen=True)
class Cluster:
    """Where the server is, and how the tests get in as its master."""

    url: str
    ca: Path | None
    secret: SecretRef
    user: str
    node: Node | None = None

    def access(self, environment: str, **fields: Any) -> Access:
        """Return the master's access to an environment."""
        own: dict[str, Any] = {"ca": self.ca, "environment": environment}
        own |= {"user": self.user, "password": self.secret}
        return Access(**{**own, **fields})

    def store(self, environment: str, **fields: Any) -> ElasticStore:
        """Return a store object of the master on an environment."""
        return ElasticStore(self.url, self.access(environment, **fields))

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        """Send a request past the product, bytes as lines; raise urllib's errors."""
        data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data=data, method=method)
        token = base64.b64encode(f"{self.user}:{self.secret.resolve()}".encode()).decode()
        request.add_header("Authorization", f"Basic {token}")
        request.add_header("Content-Type", "application/json")
        context = ssl.create_default_context(cafile=str(self.ca) if self.ca else None)
        with urllib.request.urlopen(request, timeout=60, context=context) as answer:
            return json.load(answer)


@cache
def _running() -> "Cluster | Missing":
    if url := os.environ.get("METROSOC_TEST_ES_URL"):
        secret = SecretRef.parse("env:METROSOC_TEST_ES_PASSWORD")
        ca = os.environ.get("METROSOC_TEST_ES_CA")
        found = Cluster(url, Path(ca) if ca else None, secret, os.environ["METROSOC_TEST_ES_USER"])
    else:
        root = Path(tempfile.mkdtemp(prefix="metrosoc-es-"))
        atexit.register(shutil.rmtree, root, ignore_errors=True)
        try:
            node = single(root)
        except Missing as missing:
            return missing
        atexit.register(node.stop)
        found = of_node(node)
    with_init(found)
    return found


def of_node(node: Node) -> Cluster:
    """Return the cluster that a started node is."""
    file = node.root / "admin.password"
    file.touch(mode=0o600)
    file.write_text(node.password)
    return Cluster(node.url, node.ca, SecretRef.parse(f"file:{file}"), "admin", node)


def with_init(cluster: Cluster) -> None:
    """Write the templates."""
    store = cluster.store("default")
    store.init()
    store.close()


def running() -> Cluster:
    """Return the server of this test run; skip the test (fail in CI) where there is none."""
    found = _running()
    return absent(found) if isinstance(found, Missing) else found


def absent(why: Missing) -> NoReturn:
    """Skip the test, or fail it where CI=true."""
    message = f"Elasticsearch for tests: {why}"
    if os.environ.get("CI") == "true":
        pytest.fail(message)
    pytest.skip(message)


@contextmanager
def environment(cluster: Cluster) -> Iterator[str]:
    """Give a name that nobody used; afterwards its indices are gone, or closed at least."""
    name = "t" + uuid.uuid4().hex[:12]
    yield name
    tidy(cluster, name)


def tidy(cluster: Cluster, name: str) -> None:
    """Remove an environment, by the names of its indices: the server takes no patterns.

    The newest index of a data stream cannot be deleted without the module for that: it is closed.
    """
    patterns = f"*-{name},soc-alerts-{name}-*"
    found = cluster.ask("GET", f"/_resolve/index/{patterns}?expand_wildcards=all")
    behind = [one["backing_indices"] for one in found["data_streams"]]
    newest = [names[-1] for names in behind]
    older = [one for names in behind for one in names[:-1]]
    plain = [one["name"] for one in found["indices"] if not one["name"].startswith(".ds-")]
    for method, names, path in (("DELETE", older + plain, ""), ("POST", newest, "/_close")):
        for start in range(0, len(names), 40):  # the line of a request is bounded
            cluster.ask(method, f"/{','.join(names[start : start + 40])}{path}")
