"""A playbook as it is executed: CACAO 2.0 steps of the kinds that really run, with typed values."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson

from playbooks.condition import Condition
from playbooks.effect import Tier
from playbooks.variables import Variable


@dataclass(frozen=True, slots=True)
class Start:
    """Where a workflow begins."""

    id: str
    name: str
    next: str


@dataclass(frozen=True, slots=True)
class End:
    """Where a workflow or a branch ends."""

    id: str
    name: str


@dataclass(frozen=True, slots=True)
class Act:
    """One effect. `next` follows success; `failure` follows failure, "" is the exception step."""

    id: str
    name: str
    next: str
    failure: str
    action: str
    arguments: Mapping[str, str]
    seconds: int
    tier: Tier
    reversible: bool
    results: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class If:
    """A condition and its two branches ("" is no branch); `next` follows the branch's end."""

    id: str
    name: str
    next: str
    failure: str
    condition: Condition
    text: str
    on_true: str
    on_false: str


Step = Start | End | Act | If


@dataclass(frozen=True, slots=True)
class Playbook:
    """A playbook that passed the lint. `document` is the CACAO JSON that it was made from."""

    id: str
    name: str
    description: str
    modified: str
    start: str
    exception: str
    steps: Mapping[str, Step]
    variables: Mapping[str, Variable]
    inputs: Mapping[str, str]
    answers: tuple[str, ...]
    texts: Mapping[str, Any]
    valid: tuple[str, str]
    document: Mapping[str, Any] = field(repr=False)
    source: str = ""

    @property
    def digest(self) -> str:
        """Return SHA-256 of the canonical document, in hexadecimal."""
        return sha256(self.document)

    def named(self, language: str) -> tuple[str, str]:
        """Return name and description in a language such as `vi`, English where there is none."""
        texts = self.texts.get(language, {})
        return texts.get("name", self.name), texts.get("description", self.description)


def canonical(value: Any) -> bytes:  # noqa: ANN401 - any JSON value
    """Return JSON with sorted keys, without blanks: RFC 8785 for what has no fractions."""
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)


def sha256(value: Any) -> str:  # noqa: ANN401 - any JSON value
    """Return the hash of a JSON value's canonical text, in hexadecimal."""
    return hashlib.sha256(canonical(value)).hexdigest()
