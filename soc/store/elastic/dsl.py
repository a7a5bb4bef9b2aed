"""The query tree -> Elasticsearch's query DSL.

What the server answers is decided again on the document wherever it could differ from
`soc.store.predicate`. So a condition is compiled twice over where it is not exact: `over` finds
too much (for what must match), `under` too little (for what stands below a NOT). Documents whose
index cannot be trusted (`odd`, see `soc.store.elastic.wire`) are candidates of every query.
A field that indices of version 1 do not map (`late`) is looked for in both places.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from ipaddress import ip_address
from math import ceil, floor, isinf
from typing import Any, Final

from soc.model.time import iso
from soc.store import query as q
from soc.store.elastic.fields import LONGEST_WORD, WORDY, late, leaves
from soc.store.elastic.regexp import translated
from soc.store.elastic.wire import ANY, UNMAPPED
from soc.store.lucene import LAST_ADDRESS
from soc.store.predicate import Predicate, compile
from soc.store.values import UNSEARCHABLE, kind, source

Dsl = dict[str, Any]
NONE: Final[Dsl] = {"match_none": {}}
EVERY: Final[Dsl] = {"match_all": {}}
MAX_DEPTH: Final = 12
"""Of ours; each costs the server two of its 30 levels."""
_INT64: Final = 1 << 63
_MILLISECOND: Final = timedelta(milliseconds=1)


@dataclass(frozen=True, slots=True)
class Plan:
    """How a query is asked: `native` is exact unless `test` must decide; `odd` must always."""

    native: Dsl
    odd: Dsl
    exact: bool
    test: Predicate

    @property
    def candidates(self) -> Dsl:
        """Return the condition that every match fulfils."""
        return self.native if self.odd == NONE else either([self.native, self.odd])


def plan(
    query: q.Node, since: datetime | None, until: datetime | None, *, patterns: bool = True
) -> Plan:
    """Return the plan for a query over `since` <= @timestamp < `until`.

    `patterns`: regular expressions go to the server; without it they are decided here.
    """
    bounded = since is not None or until is not None
    node = q.And((query, q.Times("@timestamp", since, until))) if bounded else query
    compiler = _Compiler(patterns)
    native = compiler.over(node, 0)
    return Plan(native, compiler.odd(), compiler.exact, compile(node))


def every(parts: Sequence[Dsl]) -> Dsl:
    """Return the condition that all of these hold."""
    return parts[0] if len(parts) == 1 else {"bool": {"filter": list(parts)}}


def either(parts: Sequence[Dsl]) -> Dsl:
    """Return the condition that one of these holds."""
    if len(parts) == 1:
        return parts[0]
    return {"bool": {"should": list(parts), "minimum_should_match": 1}}


def no(part: Dsl) -> Dsl:
    """Return the condition that this does not hold."""
    return {"bool": {"must_not": [part]}}


@dataclass
class _Compiler:
    patterns: bool
    exact: bool = True
    fields: set[str] = field(default_factory=set)
    marks: set[str] = field(default_factory=set)

    def odd(self) -> Dsl:
        """Return the condition on documents whose index cannot be trusted for this query."""
        marks, fields = sorted(self.marks | self.fields), sorted(self.fields)
        parts: list[Dsl] = [{"terms": {"soc.index.odd": marks}}] if marks else []
        if fields:
            parts.append({"terms": {"_ignored": fields}})
        return either(parts) if parts else NONE

    def over(self, node: q.Node, depth: int) -> Dsl:
        return self.node(node, depth, over=True)

    def node(self, node: q.Node, depth: int, *, over: bool) -> Dsl:
        """Return a condition that holds at least (`over`) or at most where the node does."""
        if depth > MAX_DEPTH and isinstance(node, q.And | q.Or | q.Not):
            return self.inexact(EVERY, over)
        match node:
            case q.All():
                return EVERY
            case q.Not(q.Not(inner)):
                return self.node(inner, depth, over=over)
            case q.Not(inner):
                return no(self.node(inner, depth + 1, over=not over))
            case q.And():
                parts = _flat(node, q.And)
                return every([self.node(part, depth + 1, over=over) for part in parts])
            case q.Or():
                return either(self.alternatives(_flat(node, q.Or), depth + 1, over=over))
            case q.Exists(name):
                return self.exists(source(name), over)
            case q.Words(name, words):
                return self.words(name, words, over)
            case q.Wildcard(name, pattern):
                return self.pattern(name, "wildcard", _wildcard(pattern), over)
            case q.Regex(name, pattern):
                made = translated(pattern) if self.patterns else None
                return self.pattern(name, "regexp", made, over)
        return self.value(node, over)

    def inexact(self, dsl: Dsl, over: bool) -> Dsl:
        """Return a condition that finds too much, or the one that is on the safe side below NOT."""
        self.exact = False
        return dsl if over else NONE

    def alternatives(self, parts: Sequence[q.Node], depth: int, *, over: bool) -> list[Dsl]:
        """Return the conditions of an OR; many values of one field become one."""
        found, terms = [], dict[str, list[Any]]()
        for made in (one for part in parts for one in _opened(self.node(part, depth, over=over))):
            if list(made) == ["term"]:
                ((name, value),) = made["term"].items()
                terms.setdefault(name, []).append(value)
            else:
                found.append(made)
        return found + [{"terms": {name: values}} for name, values in terms.items()]

    def exists(self, name: str, over: bool) -> Dsl:
        if any(hidden.startswith(name + ".") for hidden in UNSEARCHABLE) and name != "event":
            return self.inexact(EVERY, over)  # what lies below is not in the index
        self.marks.add(UNMAPPED)
        return either(
            [
                {"exists": {"field": name}},
                {"term": {"soc.index.names": name}},
                {"term": {"_ignored": name}},
                {"prefix": {"_ignored": name + "."}},
            ]
        )

    def words(self, name: str | None, words: tuple[str, ...], over: bool) -> Dsl:
        text = " ".join(words)
        if name is None:
            self.marks.add(ANY)
            return either([{"match_phrase": {one: text}} for one in WORDY])
        if source(name) not in leaves():
            return self.unmapped(name, over)
        self.known(name)
        return {"match_phrase": {name: text}}

    def known(self, name: str) -> None:
        self.fields |= {name, source(name)}

    def unmapped(self, name: str, over: bool) -> Dsl:
        self.marks |= {UNMAPPED, source(name)}
        return self.inexact({"term": {"soc.index.names": source(name)}}, over)

    def pattern(self, name: str | None, form: str, made: str | None, over: bool) -> Dsl:
        """Return a wildcard or regular expression; `made` is None where the server knows none."""
        if name is None:
            self.marks.add(ANY)
            return either([{form: {one: {"value": made}}} for one in WORDY])
        if source(name) in leaves():
            self.known(name)
            if made is None:
                mapped = self.inexact({"exists": {"field": source(name)}}, over)
            else:
                mapped = {form: {name: _options(form, made)}}
            if name not in late():
                return mapped
            return either([mapped, self.token_pattern(name, form, made, over)])
        return self.token_pattern(name, form, made, over)

    def token_pattern(self, name: str, form: str, made: str | None, over: bool) -> Dsl:
        if made is None or kind(name) == "text":
            return self.unmapped(name, over)
        self.marks |= {UNMAPPED, name}
        start = _literal(form, f"{name}=")
        body = f"({made})" if form == "regexp" else made
        return {form: {"soc.index.tokens": _options(form, start + body)}}

    def value(self, node: q.Equals | q.Range | q.Addresses | q.Times, over: bool) -> Dsl:
        if source(node.field) not in leaves():
            return self.token(node, over)
        mapped = self.mapped(node, over)
        return either([mapped, self.token(node, over)]) if node.field in late() else mapped

    def mapped(self, node: q.Equals | q.Range | q.Addresses | q.Times, over: bool) -> Dsl:
        name = node.field
        self.known(name)
        match node:
            case q.Times(_, low, high):
                return self.times(name, low, high, over)
            case q.Addresses(_, low_, high_):
                return _addresses(name, low_, high_)
            case q.Range() if kind(name) == "number":
                return self.numbers(node, over)
            case q.Range():
                return _range(name, node.low, node.high, node.with_low, node.with_high)
        if kind(name) == "number":
            same = q.Range(name, node.value, node.value)
            return self.numbers(same, over)
        return {"term": {name: node.value}}

    def token(self, node: q.Equals | q.Range | q.Addresses | q.Times, over: bool) -> Dsl:
        name = source(node.field)
        if kind(name) != "keyword":
            return self.unmapped(name, over)
        self.marks |= {UNMAPPED, name}
        if isinstance(node, q.Equals):
            return {"term": {"soc.index.tokens": f"{name}={node.value}"[:LONGEST_WORD]}}
        if not isinstance(node, q.Range):
            return self.unmapped(name, over)
        low = f"{name}={'' if node.low is None else node.low}"
        high = f"{name}>" if node.high is None else f"{name}={node.high}"
        with_high = node.with_high and node.high is not None
        return _range("soc.index.tokens", low, high, node.with_low, with_high)

    def times(self, name: str, low: datetime | None, high: datetime | None, over: bool) -> Dsl:
        """Return a range of dates, which the server keeps in milliseconds."""
        whole = all(end is None or end.microsecond % 1000 == 0 for end in (low, high))
        if not whole:
            self.exact = False
        bounds: dict[str, str] = {"format": "strict_date_optional_time"}
        if low is not None:
            bounds["gte"] = _millis(low) if over or whole else _millis(low + _MILLISECOND)
        if high is not None:
            bounds["lt" if whole or not over else "lte"] = _millis(high)
        return {"range": {name: bounds}}

    def numbers(self, node: q.Range, over: bool) -> Dsl:
        low, high = node.low, node.high
        if leaves()[node.field] == "double":
            try:
                ends = [None if end is None else float(end) for end in (low, high)]
            except OverflowError:
                return self.inexact({"exists": {"field": node.field}}, over)
            if ends[0] != low or ends[1] != high or any(end and isinf(end) for end in ends):
                return self.inexact({"exists": {"field": node.field}}, over)
            return _range(node.field, ends[0], ends[1], node.with_low, node.with_high)
        first = _whole(low, 1, node.with_low)
        last = _whole(high, -1, node.with_high)
        first = -_INT64 if first is None else max(first, -_INT64)
        last = _INT64 - 1 if last is None else min(last, _INT64 - 1)
        if first > last:
            return NONE
        if first == last:
            return {"term": {node.field: first}}
        return _range(node.field, first, last, True, True)


def _opened(made: Dsl) -> list[Dsl]:
    """Return the parts of an OR, any other condition by itself."""
    inner = made.get("bool", {})
    found: list[Dsl] = inner.get("should", [made])
    return found


def _flat(node: q.And | q.Or, form: type[q.And] | type[q.Or]) -> list[q.Node]:
    """Return the parts of an operation, those of the same operation inside it opened."""
    found: list[q.Node] = []
    stack: list[q.Node] = [node]
    while stack:
        one = stack.pop()
        if isinstance(one, form):
            stack.extend(reversed(one.nodes))
        else:
            found.append(one)
    return found


def _whole(bound: Any, step: int, included: bool) -> int | None:  # noqa: ANN401
    """Return a bound of whole numbers that is itself included, None for none."""
    if bound is None:
        return None
    if isinstance(bound, float):
        if isinf(bound):
            return _INT64 * (2 if bound > 0 else -2)
        return ceil(bound) if step > 0 else floor(bound)
    return int(bound) if included else int(bound) + step


def _range(name: str, low: Any, high: Any, with_low: bool, with_high: bool) -> Dsl:  # noqa: ANN401
    bounds = {}
    if low is not None:
        bounds["gte" if with_low else "gt"] = low
    if high is not None:
        bounds["lte" if with_high else "lt"] = high
    return {"range": {name: bounds}}


def _addresses(name: str, low: int, high: int) -> Dsl:
    if low > high or low > LAST_ADDRESS or high < 0:
        return NONE
    if low == high:
        return {"term": {name: _address(low)}}
    return _range(name, _address(max(low, 0)), _address(min(high, LAST_ADDRESS)), True, True)


def _address(at: int) -> str:
    return str(ip_address(at.to_bytes(16)))


def _millis(moment: datetime) -> str:
    return iso(moment)[:-4] + "Z"


def _wildcard(pattern: q.Pattern) -> str:
    return "".join(
        part.value if isinstance(part, q.Wild) else _literal("wildcard", part) for part in pattern
    )


def _literal(form: str, text: str) -> str:
    signs = "*?\\" if form == "wildcard" else '.?+*|{}[]()"\\#@&<>~^$-'
    return "".join("\\" + one if one in signs else one for one in text)


def _options(form: str, value: str) -> Dsl:
    return {"value": value, "flags": "NONE"} if form == "regexp" else {"value": value}
