"""The reference evaluator: findings, reasons, and that hostile events cost no more than time."""

from pathlib import Path
from typing import Any

import pytest

from detectors.sigma import evaluate
from detectors.sigma import reference as module
from detectors.sigma.reference import Reference
from tests.detectors.sigma.sigma_rules import load_text, pipelines, rule

DETECTION = r"""
sel_img:
  - Image|endswith: ['\cmd.exe', '\sh.exe']
  - Name: cmd.exe
sel_cli:
  CommandLine|contains|all: [' /c ', whoami]
  Hashes: null
filter_main: {User: admin}
condition: all of sel_* and not 1 of filter_*
"""
EVENT = {
    "event.dataset": "test",
    "event.id": "000000000000-aa",
    "@timestamp": "2026-01-01T00:00:00.000000Z",
    "ecs.version": "9.5.0",
    "host.name": "web01",
    "source.ip": "192.0.2.7",
    "Image": r"C:\Windows\CMD.exe",
    "CommandLine": "cmd /c WHOAMI",
}


def reference(folder: Path, *texts: str) -> Reference:
    report = load_text(folder, *texts)
    assert report.rejected == ()
    return Reference(report.rules, pipelines(folder))


def leaves(node: dict[str, Any]) -> list[dict[str, Any]]:
    children = node.get("children", [])
    return [leaf for child in children for leaf in leaves(child)] if children else [node]


def test_a_finding_says_what_why_and_about_whom(tmp_path: Path) -> None:
    (finding,) = reference(tmp_path, rule(DETECTION)).evaluate(EVENT)
    assert finding.dedup_key == "00000000-0000-4000-8000-000000000001:000000000000-aa"
    assert finding.entities == ("host:web01", "ip:192.0.2.7")
    assert finding.event is EVENT
    reason = finding.reason.as_dict()
    assert reason["label"] == "all of sel_* and not 1 of filter_*"
    found = {(leaf.get("field"), leaf.get("value"), leaf.get("pattern")) for leaf in leaves(reason)}
    assert found == {
        ("Image", r"C:\Windows\CMD.exe", r"\cmd.exe"),
        ("CommandLine", "cmd /c WHOAMI", " /c "),
        ("CommandLine", "cmd /c WHOAMI", "whoami"),
        ("Hashes", None, "null"),
        (None, None, None),  # the filter, by name only
    }
    assert finding.as_document()["reason"] == reason


def test_the_reason_of_a_list_names_the_element(tmp_path: Path) -> None:
    engine = reference(tmp_path, rule("s: {F|contains: evil}\ncondition: s"))
    (finding,) = engine.evaluate({**EVENT, "F": ["good", "an Evil one"]})
    (leaf,) = leaves(finding.reason.as_dict())
    assert (leaf["value"], leaf["label"]) == ("an Evil one", "F|contains")


def test_the_reason_of_a_keyword_shows_where_it_was(tmp_path: Path) -> None:
    engine = reference(tmp_path, rule("keywords: [evil]\ncondition: keywords"))
    (finding,) = engine.evaluate({**EVENT, "message": "an Evil one"})
    (leaf,) = leaves(finding.reason.as_dict())
    assert (leaf["kind"], leaf["value"], leaf["pattern"]) == ("keyword", "an Evil one", "evil")


def test_explain_shows_what_failed(tmp_path: Path) -> None:
    engine = reference(tmp_path, rule(DETECTION))
    tree = engine.explain(engine.rules[0], {**EVENT, "User": "admin", "CommandLine": "cmd /c x"})
    assert not tree.matched
    found = {(leaf["label"], leaf["matched"]) for leaf in leaves(tree.as_dict())}
    assert ("Name", False) in found
    assert ("User", True) in found
    failed = [x for x in leaves(tree.as_dict()) if x.get("pattern") == "whoami"]
    assert [(x["value"], x["matched"]) for x in failed] == [("cmd /c x", False)]


def test_explain_says_when_the_log_source_is_another(tmp_path: Path) -> None:
    engine = reference(tmp_path, rule(DETECTION))
    tree = engine.explain(engine.rules[0], {**EVENT, "event.dataset": "other"})
    assert (tree.matched, "logsource test" in tree.label) == (False, True)


def test_long_values_are_cut_in_reasons_only(tmp_path: Path) -> None:
    engine = reference(tmp_path, rule("s: {F|endswith: evil}\ncondition: s"))
    (finding,) = engine.evaluate({**EVENT, "F": "x" * 1_000_000 + "evil"})
    assert len(str(finding.reason.as_dict())) < 5_000


def test_findings_come_in_the_order_of_the_rules(tmp_path: Path) -> None:
    texts = [rule("s: {event.dataset: test}\ncondition: s", number=n) for n in (3, 1, 2)]
    titles = [f.rule.title for f in reference(tmp_path, *texts).evaluate(EVENT)]
    assert titles == ["Rule 3", "Rule 1", "Rule 2"]


def test_a_rule_that_fails_costs_itself_and_is_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    texts = [rule("s: {event.dataset: test}\ncondition: s", number=n) for n in (1, 2)]
    engine = reference(tmp_path, *texts)
    original = evaluate.matches

    def broken(found: Any, *rest: Any, **more: Any) -> Any:
        if found.info.title == "Rule 1":
            raise ZeroDivisionError
        return original(found, *rest, **more)

    monkeypatch.setattr(module, "matches", broken)
    assert [f.rule.title for f in engine.evaluate(EVENT)] == ["Rule 2"]
    assert dict(engine.errors) == {engine.rules[0].id: 1}


HOSTILE = rule(r"""
a: {F|re: '^(a+)+$'}
b: {F|contains: ['aab', 'a?a*b', 'ab']}
c: {F|startswith: 'a*a*a*a*b'}
d: {F|fieldref|contains: G}
e: {F|gt: 5, T|hour: 3, Ip|cidr: 10.0.0.0/8}
f: [zzz, 9]
condition: 1 of them
""")
DEEP: Any = "x"
for _ in range(50_000):
    DEEP = [DEEP]


@pytest.mark.timeout(20)
@pytest.mark.parametrize(
    "value",
    [
        "a" * 1_000_000 + "!",
        "\0" * 1_000_000,
        "9" * 1_000_000,
        "0 " * 500_000,
        [f"v{n}" for n in range(100_000)],
        ["a" * 10] * 100_000,
        list(range(100_000)),
        {"x": {"y": ["z"] * 100_000}},
        DEEP,
        10**5000,
        float("nan"),
        float("inf"),
        "\ud800\udfff\ud800",
        b"bytes",
        [None, [], {}, [[]]],
    ],
    ids=lambda v: type(v).__name__,
)
def test_hostile_values_take_bounded_time_and_break_nothing(tmp_path: Path, value: Any) -> None:
    engine = reference(tmp_path, HOSTILE)
    for name in ("F", "G", "T", "Ip", "message"):
        engine.evaluate({**EVENT, name: value})
    engine.evaluate({**EVENT, "F": value, "G": value, "T": value, "Ip": value})
    engine.explain(engine.rules[0], {**EVENT, "F": value, "G": value})
    assert not engine.errors


def test_many_kinds_of_events_do_not_fill_the_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_MAX_ROUTES", 10)
    engine = reference(tmp_path, rule("s: {F: x}\ncondition: s"))
    for number in range(100):
        engine.evaluate({"event.dataset": f"d{number}", "F": "x"})
    assert len(engine._memo) <= 10
    assert engine.evaluate({"event.dataset": "test", "F": "x"})
