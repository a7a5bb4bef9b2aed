"""Which fields the indices map, and as what: the part of the field table that is worth an index.

One mapping for every server: types that some builds lack (`wildcard`, `match_only_text`, ...) are
not used, so that a query means the same everywhere. A field that is not mapped here is stored and
searched all the same (`soc.store.elastic.wire`), only more slowly when it is no text.
"""

from functools import cache
from typing import Any, Final

from soc.model.ecs import named, table
from soc.store.predicate import wordy
from soc.store.values import UNSEARCHABLE, kind

GROUPS: Final = frozenset(
    "@timestamp agent client container data_stream destination dll dns ecs email error event file"
    " group host http log message network observer organization process registry related rule"
    " server service soc source suricata tags threat tls url user user_agent winlog".split()
)
SKIPPED: Final = frozenset(
    "as changes code_signature elf enrichments entity entry_leader entry_meta env_vars geo"
    " group_leader indicator interactive io macho node origin pe previous real_group real_user"
    " risk saved_group saved_user session_leader supplemental_groups target tty x509".split()
)
"""Parts of ECS that reuse whole groups: 1,600 fields that hardly any record has."""
KEPT: Final = frozenset({"dll.pe.imphash", "file.pe.imphash", "process.pe.imphash"})
"""Below such parts, but named by pipelines."""
MAX_KEYWORD: Final = 32_766
"""Characters of a value that is looked up whole; Lucene's limit is as many bytes."""
SAFE_KEYWORD: Final = 5_461
"""As above for what other programs write: as many characters fit whatever folding makes of them."""
LONGEST_WORD: Final = 8_000
OPEN: Final = "soc.unmapped"
"""What is not mapped, for programs of others: `soc.unmapped.NAME`, in the letters it came in."""
WORDS: Final = "soc.index.words"
"""Every text that bare words look at, but for that of `message`."""
WORDY: Final = (WORDS, "message")
"""Where bare words look; reading `message` twice would cost a seventh of the indexing."""


@cache
def late() -> frozenset[str]:
    """Return the fields that are mapped since version 2, because pipelines or rules name them."""
    return named() | KEPT


@cache
def leaves() -> dict[str, str]:
    """Return the mapped fields by name, each with its type on the server."""
    found = {}
    for name, field in table().items():
        parts = name.split(".")
        skip = parts[0] not in GROUPS or not SKIPPED.isdisjoint(parts)
        skip = skip and not field.description and name not in KEPT  # only ours are described
        under_other = name.endswith(".text") and name.removesuffix(".text") in table()
        family = parts[-1] == "*"
        if (
            skip
            or family
            or under_other
            or any(name == u or name.startswith(u + ".") for u in UNSEARCHABLE)
        ):
            continue
        if server := _server_type(name, field.type):
            found[name] = server
    return found


def _server_type(name: str, kind_: str) -> str | None:
    match kind(name):
        case "object":
            return None
        case "number":
            return (
                "double" if kind_ in ("float", "double", "half_float", "scaled_float") else "long"
            )
        case "keyword" if kind_ == "flattened":
            return None
        case other:
            return other


@cache
def objects() -> frozenset[str]:
    """Return the names that have mapped fields below them."""
    return frozenset(name[:i] for name in leaves() for i in range(1, len(name)) if name[i] == ".")


@cache
def views() -> frozenset[str]:
    """Return the mapped fields that also have a word by word view, `NAME.text`."""
    return frozenset(name for name in leaves() if f"{name}.text" in table())


def mapping() -> dict[str, Any]:
    """Return the properties of events and alerts."""
    root: dict[str, Any] = {}
    for name, server in leaves().items():
        _put(root, name, _property(name, server))
    stored = {"type": "keyword", "index": False, "doc_values": False}
    for name in ("event.original", "soc.original_base64", "soc.rest"):
        _put(root, name, stored)
    _put(root, "soc.reason", {"type": "object", "enabled": False})
    _put(root, OPEN, {"type": "flattened", "ignore_above": LONGEST_WORD})
    helper = {"type": "keyword", "doc_values": False}
    for part in ("names", "odd", "tokens"):
        _put(root, f"soc.index.{part}", helper)
    _put(root, "soc.index.excess", {"type": "long"})
    _put(root, "soc.index.resent", {"type": "boolean"})
    _put(root, WORDS, _text())
    for name in ("event.id", "soc.alert.id"):
        field = _find(root, name)
        field["fields"] = {"exact": {"type": "keyword", "index": False}}
    return root


def _property(name: str, server: str) -> dict[str, Any]:
    match server:
        case "text":
            made = _text()
        case "keyword":
            most = SAFE_KEYWORD if name in late() else MAX_KEYWORD
            made = {"type": "keyword", "normalizer": "folded", "ignore_above": most}
        case "date" if name == "@timestamp":
            return {"type": "date"}
        case "long":
            made = {"type": "long", "ignore_malformed": True, "coerce": False}
        case "double":
            made = {"type": "double", "ignore_malformed": True, "coerce": False}
        case _:
            made = {"type": server, "ignore_malformed": True}
    if server in ("text", "keyword", "ip") and wordy(name) and name not in WORDY:
        made["copy_to"] = WORDS
    if name in views():
        made["fields"] = {"text": _text()}
    return made


def _text() -> dict[str, Any]:
    return {"type": "text", "analyzer": "words", "norms": False}


def _put(root: dict[str, Any], name: str, definition: dict[str, Any]) -> None:
    *parents, leaf = name.split(".")
    node = root
    for parent in parents:
        node = node.setdefault(parent, {}).setdefault("properties", {})
    node[leaf] = definition


def _find(root: dict[str, Any], name: str) -> dict[str, Any]:
    first, *rest = name.split(".")
    node: dict[str, Any] = root[first]
    for part in rest:
        node = node["properties"][part]
    return node
