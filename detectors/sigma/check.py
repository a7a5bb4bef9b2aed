"""What can be said against rules that load: a warning is right, or it is not given."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import chain
from pathlib import Path
from typing import Final

from detectors.sigma import check_fields as fields
from detectors.sigma.check_regex import SHORT, fixed, heavy
from detectors.sigma.check_truth import Claim, Node, Proof, dead, refuted, tree
from detectors.sigma.evaluate import matches
from detectors.sigma.load import LoadReport
from detectors.sigma.patterns import Exists, Null, Pattern, Regex, Text
from detectors.sigma.pipeline import Pipelines, Source
from detectors.sigma.rule import Rule
from detectors.sigma.text import Wild
from detectors.sigma.values import View

_EMPTY: Final = View({})
_ORIGIN: Final = ("Provider_Name", "type")
"""What tells the origins of events apart: programs on Windows, record types of Linux audit."""


@dataclass(frozen=True, slots=True)
class Remark:
    """Something about a loaded rule: `kind` is one of the words of docs/sigma.md."""

    kind: str
    path: str
    line: int
    message: str
    hint: str = ""

    @property
    def where(self) -> str:
        """Return `file:line`."""
        return f"{self.path}:{self.line}"


def check(report: LoadReport, pipelines: Pipelines, known: fields.Known) -> list[Remark]:
    """Return the remarks on the rules of a report, those of loading first."""
    found = [Remark("form", one.path, one.line, one.message) for one in report.warnings]
    for rule in report.rules:
        found += _rule(rule, pipelines, known)
    return found


def _rule(rule: Rule, pipelines: Pipelines, known: fields.Known) -> Iterator[Remark]:
    route = pipelines.route(rule.logsource)
    sources = route.sources if route else ()
    if not sources:
        message = f"no event source delivers {rule.logsource}: the rule never fires"
        yield _at(rule, "logsource:", "source", message, "docs/sources.md")
    yield from _fields(rule, sources, known)
    yield from _truth(rule, sources)
    yield from _regexes(rule)


def _fields(rule: Rule, sources: Sequence[Source], known: fields.Known) -> Iterator[Remark]:
    origins = _origins(tree(rule))
    # What nothing delivers yet may stand in the table all the same.
    asked = sources or [Source(rule.logsource, (), {}, "", rule.where)]
    tables = [fields.names_of(source, origins, known) for source in asked]
    told: set[str] = set()
    for item in fields.items(rule):
        for field in fields.named(item):
            if field in told:
                continue
            told.add(field)
            pairs = zip(asked, tables, strict=True)
            if all(fields.unknown(field, source, names) for source, names in pairs):
                message = f"{field}: events of {_asked(rule, origins)} have no such field"
                hint = _near(field, tables) or "check the spelling, and its case"
                yield _at(rule, item.label, "field", message, hint)
            elif sources and all(fields.unmapped(field, source) for source in sources):
                message = f"{field}: no pipeline says where events of {rule.logsource} have it"
                mapped = [fields.Names(frozenset(source.fields)) for source in sources]
                hint = _near(field, mapped) or "rules/pipelines, or an ECS name"
                yield _at(rule, item.label, "mapping", message, hint)


def _near(field: str, tables: Sequence[fields.Names | None]) -> str:
    found = (names.near(field) for names in tables if names)
    return next((f"{near}?" for near in found if near), "")


def _origins(node: Node) -> list[str]:
    """Return the origins of whose events alone a condition can be true, none when of any."""
    if isinstance(node, Claim):
        if not node.wanted or node.item.field not in _ORIGIN:
            return []
        texts = [one.only for one in node.patterns if isinstance(one, Text)]
        found = [text for text in texts if text]
        return found if len(found) == len(node.patterns) else []
    each = [_origins(child) for child in node.children]
    if node.kind == "and":
        return next(filter(None, each), [])
    return list(dict.fromkeys(chain.from_iterable(each))) if all(each) else []


def _asked(rule: Rule, origins: Sequence[str]) -> str:
    return f"{rule.logsource}" + (f" from {', '.join(origins)}" if origins else "")


def _truth(rule: Rule, sources: Sequence[Source]) -> Iterator[Remark]:
    @cache
    def single(field: str) -> bool:
        return fields.single(field, sources)

    whole = tree(rule)
    if proof := refuted(whole, single):
        yield _at(rule, "condition:", "never", f"can never be true: {_told(proof)}")
        return
    if refuted(tree(rule, wanted=False), single):
        yield _at(rule, "condition:", "always", "is true of every event of its log source")
    elif not _wants_null(rule) and matches(rule, _EMPTY, lambda field: (field,)):
        message = "holds also for an event that has none of the rule's fields"
        yield _at(rule, "condition:", "negation", message, "say what must be there")
    for name, proof in dead(whole, single):
        yield _at(
            rule,
            f"{name.removeprefix('not ')}:",
            "dead",
            f"{name} can never be true: {_told(proof)}",
        )


def _wants_null(rule: Rule) -> bool:
    return any(isinstance(p, Null) for item in fields.items(rule) for p in item.patterns)


def _told(proof: Proof) -> str:
    return " excludes ".join(
        f"{'' if claim.wanted else 'not '}{claim.item.label}: {claim.patterns[0].source}"
        + (" ..." if len(claim.patterns) > 1 else "")
        for claim in proof
    )


def _regexes(rule: Rule) -> Iterator[Remark]:
    guarded = _guarded(tree(rule))
    for item in fields.items(rule):
        for pattern in item.patterns:
            if not isinstance(pattern, Regex):
                continue
            why = heavy(pattern)
            if not why and not guarded and not fixed(pattern):
                why = f"no {SHORT} characters that a match must have: searched in every event"
            if why:
                yield _at(rule, item.label, "regex", f"{item.label}: {why}: {pattern.source}")


def _guarded(node: Node) -> bool:
    """Tell whether the condition needs something that is cheap to look for first."""
    if isinstance(node, Claim):
        return node.wanted and all(_cheap(pattern) for pattern in node.patterns)
    children = (_guarded(child) for child in node.children)
    return any(children) if node.kind == "and" else all(children)


def _cheap(pattern: Pattern) -> bool:
    if isinstance(pattern, Text):
        return len(pattern.needle) >= SHORT or Wild.ANY not in pattern.tokens
    return fixed(pattern) if isinstance(pattern, Regex) else not isinstance(pattern, Null | Exists)


def _at(rule: Rule, text: str, kind: str, message: str, hint: str = "") -> Remark:
    """Return a remark on the line of the rule that starts with this text."""
    path, _, first = rule.where.rpartition(":")
    return Remark(kind, path, _line(path, int(first), text), message, hint)


def _line(path: str, first: int, text: str) -> int:
    """Return the line of a key after the first one of its document, that one if it is not found."""
    try:
        lines = Path(path).read_text("utf-8", "replace").splitlines()
    except OSError:
        return first
    for number in range(first - 1, len(lines)):
        line = lines[number].strip().removeprefix("- ").strip("'\"")
        if line.startswith(text):
            return number + 1
        if number >= first and lines[number].startswith("---"):
            break
    return first
