"""The component and index templates: what `soc store init` writes, in one version.

Text is folded as Python folds it: a table of the characters whose case folding is more than small
letters (`ß`), then small letters. A word is what `\\w+` matches, spelled out as a class, because
Java's `\\w` is another. So both stores see the same words and the same values.
"""

import re
import sys
from functools import cache
from typing import Any, Final

from soc.store.elastic.fields import LONGEST_WORD, WORDY, mapping

VERSION: Final = 2
"""2: what pipelines and rules name of open-ended records (`soc.store.elastic.fields.late`)."""
PRIORITY: Final = 500
"""Above 100, that of the stock templates for `logs-*-*`."""
LIMIT: Final = 2500
COMPONENT: Final = "metrosoc-mappings"
STATE_KINDS: Final = ("workflow", "leases", "checkpoints", "positions", "days")
_CHEROKEE: Final = ((0x13A0, 0x1400), (0xAB70, 0xABC0))
_SURROGATES: Final = range(0xD800, 0xE000)


def _characters() -> list[str]:
    return [chr(c) for c in range(sys.maxunicode + 1) if c not in _SURROGATES]


@cache
def folding() -> list[str]:
    """Return the rules of the characters that fold to more than their small letter.

    Cherokee folds to capitals; as its small letters are as good, it is left to `lowercase`.
    """
    return [
        f"{one}=>{folded}"
        for one in _characters()
        if (folded := one.casefold()) != one.lower() or (len(folded) != 1 and folded != one)
        if not any(low <= ord(one) < high for low, high in _CHEROKEE)
    ]


@cache
def word_class() -> str:
    r"""Return `\w` as a class of Lucene's regular expressions."""
    spans: list[list[int]] = []
    for one in map(ord, filter(re.compile(r"\w").match, _characters())):
        if spans and spans[-1][1] == one - 1:
            spans[-1][1] = one
        else:
            spans.append([one, one])
    return "[" + "".join(f"{chr(a)}-{chr(b)}" if a < b else chr(a) for a, b in spans) + "]"


def _analysis() -> dict[str, Any]:
    return {
        "char_filter": {"fold": {"type": "mapping", "mappings": folding()}},
        "normalizer": {
            "folded": {"type": "custom", "char_filter": ["fold"], "filter": ["lowercase"]}
        },
        "tokenizer": {"words": {"type": "simple_pattern", "pattern": word_class() + "+"}},
        "filter": {"cut": {"type": "truncate", "length": LONGEST_WORD}},
        "analyzer": {
            "words": {
                "type": "custom",
                "char_filter": ["fold"],
                "tokenizer": "words",
                "filter": ["lowercase", "cut"],
            }
        },
    }


def _settings() -> dict[str, Any]:
    return {
        "number_of_shards": 1,
        "auto_expand_replicas": "0-1",
        "mapping.total_fields.limit": LIMIT,
        "mapping.total_fields.ignore_dynamic_beyond_limit": True,
        "query.default_field": list(WORDY),
    }


def component() -> dict[str, Any]:
    """Return the component template that events, matches and alerts share."""
    return {
        "template": {
            "settings": {"index": _settings(), "analysis": _analysis()},
            "mappings": {
                "dynamic": False,
                "date_detection": False,
                "_meta": {"metrosoc": VERSION},
                "properties": mapping(),
            },
        },
        "version": VERSION,
        "_meta": {"managed_by": "metrosoc", "description": "ECS fields as soc searches them"},
    }


def index_templates() -> dict[str, dict[str, Any]]:
    """Return the index templates by name."""
    events = {"composed_of": [COMPONENT], "data_stream": {}}
    return {
        "metrosoc-events": _template(["logs-soc.*-*"], events),
        "metrosoc-matches": _template(["soc-matches.*-*"], events),
        "metrosoc-alerts": _template(["soc-alerts-*"], {"composed_of": [COMPONENT]}),
        "metrosoc-state": _template(
            [f"soc-{kind}-*" for kind in STATE_KINDS], {"template": _state()}
        ),
    }


def _template(patterns: list[str], rest: dict[str, Any]) -> dict[str, Any]:
    meta = {"managed_by": "metrosoc"}
    known = {"index_patterns": patterns, "priority": PRIORITY, "version": VERSION, "_meta": meta}
    return known | rest


def _state() -> dict[str, Any]:
    """Return the template of what is read by id only: nothing of it is indexed."""
    settings = {"number_of_shards": 1, "auto_expand_replicas": "0-1"}
    return {
        "settings": {"index": settings},
        "mappings": {"dynamic": False, "_meta": {"metrosoc": VERSION}},
    }
