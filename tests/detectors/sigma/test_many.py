"""Long lists of patterns are searched together: what fits is the same as one by one."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from detectors.sigma import endings, evaluate, many, sequences
from detectors.sigma.evaluate import holds
from detectors.sigma.patterns import Null, Number, Pattern, Regex, Text
from detectors.sigma.reference import Reference
from detectors.sigma.text import DASHES, Wild, joined
from detectors.sigma.values import Field, View
from tests.detectors.sigma.sigma_rules import load_text, pipelines, rule

CHARS = "abAß\ud800\0*?"
TEXTS = st.text(CHARS, max_size=5)
TOKENS = st.lists(st.sampled_from(["a", "b", "ab", "A", "ß", "é", "-", "/", *Wild]), max_size=9)
PATTERNS = st.one_of(
    st.builds(
        lambda source, cased: Text(source, Text.of(source).tokens, cased), TEXTS, st.booleans()
    ),
    st.builds(
        lambda source, cased: Text(source, Text.of(f"*{source}*").tokens, cased),
        TEXTS,
        st.booleans(),
    ),
    st.builds(lambda tokens, cased: Text("", joined(tokens), cased), TOKENS, st.booleans()),
    st.sampled_from([Null(), Regex("a+b"), Number("1", 1)]),
)
MEANT = {
    Wild.ANY: st.text("ab-", max_size=2),
    Wild.ONE: st.sampled_from("aßé\0"),
    Wild.DASH: st.sampled_from(DASHES),
}
BOUNDS = st.fixed_dictionaries(
    {
        "_CHUNK": st.sampled_from([1, 2, 4]),
        "_LONGEST": st.sampled_from([1, 2, 4]),
        "_FEW": st.sampled_from([1, 4]),
        "_SEARCHED": st.sampled_from([1, 5, 1_000]),
    }
)


def bound(patch: pytest.MonkeyPatch, bounds: dict[str, int], deepest: int) -> None:
    for name, size in bounds.items():
        patch.setattr(sequences, name, size)
    patch.setattr(endings, "DEEPEST", deepest)


@st.composite
def values(draw: st.DrawFn, patterns: Sequence[Pattern]) -> str:
    """Return any text, or one that fits one of the patterns unless something more is in it."""
    texts = [one for one in patterns if isinstance(one, Text)]
    if not texts or draw(st.integers(0, 3)) == 0:
        return draw(TEXTS)
    tokens = list(draw(st.sampled_from(texts)).tokens)
    tokens.insert(draw(st.integers(0, len(tokens))), draw(st.sampled_from(["", "a", "é-"])))
    return "".join(one if isinstance(one, str) else draw(MEANT[one]) for one in tokens)


def with_values(patterns: tuple[Pattern, ...]) -> st.SearchStrategy[tuple[Any, Any]]:
    one = values(patterns)
    several = st.lists(st.one_of(one, st.just(1)), max_size=4)
    return st.tuples(st.just(patterns), st.one_of(one, one, several, st.none()))


CASES = st.lists(PATTERNS, max_size=12).map(tuple).flatmap(with_values)


def fitting(patterns: Sequence[Pattern], field: Field) -> list[Pattern]:
    view = View({})
    return [one for one in patterns if holds(one, field, view, lambda name: (name,))]


SOME = tuple(map(Text.of, ["*a*b*", "*?*", "*b*a*", "*b*", "b*b"]))
OVERLAPPING = tuple(map(Text.of, ["*aa*c*", "*xa*aa*c*"]))


@settings(max_examples=300)
@given(CASES, BOUNDS, st.sampled_from([1, 2, 4]))
@example((SOME, "ab"), {}, 1)
@example((OVERLAPPING, "xaaac"), {}, 4)
def test_all_that_fit_are_candidates_in_their_order(
    case: tuple[tuple[Pattern, ...], object], bounds: dict[str, int], deepest: int
) -> None:
    patterns, raw = case
    field = Field(raw)
    with pytest.MonkeyPatch.context() as patch:
        bound(patch, bounds, deepest)
        found = list(many.candidates(patterns, field))
    rest = iter(patterns)
    assert all(any(one is other for other in rest) for one in found)
    assert fitting(found, field) == fitting(patterns, field)


@settings(max_examples=300)
@given(CASES, BOUNDS, st.sampled_from([1, 2, 4]))
def test_whether_any_fits_is_the_same(
    case: tuple[tuple[Pattern, ...], object], bounds: dict[str, int], deepest: int
) -> None:
    patterns, raw = case
    text = str(raw)
    globs = tuple(one.glob for one in patterns if isinstance(one, Text))
    with pytest.MonkeyPatch.context() as patch:
        bound(patch, bounds, deepest)
        fits = many.any_of(globs)(text)
        many.any_of.cache_clear()
    assert fits == any(glob.matches(text) for glob in globs)


def test_only_texts_in_their_order_make_a_candidate() -> None:
    patterns = tuple(Text.of(f"*z*word {n} x*") for n in range(1_000))
    words = " ".join(f"word {n} x" for n in range(1_000))
    assert list(many.candidates(patterns, Field(f"{words} z"))) == []
    assert list(many.candidates(patterns, Field(f"z {words}"))) == list(patterns)
    assert list(many.candidates(patterns, Field("word 3 x z word 7 x"))) == [patterns[7]]


def test_what_is_nowhere_is_no_candidate() -> None:
    patterns = tuple(Text.of(f"*word {n} x*") for n in range(1_000))
    assert list(many.candidates(patterns, Field("no word of it" * 10_000))) == []
    text = "a" * 300_000 + "WORD 777 X" + "b" * 300_000
    assert list(many.candidates(patterns, Field(text))) == [patterns[777]]


def test_only_what_stands_around_a_text_makes_a_candidate() -> None:
    words = [f"word{n}" for n in range(1_000)]
    patterns = tuple(Text.of(f"*é?{word}??x*?y*") for word in words)
    text = "".join(f"é{word}-éé{word}--x" for word in words)
    assert list(many.candidates(patterns, Field(f"{text}y"))) == list(patterns[:-1])
    assert list(many.candidates(patterns, Field(f"{text}-y"))) == list(patterns)
    assert list(many.candidates(patterns, Field("éword7--x-y" * 9))) == []


def test_what_is_tried_too_often_is_a_candidate() -> None:
    """Its text stands everywhere: to search for it then takes no longer than to go on trying."""
    patterns = tuple(Text.of(f"*ab{'?' * n}q*") for n in range(1, 101))
    assert list(many.candidates(patterns, Field("ab"))) == []
    assert list(many.candidates(patterns, Field("ab" * 10_000))) == list(patterns)


@pytest.mark.parametrize("event", [{"F": "AxB"}, {"F": ["xx", "axxb"]}, {"F": "c"}, {"G": 1}])
def test_a_long_list_gives_the_same_verdict_and_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, event: dict[str, object]
) -> None:
    values = "\n".join(f"  - 'a*{n}b'" for n in ["q", "", "x", "xx", "r"])
    texts = [
        rule(f"s:\n  F{how}:\n{values}\ncondition: {condition}", number=number)
        for number, (how, condition) in enumerate(
            [("", "s"), ("", "not s"), ("|neq", "s"), ("|contains", "s"), ("|cased", "s")], 1
        )
    ]
    report = load_text(tmp_path, *texts)
    assert report.rejected == ()
    whole = {"event.dataset": "test", "@timestamp": "2026-11-22T00:00:00Z", **event}
    told = []
    for number in (many.MANY, 2):
        monkeypatch.setattr(evaluate, "MANY", number)
        reference = Reference(report.rules, pipelines(tmp_path))
        told.append([(f.rule.id, f.reason.as_dict()) for f in reference.evaluate(whole)])
        told[-1] += [("", reference.explain(one, whole).as_dict()) for one in report.rules]
        assert not reference.errors
    assert told[0] == told[1]
