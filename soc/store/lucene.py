"""Lucene query-string syntax -> the typed tree of `soc.store.query`, by way of luqum.

luqum knows the syntax and nothing of fields. Here every literal gets the type of its field, and
what cannot mean the same on every store is refused with the column and a way out.
"""

import re
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, NoReturn

from luqum import tree
from luqum.exceptions import ParseError
from luqum.thread import parse as luqum_parse

from soc.errors import UsageError
from soc.store import query as q
from soc.store.dates import Interval, interval
from soc.store.regex import RegexError, check
from soc.store.values import address, boolean, fold, kind, network, number, searchable, words

MAX_LENGTH: Final = 20_000
MAX_DEPTH: Final = 32
MAX_FIELD: Final = 256
LAST_ADDRESS: Final = (1 << 128) - 1
_POSITION: Final = re.compile(r"at position (\d+)")
_PARTS: Final = re.compile(r"\\(.)|([*?])|([^\\*?]+)|\\$", re.DOTALL)
_ESCAPE: Final = re.compile(r"\\(.)", re.DOTALL)
_QUOTE: Final = 'put the value in quotes: field:"fe80::1", file.path:"/var/log/x"'


def read(text: str, now: datetime | None) -> q.Node:
    """Return the tree of a query text; raise UsageError."""
    if len(text) > MAX_LENGTH:
        raise UsageError(
            f"a query has at most {MAX_LENGTH} characters, this one {len(text)}",
            where=f"column {MAX_LENGTH + 1}",
            hint="ask in parts",
        )
    if not text.strip():
        return q.All()
    try:
        text.encode()
    except UnicodeEncodeError as error:
        place = f"column {error.start + 1}"
        raise UsageError("the query is not valid text", where=place, hint="use UTF-8") from None
    try:
        found = luqum_parse(text)
    except ParseError as error:
        _unreadable(text, str(error))
    return _Reader(text, now).node(found, None, 0)


def _unreadable(text: str, message: str) -> NoReturn:
    place = _POSITION.search(message)
    if place is None:
        raise UsageError(
            "the query ends too early",
            where=f"column {len(text) + 1}",
            hint="close every parenthesis and quote; a value follows each field:",
        )
    at = int(place[1])
    char = text[at : at + 1]
    hint = {":": _QUOTE, "/": _QUOTE, '"': "close the quote", "-": 'write >"-5" in quotes'}
    raise UsageError(
        f"unexpected {char!r} in the query",
        where=f"column {at + 1}",
        hint=hint.get(char, "put special characters in quotes or a backslash before them"),
    )


@dataclass(frozen=True, slots=True)
class _Bound:
    item: Any
    text: str
    included: bool


class _Reader:
    """One translation; `field` is the field that unnamed values belong to."""

    def __init__(self, text: str, now: datetime | None) -> None:
        self.text = text
        self.now = now

    def refuse(self, item: Any, message: str, hint: str) -> NoReturn:  # noqa: ANN401
        raise UsageError(message, where=f"column {(item.pos or 0) + 1}", hint=hint)

    def node(self, item: Any, field: str | None, depth: int) -> q.Node:  # noqa: ANN401
        """Return the tree below a luqum item."""
        if depth > MAX_DEPTH:
            self.refuse(item, f"the query nests deeper than {MAX_DEPTH}", "write it flatter")
        match item:
            case tree.BaseGroup():
                return self.node(item.expr, field, depth + 1)
            case tree.AndOperation() | tree.UnknownOperation() | tree.OrOperation():
                return self.operation(item, field, depth)
            case tree.Not() | tree.Prohibit():
                return q.Not(self.node(item.a, field, depth + 1))
            case tree.Plus():
                return self.node(item.a, field, depth + 1)
            case tree.SearchField():
                return self.named(item, field, depth + 1)
            case tree.Boost():
                self.refuse(item, "^ (boost) is not supported", "results are ordered by time")
            case tree.BaseApprox():
                self.refuse(item, "~ (fuzzy, proximity) is not supported", "use wildcards * and ?")
        return self.value(item, field)

    def operation(self, item: Any, field: str | None, depth: int) -> q.Node:  # noqa: ANN401
        either = isinstance(item, tree.OrOperation)
        nodes: list[q.Node] = []
        for part in item.operands:
            mixed = tree.UnknownOperation if either else tree.OrOperation
            if isinstance(part, mixed) and not isinstance(item, tree.AndOperation):
                self.refuse(part, "OR beside a space is ambiguous", "a AND (b OR c)")
            if either and isinstance(part, tree.Plus):
                self.refuse(part, "+ inside OR is ambiguous", "use AND, OR, NOT and parentheses")
            found = self.node(part, field, depth)
            same = q.Or if either else q.And
            nodes.extend(found.nodes if isinstance(found, same) else [found])
        return q.Or(tuple(nodes)) if either else q.And(tuple(nodes))

    def named(self, item: Any, outer: str | None, depth: int) -> q.Node:  # noqa: ANN401
        name = _ESCAPE.sub(r"\1", item.name)
        if outer is not None:
            self.refuse(item, f"a field inside {outer}:", _QUOTE)
        if name in ("*", "_exists_"):
            return self.existing(item, name)
        if any(part in item.name for part in "*?"):
            self.refuse(item, "wildcards in field names are not supported", "name the fields")
        self.known(item, name)
        expression = item.expr
        if (
            isinstance(expression, tree.Prohibit)
            and isinstance(expression.a, tree.Word)
            and kind(name) == "number"
        ):
            return self.number(expression, name, "-" + str(expression.a))
        if isinstance(expression, tree.Not | tree.Prohibit | tree.Plus):
            self.refuse(expression, "an operator after the colon", f'-{name}:x or {name}:"-x"')
        return self.node(expression, name, depth)

    def existing(self, item: Any, name: str) -> q.Node:  # noqa: ANN401
        value = item.expr
        if isinstance(value, tree.Word | tree.Phrase):
            text = _ESCAPE.sub(r"\1", value.value.strip('"'))
            if name == "*" and text == "*":
                return q.All()
            if name == "_exists_" and "*" not in text:
                self.known(value, text)
                return q.Exists(text)
        return self.refuse(item, f"{name}: needs the name of a field", "_exists_:user.name")

    def known(self, item: Any, name: str) -> None:  # noqa: ANN401
        if len(name) > MAX_FIELD:
            self.refuse(item, f"a field's name has at most {MAX_FIELD} characters", "shorten it")
        if not searchable(name):
            hint = "search the parsed fields, or message:word"
            self.refuse(item, f"{name} is stored but not searchable", hint)

    def value(self, item: Any, field: str | None) -> q.Node:  # noqa: ANN401
        """Return the node of a literal."""
        match item:
            case tree.Phrase():
                return self.literal(item, field, _ESCAPE.sub(r"\1", item.value[1:-1]))
            case tree.Word():
                return self.word(item, field)
            case tree.Regex():
                return self.regex(item, field)
        if field is None:
            self.refuse(item, "a range needs a field", "destination.port:[1 TO 1024]")
        match item:
            case tree.Range():
                low = self.bound(item.low, item.include_low)
                return self.range(field, low, self.bound(item.high, item.include_high))
            case tree.From():
                return self.range(field, self.bound(item.a, item.include), None)
            case tree.To():
                return self.range(field, None, self.bound(item.a, item.include))
        return self.refuse(item, f"{type(item).__name__} is not supported", "see docs/query.md")

    def word(self, item: Any, field: str | None) -> q.Node:  # noqa: ANN401
        if item.value.startswith("!") or item.value in ("&&", "||"):
            self.refuse(item, "! && || are not operators here", "NOT, AND, OR, or quotes")
        pattern = _pattern(item.value)
        if pattern == (q.Wild.ANY,):
            return q.All() if field is None else q.Exists(field)
        if not any(isinstance(part, q.Wild) for part in pattern):
            return self.literal(item, field, _ESCAPE.sub(r"\1", item.value))
        if field is not None and kind(field) not in ("keyword", "text"):
            hint = "source.ip:10.0.0.0/8" if kind(field) == "ip" else f"{field}:[1 TO 9]"
            self.refuse(item, f"{field} holds no text: * and ? do not apply", hint)
        if field is None or kind(field) == "text":
            literal = "".join(part for part in pattern if isinstance(part, str))
            if literal and words(literal) != [literal]:
                self.refuse(item, "a wildcard stands for one word here", '"a phrase" of words')
        return q.Wildcard(field, pattern)

    def regex(self, item: Any, field: str | None) -> q.Node:  # noqa: ANN401
        if field is None:
            self.refuse(item, "a regular expression needs a field", _QUOTE)
        end = item.pos + item.size
        if self.text[end : end + 1].strip(")"):
            self.refuse(item, "text after /regex/", _QUOTE)
        if kind(field) not in ("keyword", "text"):
            self.refuse(item, f"{field} holds no text", "use a range or a CIDR block")
        pattern = item.value[1:-1]
        try:
            check(pattern)
        except RegexError as error:
            self.refuse(item, f"/{pattern}/: {error}", error.hint)
        return q.Regex(field, pattern)

    def literal(self, item: Any, field: str | None, text: str) -> q.Node:  # noqa: ANN401
        """Return equality with a text, read by the field's type."""
        if field is None or kind(field) == "text":
            found = tuple(words(text))
            if not found:
                self.refuse(item, "no word to look for", "name a field: user.name:value")
            return q.Words(field, found)
        match kind(field):
            case "number":
                return self.number(item, field, text)
            case "boolean":
                if (truth := boolean(fold(text))) is None:
                    self.refuse(item, f"{field} is true or false", f"{field}:true")
                return q.Equals(field, truth)
            case "ip":
                found_at = address(text)
                block = network(text) if found_at is None else (found_at, found_at)
                if block is None:
                    self.refuse(item, f"{field} holds addresses", f"{field}:10.0.0.0/8")
                return q.Addresses(field, *block)
            case "date":
                return q.Times(field, *self.date(item, field, text))
            case "object":
                self.refuse(item, f"{field} is an object", f"name a field below it: {field}.name")
        return q.Equals(field, fold(text))

    def number(self, item: Any, field: str, text: str) -> q.Equals:  # noqa: ANN401
        found = number(text)
        if found is None:
            self.refuse(item, f"{field} holds numbers", f"{field}:22 or {field}:[1 TO 9]")
        return q.Equals(field, found)

    def date(self, item: Any, field: str, text: str) -> Interval:  # noqa: ANN401
        found = interval(text, self.now)
        if found is None:
            hint = f'{field}:"2026-11-22T08:15:30Z", {field}:[2026-11-22 TO *], {field}:>now-2h'
            self.refuse(item, f"{field} holds dates", hint)
        return found

    def bound(self, item: Any, included: bool) -> "_Bound | None":  # noqa: ANN401
        """Return a range's bound, None for `*`."""
        if isinstance(item, tree.Prohibit):
            return _Bound(item, "-" + _ESCAPE.sub(r"\1", item.a.value), included)
        if isinstance(item, tree.Phrase):
            return _Bound(item, _ESCAPE.sub(r"\1", item.value[1:-1]), included)
        if item.value == "*":
            return None
        if any(isinstance(part, q.Wild) for part in _pattern(item.value)):
            self.refuse(item, "no wildcards inside a range", "[a TO *] is open")
        return _Bound(item, _ESCAPE.sub(r"\1", item.value), included)

    def range(self, field: str, low: "_Bound | None", high: "_Bound | None") -> q.Node:
        known = low or high
        if known is None:
            return q.Exists(field)
        with_low, with_high = low is None or low.included, high is None or high.included
        match kind(field):
            case "number":
                ends = [
                    self.number(b.item, field, b.text).value if b else None for b in (low, high)
                ]
                return q.Range(field, ends[0], ends[1], with_low, with_high)
            case "keyword":
                texts = [fold(b.text) if b else None for b in (low, high)]
                return q.Range(field, texts[0], texts[1], with_low, with_high)
            case "date":
                start = self.date(low.item, field, low.text)[not with_low] if low else None
                end = self.date(high.item, field, high.text)[with_high] if high else None
                return q.Times(field, start, end)
            case "ip":
                lowest = self.ip(field, low) + (not with_low) if low else 0
                highest = self.ip(field, high) - (not with_high) if high else LAST_ADDRESS
                return q.Addresses(field, lowest, highest)
        hint = "ranges are for numbers, dates, addresses and keywords"
        return self.refuse(known.item, f"{field} has no order", hint)

    def ip(self, field: str, bound: "_Bound") -> int:
        found = address(bound.text)
        if found is None:
            self.refuse(bound.item, f"{field} holds addresses", f"{field}:[10.0.0.1 TO 10.0.0.9]")
        return found


def _pattern(value: str) -> q.Pattern:
    """Return a word with wildcards as folded literals and wildcards; escapes are resolved."""
    parts: list[str | q.Wild] = []
    for escaped, wild, plain in _PARTS.findall(value):
        if wild:
            if not (parts and wild == "*" and parts[-1] is q.Wild.ANY):
                parts.append(q.Wild(wild))
        elif parts and isinstance(parts[-1], str):
            parts[-1] += fold(escaped or plain)
        else:
            parts.append(fold(escaped or plain))
    return tuple(parts)
