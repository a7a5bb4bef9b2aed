"""The whole SigmaHQ corpus, read by pySigma and by us: the same rules, the same formulas."""

import time
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from sigma.conditions import (
    ConditionAND,
    ConditionFieldEqualsValueExpression,
    ConditionNOT,
    ConditionOR,
    ConditionValueExpression,
)
from sigma.exceptions import SigmaError
from sigma.rule import SigmaRule
from sigma.types import (
    SigmaBool,
    SigmaCIDRExpression,
    SigmaExpansion,
    SigmaFieldReference,
    SigmaNull,
    SigmaNumber,
    SigmaRegularExpression,
    SigmaString,
    SpecialChars,
)

from detectors.sigma.load import LoadReport, load, rule_files
from detectors.sigma.patterns import Boolean, Cidr, FieldRef, Null, Number, Pattern, Regex, Text
from detectors.sigma.rule import Condition, Group, Item, Rule
from detectors.sigma.text import DASHES, Wild, joined
from tests.data import archive

PLACEHOLDERS = 25
"""Rules of the corpus that are rejected: their placeholders have no values. No others."""

# pySigma takes a dash for a flag only at the start of a word; the specification (modifier
# appendix, windash) changes every dash of the value.
DIFFERENT = {"proc_creation_win_cmd_launched_with_hidden_start_flag.yml"}

Formula = tuple[Any, ...]


def gate(kind: str, parts: Iterator[Formula]) -> Formula:
    """Return a formula in which order, nesting of the same operator and repetition do not count."""
    flat: set[Formula] = set()
    for part in parts:
        flat |= part[1] if part[0] == kind else {part}
    return next(iter(flat)) if len(flat) == 1 else (kind, frozenset(flat))


def theirs(node: Any) -> Formula:
    if isinstance(node, ConditionNOT):
        return ("not", theirs(node.args[0]))
    if isinstance(node, ConditionAND | ConditionOR):
        kind = "and" if isinstance(node, ConditionAND) else "or"
        return gate(kind, (theirs(arg) for arg in node.args))
    if isinstance(node, ConditionFieldEqualsValueExpression):
        return their_value(node.field.replace(" ", ""), node.value)
    assert isinstance(node, ConditionValueExpression)
    return their_value(None, node.value)


def their_value(field: str | None, value: Any) -> Formula:
    if isinstance(value, SigmaExpansion):
        return gate("or", (their_value(field, each) for each in value.values))
    if isinstance(value, SigmaString):
        wild: dict[Any, Wild] = {
            SpecialChars.WILDCARD_MULTI: Wild.ANY,
            SpecialChars.WILDCARD_SINGLE: Wild.ONE,
        }
        tokens = [part if isinstance(part, str) else wild[part] for part in value.s]
        return leaf(field, joined(tokens if field else [Wild.ANY, *tokens, Wild.ANY]))
    if isinstance(value, SigmaRegularExpression):
        flags = "".join(sorted(flag.name[0].lower() for flag in value.flags))
        return (field, "regex", str(value.regexp.to_plain(regex=True)), flags)
    if isinstance(value, SigmaNull):
        return (field, "null")
    if isinstance(value, SigmaFieldReference):
        return (field, "field", value.field)
    if isinstance(value, SigmaCIDRExpression):
        return (field, "cidr", value.cidr)
    if isinstance(value, SigmaBool):
        return (field, "boolean", value.boolean)
    assert isinstance(value, SigmaNumber)
    return (field, "number", value.number)


def leaf(field: str | None, tokens: tuple[Any, ...]) -> Formula:
    return (field, "text", tokens)


def ours(rule: Rule, node: Condition) -> Formula:
    if node.kind == "selection":
        return our_selection(rule.selections[node.label])
    if node.kind == "not":
        return ("not", ours(rule, node.children[0]))
    return gate(node.kind, (ours(rule, child) for child in node.children))


def our_selection(node: Group | Item) -> Formula:
    if isinstance(node, Group):
        return gate(node.kind, map(our_selection, node.children))
    kind = "and" if node.every else "or"
    return gate(kind, (our_value(node.field, pattern) for pattern in node.patterns))


def our_value(field: str | None, pattern: Pattern) -> Formula:
    if isinstance(pattern, Text):
        choices = [DASHES if token is Wild.DASH else [token] for token in pattern.tokens]
        return gate("or", (leaf(field, joined(tokens)) for tokens in product(*choices)))
    if isinstance(pattern, Regex):
        return (field, "regex", pattern.source, "".join(sorted(pattern.flags)))
    if isinstance(pattern, Null):
        return (field, "null")
    if isinstance(pattern, Number):
        return (field, "number", pattern.value)
    if isinstance(pattern, Boolean):
        return (field, "boolean", pattern.value)
    if isinstance(pattern, FieldRef):
        return (field, "field", pattern.field)
    if isinstance(pattern, Cidr):
        return (field, "cidr", pattern.source)
    return (field, "number", int(pattern.source))  # a number as a keyword


@pytest.fixture(scope="module")
def corpus() -> Path:
    return archive("sigmahq-rules")


@pytest.fixture(scope="module")
def report(corpus: Path) -> LoadReport:
    started = time.perf_counter()
    found = load([corpus])
    elapsed = time.perf_counter() - started
    print(f"{len(found.rules)} rules in {elapsed:.2f} s, {len(found.rules) / elapsed:.0f} rules/s")
    return found


@pytest.mark.slow
def test_every_rule_of_the_corpus_loads_or_lacks_a_placeholder(report: LoadReport) -> None:
    assert len(report.rules) + len(report.rejected) == 3780
    assert len(report.rejected) == PLACEHOLDERS
    for rejection in report.rejected:
        assert "placeholder %" in rejection.reason
        named = rejection.reason.split("%")[1]
        line = Path(rejection.path).read_text("utf-8").splitlines()[rejection.line - 1]
        assert f"%{named}%" in line


@pytest.mark.slow
def test_each_rule_is_the_formula_that_pysigma_reads(corpus: Path, report: LoadReport) -> None:
    mine = {rule.info.path: rule for rule in report.rules}
    refused = {rejection.path for rejection in report.rejected}
    different: dict[str, str] = {}
    for path in rule_files([corpus]):
        if str(path) in refused:
            continue  # a placeholder, see above; pySigma leaves it to its pipelines
        try:
            parsed = SigmaRule.from_yaml(path.read_text("utf-8"))
            formula = gate("or", (theirs(c.parsed) for c in parsed.detection.parsed_condition))
        except (SigmaError, KeyError) as error:
            different[path.name] = f"pySigma refuses: {error}"
            continue
        rule = mine.get(str(path))
        if rule is None:
            different[path.name] = "we refuse"
            continue
        assert (rule.id, rule.info.title) == (str(parsed.id), parsed.title)
        assert rule.info.level == (parsed.level.name.lower() if parsed.level else "medium")
        if ours(rule, rule.condition) != formula:
            different[path.name] = "another formula"
    assert different.keys() == DIFFERENT, different
