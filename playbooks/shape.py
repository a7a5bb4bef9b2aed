"""The shape of a CACAO 2.0 file: which keys there are and what their values look like.

The structural part of OASIS's JSON schemas as far as we execute it, closed: an unknown key is a
mistake (the schemas let misspelt ones pass). What the standard has and we do not execute is
named with a reason, never skipped.
"""

import difflib
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from playbooks.document import Document, Path
from soc.errors import ContentError

_UUID: Final = r"[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[1-5][0-9a-fA-F]{3}-[89abAB][0-9a-fA-F]{3}-"
IDENTIFIER: Final = re.compile(rf"([a-z][a-z0-9-]{{0,60}}[a-z0-9])--{_UUID}[0-9a-fA-F]{{12}}")
_TIME: Final = re.compile(
    r"[0-9]{4}-(?:0[1-9]|1[012])-(?:0[1-9]|[12][0-9]|3[01])"
    r"T(?:[01][0-9]|2[0-3]):[0-5][0-9]:(?:[0-5][0-9]|60)(?:\.[0-9]{1,9})?Z"
)

Check = Callable[[Any], bool]


def is_text(value: object) -> bool:
    """Return whether a value is text."""
    return isinstance(value, str)


def is_identifier(value: object) -> bool:
    """Return whether a value is `type--uuid`."""
    return isinstance(value, str) and IDENTIFIER.fullmatch(value) is not None


def is_time(value: object) -> bool:
    """Return whether a value is a time stamp in UTC."""
    return isinstance(value, str) and _TIME.fullmatch(value) is not None


def is_number(value: object) -> bool:
    """Return whether a value is a whole number."""
    return isinstance(value, int) and not isinstance(value, bool)


def is_score(value: object) -> bool:
    """Return whether a value is a whole number from 0 to 100."""
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= 100


def is_bool(value: object) -> bool:
    """Return whether a value is true or false."""
    return isinstance(value, bool)


def is_map(value: object) -> bool:
    """Return whether a value is a map with something in it."""
    return isinstance(value, dict) and bool(value)


def is_texts(value: object) -> bool:
    """Return whether a value is a list of texts with something in it."""
    return isinstance(value, list) and bool(value) and all(map(is_text, value))


def is_list(value: object) -> bool:
    """Return whether a value is a list with something in it."""
    return isinstance(value, list) and bool(value)


_WORDS: Final[dict[Check, str]] = {
    is_text: "text",
    is_identifier: "type--uuid",
    is_time: "a time such as 2026-11-22T08:15:30Z",
    is_number: "a whole number",
    is_score: "a whole number from 0 to 100",
    is_bool: "true or false",
    is_map: "a map with something in it",
    is_texts: "a list of texts",
    is_list: "a list with something in it",
}
PLAYBOOK: Final[Mapping[str, Check]] = {
    "type": is_text,
    "spec_version": is_text,
    "id": is_identifier,
    "name": is_text,
    "description": is_text,
    "playbook_types": is_texts,
    "playbook_activities": is_texts,
    "created_by": is_identifier,
    "created": is_time,
    "modified": is_time,
    "revoked": is_bool,
    "valid_from": is_time,
    "valid_until": is_time,
    "derived_from": is_texts,
    "related_to": is_texts,
    "priority": is_score,
    "severity": is_score,
    "impact": is_score,
    "industry_sectors": is_texts,
    "labels": is_texts,
    "external_references": is_list,
    "markings": is_texts,
    "playbook_variables": is_map,
    "workflow_start": is_identifier,
    "workflow_exception": is_identifier,
    "workflow": is_map,
    "playbook_extensions": is_map,
    "agent_definitions": is_map,
    "target_definitions": is_map,
    "extension_definitions": is_map,
    "data_marking_definitions": is_map,
}
REQUIRED: Final = (
    "type",
    "spec_version",
    "id",
    "name",
    "created_by",
    "created",
    "modified",
    "workflow_start",
    "workflow",
)
_COMMON: Final[Mapping[str, Check]] = {
    "type": is_text,
    "name": is_text,
    "description": is_text,
    "external_references": is_list,
    "owner": is_identifier,
}
_FOLLOWED: Final[Mapping[str, Check]] = {
    "on_completion": is_identifier,
    "on_success": is_identifier,
    "on_failure": is_identifier,
}
STEPS: Final[Mapping[str, Mapping[str, Check]]] = {
    "start": {**_COMMON, "on_completion": is_identifier},
    "end": _COMMON,
    "action": {
        **_COMMON,
        **_FOLLOWED,
        "commands": is_list,
        "agent": is_identifier,
        "targets": is_texts,
        "in_args": is_texts,
        "out_args": is_texts,
        "step_extensions": is_map,
    },
    "if-condition": {
        **_COMMON,
        **_FOLLOWED,
        "condition": is_text,
        "on_true": is_identifier,
        "on_false": is_identifier,
    },
}
VARIABLE: Final[Mapping[str, Check]] = {
    "type": is_text,
    "description": is_text,
    "value": lambda value: value is None or isinstance(value, str),
    "constant": is_bool,
    "external": is_bool,
}
NOT_EXECUTED: Final[Mapping[str, str]] = {
    "parallel": "parallel steps are not executed: put the steps one after the other",
    "while-condition": "loops are not executed: every effect must be known before the run",
    "switch-condition": "switches are not executed: use if-condition steps",
    "playbook-action": "playbooks called by playbooks are not executed: copy their steps",
    "delay": "delays are not executed: remove it",
    "timeout": "a step's timeout is not executed: actions have their own",
    "step_variables": "variables of a step are not executed: use playbook_variables",
    "signatures": "signatures are not checked: remove them, so that nobody relies on them",
    "authentication_info_definitions": "secrets do not belong into a playbook: see soc.toml",
    "playbook_processing_summary": "a processing summary is not checked: remove it",
}
"""Step types and keys of CACAO 2.0 that are refused, and why."""


def check_map(
    document: Document,
    values: Mapping[str, Any],
    path: Path,
    known: Mapping[str, Check],
    required: Iterable[str] = (),
) -> list[ContentError]:
    """Return what is wrong with the keys of a map and the look of their values."""
    problems = [
        document.problem(f"{name} is missing", path) for name in required if name not in values
    ]
    for name, value in values.items():
        place = (*path, name)
        if name in NOT_EXECUTED and name not in known:
            problems.append(document.problem(NOT_EXECUTED[name], place))
        elif name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            hint = f"did you mean {near[0]}?" if near else f"known: {', '.join(known)}"
            problems.append(document.problem(f"the key {name[:80]!r} is unknown", place, hint))
        elif not known[name](value):
            wanted = _WORDS.get(known[name], "text or null")
            problems.append(document.problem(f"{name} must be {wanted}", place))
    return problems
