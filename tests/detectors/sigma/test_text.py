"""Wildcards, escapes and conditions against plain second opinions, on random input."""

import re
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from detectors.sigma.condition import parse as parse_condition
from detectors.sigma.encoding import base64offset
from detectors.sigma.patterns import Text
from detectors.sigma.rule import Condition
from detectors.sigma.text import Wild, glob, joined, parse

TOKENS = st.lists(st.sampled_from(["a", "b", "ab", "/", Wild.ANY, Wild.ONE, Wild.DASH]), max_size=8)
AS_REGEX = {Wild.ANY: r"[\s\S]*", Wild.ONE: r"[\s\S]", Wild.DASH: "[-/\u2013\u2014\u2015]"}


@given(TOKENS, st.text("ab-/\n", max_size=12))
def test_globs_match_as_regular_expressions_do(tokens: list[Any], text: str) -> None:
    expression = "".join(AS_REGEX[t] if isinstance(t, Wild) else re.escape(t) for t in tokens)
    found = glob(joined(tokens))
    assert found.matches(text) is (re.fullmatch(expression, text) is not None)
    assert not found.matches(text) or found.needle in text


@given(st.text("a\\*?", max_size=10))
def test_an_escaped_text_matches_itself_only(text: str) -> None:
    escaped = re.sub(r"([\\*?])", r"\\\1", text)
    assert parse(escaped) == ((text,) if text else ())


@given(st.text(max_size=8), st.text(max_size=8))
def test_folding_does_not_depend_on_neighbours(left: str, right: str) -> None:
    # What literal prefilters rest on: the fold of a part is a part of the fold.
    assert left.casefold() + right.casefold() == (left + right).casefold()


@given(st.binary(min_size=2, max_size=9), st.binary(max_size=5), st.binary(max_size=5))
def test_base64offset_finds_bytes_between_any_others(
    wanted: bytes, before: bytes, after: bytes
) -> None:
    from base64 import b64encode

    text = Text("x", (wanted.decode("latin-1"),), binary=True)
    coded = b64encode(before + wanted + after).decode()
    assert any("".join(map(str, form.tokens)) in coded for form in base64offset(text))


EXPRESSIONS = st.recursive(
    st.sampled_from(["a", "b", "c"]),
    lambda inner: st.one_of(
        st.builds("({} and {})".format, inner, inner),
        st.builds("({} or {})".format, inner, inner),
        st.builds("{} and {}".format, inner, inner),
        st.builds("{} or {}".format, inner, inner),
        st.builds("not {}".format, inner),
        st.builds("(not {})".format, inner),
    ),
    max_leaves=12,
)


def truth(node: Condition, values: dict[str, bool]) -> bool:
    results = [truth(child, values) for child in node.children]
    if node.kind == "selection":
        return values[node.label]
    if node.kind == "not":
        return not results[0]
    return all(results) if node.kind == "and" else any(results)


@given(EXPRESSIONS, st.fixed_dictionaries({n: st.booleans() for n in "abc"}))
def test_conditions_mean_what_they_mean_in_python(text: str, values: dict[str, bool]) -> None:
    assert truth(parse_condition(text, ("a", "b", "c")), values) is eval(text, {}, values)
