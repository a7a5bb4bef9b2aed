"""The connection: the official client, its failures in our words, its answers checked.

What a search leaves out (a shard that failed, a time-out) is a failure here, never an empty answer.
"""

import logging
import random
import ssl
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import orjson
from elastic_transport import ConnectionError as Unreachable
from elastic_transport import ConnectionTimeout, TlsError, TransportError
from elasticsearch import ApiError, Elasticsearch, UnsupportedProductError

from soc.errors import ContentError, StoreError
from soc.store.base import Busy, Denied, Late, Silent
from soc.store.elastic.answer import Serializer
from soc.store.elastic.bounded import Bounded
from soc.store.open import Access

Json = dict[str, Any]
SECONDS: Final = 60
"""What a request may take in all; a store that takes longer is silent."""
BUSY: Final = (429, 502, 503, 504)
TRIES: Final = 6
FIRST_WAIT: Final = 0.1
_READING: Final = ("_search", "_msearch", "_mget", "_pit", "_refresh", "_flush")
logging.getLogger("elastic_transport.node_pool").setLevel(logging.ERROR)  # our error says it all
_LOCAL: Final = ("127.0.0.1", "::1", "localhost")
# What it says about a silent server is said by us, once and with a next step.
logging.getLogger("elastic_transport.node_pool").setLevel(logging.ERROR)
__all__ = ["ApiError", "Client", "ConnectionTimeout", "TransportError", "Unreachable"]


@dataclass(frozen=True, slots=True)
class Client:
    """Speaks to one cluster; every failure is a StoreError that says what to do."""

    url: str
    raw: Elasticsearch

    @classmethod
    def connect(cls, url: str, access: Access) -> "Client":
        """Return a client; nothing is sent yet. Raises ContentError for a wrong URL or CA file."""
        parts = urlsplit(url)
        local = parts.hostname in _LOCAL
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.password:
            raise ContentError("not the URL of a store", where=url, hint="https://host:9200")
        if parts.scheme == "http" and not local:
            raise ContentError("a key travels over TLS only", where=url, hint="https://host:9200")
        options: Json = {}
        if parts.scheme == "https":
            options["ssl_context"] = _trusting(access.ca)
        if access.api_key:
            options["api_key"] = access.api_key.resolve()
        elif access.password:
            options["basic_auth"] = (access.user, access.password.resolve())
        port = parts.port or (443 if parts.scheme == "https" else 9200)
        host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
        raw = Elasticsearch(
            f"{parts.scheme}://{host}:{port}{parts.path.rstrip('/')}",
            node_class=Bounded,
            request_timeout=SECONDS,
            max_retries=0,
            http_compress=not local,
            connections_per_node=8,
            serializers={"application/vnd.elasticsearch+json": Serializer()},
            **options,
        )
        return cls(url, raw)

    def ask(
        self,
        method: str,
        path: str,
        body: Any = None,  # noqa: ANN401
        *,
        missing: bool = False,
        seconds: float | None = None,
        **parameters: Any,  # noqa: ANN401
    ) -> Json:
        """Send a request and return its answer; with `missing` a 404 is the answer {}.

        What only reads is tried again when no shard can answer yet: an index is being made, a copy
        takes over.
        """
        left = TRIES if method == "GET" or path.rpartition("/")[2] in _READING else 1
        with explained(self.url):
            while True:
                try:
                    return self.send(method, path, body, seconds=seconds, **parameters)
                except ApiError as error:
                    left -= 1
                    if missing and error.status_code == 404:
                        return {}
                    if left == 0 or error.status_code not in BUSY:
                        raise
                time.sleep(random.uniform(0, FIRST_WAIT * 2 ** (TRIES - left)))  # noqa: S311

    def send(
        self,
        method: str,
        path: str,
        body: Any = None,  # noqa: ANN401
        *,
        seconds: float | None = None,
        **parameters: Any,  # noqa: ANN401
    ) -> Json:
        """Send a request; failures are the client's own exceptions."""
        lines = isinstance(body, bytes)
        headers = {"accept": "application/vnd.elasticsearch+json; compatible-with=8"}
        if body is not None:
            form = "x-ndjson" if lines else "json"
            headers["content-type"] = f"application/vnd.elasticsearch+{form}; compatible-with=8"
        answer = self.raw.options(request_timeout=seconds or SECONDS).perform_request(
            method, path, params=parameters or None, headers=headers, body=body
        )
        found: Json = answer.body if isinstance(answer.body, dict) else {"items": answer.body}
        return found

    def refresh(self, index: str) -> None:
        """Make searchable what an index has, on all of its copies; one that fails shows less."""
        answer = self.ask("POST", f"/{index}/_refresh", ignore_unavailable="true")
        refreshed(answer, self.url)

    def search(self, index: str, body: Json) -> list[Json]:
        """Return the hits of a search over all indices of a pattern, complete or not at all."""
        options: Json = {"allow_partial_search_results": "false"}
        if index:  # a point in time knows its own
            options |= {"ignore_unavailable": "true", "allow_no_indices": "true"}
        answer = self.ask("POST", f"/{index}/_search" if index else "/_search", body, **options)
        return complete(answer, self.url)["hits"]["hits"]  # type: ignore[no-any-return]

    def many(self, requests: Sequence[tuple[Json, Json]]) -> list[Json]:
        """Return the answers of several searches, each (header, body)."""
        lines = b"\n".join(orjson.dumps(part) for pair in requests for part in pair) + b"\n"
        answers = self.ask("POST", "/_msearch", lines)["responses"]
        return [complete(answer, self.url) for answer in answers]


def complete(answer: Json, url: str) -> Json:
    """Return an answer that no shard is missing from; raise StoreError for any other."""
    shards: Mapping[str, Any] = answer.get("_shards", {})
    if "error" in answer or answer.get("timed_out") or shards.get("failed"):
        reason = (answer.get("error") or {}).get("reason", "some shards did not answer")
        raise StoreError(f"the search is not complete: {reason}", where=url, hint=_STATUS)
    return answer


def refreshed(answer: Json, url: str) -> None:
    """Raise StoreError when a copy of a shard was not refreshed: a search may be answered by it."""
    if answer.get("_shards", {}).get("failed"):
        raise Busy("a copy of a shard could not be refreshed", where=url, hint=_STATUS)


_STATUS: Final = "soc store status"


def _trusting(ca: Path | None) -> ssl.SSLContext:
    """Return a context that trusts this CA and no other, the system's without one."""
    try:
        context = ssl.create_default_context(cafile=str(ca) if ca else None)
    except (OSError, ssl.SSLError) as error:
        raise ContentError(f"not a CA certificate: {error}", where=str(ca), hint="PEM") from None
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


@contextmanager
def explained(url: str) -> Iterator[None]:
    """Turn the client's failures into StoreError."""
    try:
        yield
    except UnsupportedProductError as error:
        raise StoreError("this is no Elasticsearch", where=url, hint="check the URL") from error
    except ApiError as error:
        raise refusal(error, url) from error
    except TlsError as error:
        problem, hint = distrust(str(error.__cause__))
        raise Denied(problem, where=url, hint=hint) from error
    except ConnectionTimeout as error:
        raise Late("the store did not answer in time", where=url, hint=_STATUS) from error
    except TransportError as error:
        hint = "check that it runs and the URL is right"
        raise Silent("the store cannot be reached", where=url, hint=hint) from error


def distrust(reason: str) -> tuple[str, str]:
    """Return what is wrong with a server's TLS, and what to do about it."""
    lower = reason.lower()
    if "has expired" in lower:
        return "the server's certificate has expired", "soc store certs makes a new one"
    if "mismatch" in lower or "not valid for" in lower:
        hint = "use a name that the certificate has, or make one with this name: soc store certs"
        return "the server's certificate is for another name", hint
    if "wrong_version_number" in lower or "wrong version number" in lower:
        hint = "https:// is right for a port with TLS: set xpack.security.http.ssl on the server"
        return "the server does not speak TLS on this port", hint
    hint = "[store] ca must be the file of the CA that signed the server's certificate"
    return "the server's certificate is not trusted", hint


def refusal(error: ApiError, url: str) -> StoreError:
    """Return the error that a person understands for an answer that is a refusal."""
    status = error.status_code
    reason = told(error.body.get("error") if isinstance(error.body, dict) else None)
    if status == 401:
        hint = "the API key is wrong, expired or revoked: soc store keys list"
        return Denied("the store does not know this key", where=url, hint=hint)
    if status == 403:
        return Denied(f"the key may not do this: {reason}", where=url, hint="soc store keys")
    if "Accept version" in reason:
        hint = "pip install 'elasticsearch>=8.19,<9'"
        return Denied("the server is older than the client", where=url, hint=hint)
    kind = Busy if status == 429 or status >= 500 else StoreError
    return kind(f"the store answered {status}: {reason}", where=url, hint=_STATUS)


def told(error: Any) -> str:  # noqa: ANN401
    """Return the reason of a server's error, without the values that it quotes."""
    if not isinstance(error, dict):
        return str(error or "")[:300]
    reasons: list[str] = []
    while isinstance(error, dict) and len(reasons) < 3:
        reasons.append(f"{error.get('type', '')}: {error.get('reason', '')}")
        error = error.get("caused_by")
    clean = [one.partition("Preview of field")[0].strip(" .") for one in reasons]
    return "; ".join(clean)[:500]
