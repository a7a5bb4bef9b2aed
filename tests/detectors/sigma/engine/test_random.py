"""engine == reference on rules and events that Hypothesis makes."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from detectors.sigma.engine import plan
from detectors.sigma.load import load
from detectors.sigma.pipeline import Pipelines
from tests.detectors.sigma.engine.same import assert_same

PIPELINE = """\
title: Test
prefix: p.
fields: {B: [b.one, b.two]}
logsources:
  - logsource: {product: test}
    events: [{kind: t*}]
  - logsource: {product: test, service: other}
    events: [{kind: ["t1", "u"]}]
    fields: {A: [a2]}
"""
FIELDS = ("A", "B", "C", "L.x", "kind")
NAMES = ("A", "p.A", "a2", "b.one", "b.two", "C", "p.C", "L", "L.x", "kind", "message", "p")
PIECES = ("a", "A", "ß", "ss", "K", "\u212a", "\\", "-", "/", ".", "1", "23", " ", "\x02", "é", '"')
piece = st.sampled_from(PIECES)
text = st.lists(piece, max_size=4).map("".join)
pattern = st.lists(st.one_of(piece, st.sampled_from("*?")), min_size=1, max_size=4).map("".join)
number = st.sampled_from((0, 1, 23, 1.0, 2.5))
regex = st.sampled_from(
    ("a+", "[aA]b?", "(a|ss)1", "(?i)k", "^$", "a.*1", "1{2}", r"\\", "x?", r"\d\d", "(ss|)", "é")
)
PLAIN = ("", "|contains", "|startswith", "|endswith", "|cased", "|contains|cased", "|neq")
values = st.lists(st.one_of(pattern, number), min_size=1, max_size=3)


@st.composite
def line(draw: st.DrawFn) -> tuple[str, Any]:
    field = draw(st.sampled_from(FIELDS))
    kind = draw(st.integers(0, 8))
    if kind == 0:
        return f"{field}|re", draw(regex)
    if kind == 1:
        return f"{field}|exists", draw(st.booleans())
    if kind == 2:
        return field, None
    if kind == 3:
        return f"{field}|fieldref", draw(st.sampled_from(FIELDS))
    if kind == 4:
        return f"{field}|contains|all", draw(values)
    if kind == 5:
        return f"{field}|windash|contains", draw(pattern)
    return field + draw(st.sampled_from(PLAIN)), draw(values)


selection = st.one_of(
    st.lists(line(), min_size=1, max_size=3).map(dict),
    st.lists(st.one_of(pattern, number), min_size=1, max_size=3),
)
CONDITIONS = (
    "a",
    "a and b",
    "a or b",
    "a and not b",
    "a or not b",
    "not a",
    "1 of them and c",
    "not (a and not b)",
    "all of them",
    "not 1 of them",
    "(a or c) and not (b and c)",
)
detection = st.tuples(selection, selection, selection, st.sampled_from(CONDITIONS))
scalar = st.one_of(text, number, st.booleans(), st.none(), st.sampled_from(("t1", "t2", "u", "x")))
value = st.one_of(
    scalar,
    scalar,
    st.lists(scalar, max_size=3),
    st.lists(st.fixed_dictionaries({"x": scalar}), max_size=2),
)
event = st.dictionaries(st.sampled_from(NAMES), value, max_size=7)


def written(folder: Path, detections: list[Any]) -> Path:
    for index, (a, b, c, condition) in enumerate(detections):
        body = {
            "title": f"Rule {index}",
            "id": f"00000000-0000-4000-8000-{index:012d}",
            "logsource": {"product": "test"},
            "detection": {"a": a, "b": b, "c": c, "condition": condition},
        }
        (folder / f"r{index}.yml").write_text(yaml.safe_dump(body, allow_unicode=True), "utf-8")
    return folder


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(detection, min_size=1, max_size=4), st.lists(event, min_size=1, max_size=8))
def test_the_engine_finds_what_the_reference_finds(
    tmp_path_factory: pytest.TempPathFactory, detections: list[Any], events: list[dict[str, Any]]
) -> None:
    folder = tmp_path_factory.mktemp("rules")
    rules = load([written(folder, detections)]).rules
    place = folder / "pipeline.txt"
    place.write_text(PIPELINE, "utf-8")
    pipelines = Pipelines.load([place])
    base = {"kind": "t1", "@timestamp": "2026-11-22T08:00:00.000000Z", "ecs.version": "9.5.0"}
    full = [base | {"event.id": str(n)} | found for n, found in enumerate(events)]
    original, plan.SAMPLE = plan.SAMPLE, 2  # type: ignore[misc]
    try:
        assert_same(rules, pipelines, full)
    finally:
        plan.SAMPLE = original  # type: ignore[misc]
