"""The head of a rule: title, id, level, dates, tags, log source.

What would make an alert wrong (title, id, level, log source) rejects the rule; what only the JSON
schema forbids (status, dates, tags, an id that is no UUID) is a warning.
"""

import re
from collections.abc import Callable, Iterable
from typing import Final, cast, get_args
from uuid import UUID

from detectors.sigma.document import DocumentError, Mapping, Scalar, Sequence
from detectors.sigma.rule import LogSource
from soc.model.finding import LEVELS, Level, RuleInfo

Warn = Callable[[int, str], None]

MAX_TITLE: Final = 256
STATUSES: Final = ("stable", "test", "experimental", "deprecated", "unsupported")
_DATE: Final = re.compile(r"\d{4}-(0[1-9]|1[012])-(0[1-9]|[12][0-9]|3[01])")
_TECHNIQUE: Final = re.compile(r"attack\.(t\d{4}(?:\.\d{3})?)")
_TACTIC: Final = re.compile(r"attack\.([a-z][a-z_-]*)")
_TAG: Final = re.compile(r"[a-z0-9_-]+\.[a-z0-9._-]+")


def text(document: Mapping, key: str) -> str:
    """Return a scalar of the document as text, empty when it is missing or null."""
    value = document.items.get(key)
    if value is None:
        return ""
    if not isinstance(value, Scalar):
        raise DocumentError(f"{key} must be text", document.lines[key])
    return "" if value.value is None else value.text.strip()


def required(document: Mapping, key: str, hint: str) -> str:
    """Return a text that must be there."""
    found = text(document, key)
    if not found:
        line = document.lines.get(key, document.line)
        near = next((k for k in document.items if k.lower() == key and k != key), None)
        raise DocumentError(
            f"{key} is missing", line, f"{near!r} must be lower case" if near else hint
        )
    return found


def texts(document: Mapping, key: str, warn: Warn) -> tuple[str, ...]:
    """Return a list of texts; a single text counts as a list of one, with a warning."""
    value = document.items.get(key)
    if value is None:
        return ()
    if isinstance(value, Scalar):
        if value.value is not None:
            warn(value.line, f"{key} should be a list")
        return (value.text,) if value.value is not None else ()
    if isinstance(value, Sequence):
        return tuple(item.text for item in value.items if isinstance(item, Scalar))
    warn(value.line, f"{key} should be a list of texts; it is left out")
    return ()


def info(document: Mapping, path: str, warn: Warn) -> RuleInfo:
    """Return what findings repeat of a rule; raise DocumentError."""
    title = required(document, "title", "title: what the rule detects")
    if len(title) > MAX_TITLE:
        warn(document.lines["title"], f"title is longer than {MAX_TITLE} characters")
    identifier = required(document, "id", "alerts need an id; `uuidgen` makes one")
    if not _is_uuid(identifier):
        warn(document.lines["id"], f"id {identifier!r} is no UUID")
    tags = texts(document, "tags", warn)
    for tag in tags:
        if not _TAG.fullmatch(tag):
            warn(document.lines["tags"], f"tag {tag!r} is not of the form namespace.name")
    return RuleInfo(
        id=identifier,
        title=title,
        level=_level(document),
        version=_date(document, "modified", warn) or _date(document, "date", warn),
        description=text(document, "description"),
        author=text(document, "author"),
        references=texts(document, "references", warn),
        techniques=_unique(m[1].upper() for tag in tags if (m := _TECHNIQUE.fullmatch(tag))),
        tactics=_unique(_tactic(m[1]) for tag in tags if (m := _TACTIC.fullmatch(tag))),
        false_positives=texts(document, "falsepositives", warn),
        path=path,
    )


def _unique(names: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(names))


def _tactic(tag: str) -> str:
    words = tag.replace("_", "-").split("-")
    return " ".join(word if word == "and" else word.capitalize() for word in words)


def _is_uuid(identifier: str) -> bool:
    try:
        return str(UUID(identifier)) == identifier.lower()
    except ValueError:
        return False


def _level(document: Mapping) -> Level:
    level = text(document, "level")
    if not level:
        return "medium"
    if level not in get_args(Level):
        raise DocumentError(
            f"level {level!r} does not exist",
            document.lines["level"],
            f"one of {', '.join(LEVELS)}",
        )
    return cast(Level, level)


def _date(document: Mapping, key: str, warn: Warn) -> str:
    date = text(document, key)
    if date and not _DATE.fullmatch(date):
        warn(document.lines[key], f"{key} {date!r} is not of the form YYYY-MM-DD")
    return date


def status(document: Mapping, warn: Warn) -> str:
    """Return the status; an unknown one is a warning."""
    found = text(document, "status")
    if found and found not in STATUSES:
        warn(document.lines["status"], f"status {found!r} is none of {', '.join(STATUSES)}")
    elif found in ("deprecated", "unsupported"):
        warn(document.lines["status"], f"the rule is marked {found}")
    return found


def logsource(document: Mapping) -> LogSource:
    """Return the log source; raise DocumentError when it names nothing."""
    value = document.items.get("logsource")
    if not isinstance(value, Mapping):
        line = document.lines.get("logsource", document.line)
        raise DocumentError(
            "logsource is missing", line, "logsource: {product: linux, service: sshd}"
        )
    found = LogSource(text(value, "product"), text(value, "category"), text(value, "service"))
    if found == LogSource():
        raise DocumentError("logsource names no product, category or service", value.line)
    return found
