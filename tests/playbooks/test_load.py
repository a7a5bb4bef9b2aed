import json
from pathlib import Path

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from playbooks.extension import EXTENSION
from playbooks.load import LIBRARY, examine, examine_values, find, load, loads, shipped
from playbooks.model import Act, canonical
from soc.errors import ContentError, UsageError
from tests.data import archive
from tests.playbooks.kit import ADDRESS, EXTERNAL, SIMPLE, THREE, action, end, sid, workflow

LIKELY = (
    "type",
    "name",
    "commands",
    "agent",
    "action",
    "arguments",
    "target",
    "results",
    "undo",
    "lease",
    "approval",
    "inputs",
    "answers",
    "texts",
    "vi",
    "steps",
    "value",
    EXTENSION,
    "__address__",
    sid("action", 1),
    sid("end", 1),
)
TO_END = f"on_completion: {sid('end', 1)}"


def wrong(text: str) -> str:
    """Return everything that is said about a text, a line each, with its line number."""
    _, problems = examine(text, "try.yml")
    return "\n".join(map(str, problems))


def line(text: str, part: str) -> int:
    return next(n for n, found in enumerate(text.splitlines(), 1) if part in found)


@pytest.mark.parametrize("path", shipped(), ids=lambda path: path.stem)
def test_shipped_playbooks_load_and_speak_vietnamese(path: Path) -> None:
    playbook = load(path)
    name, description = playbook.named("vi")
    assert name != playbook.name
    assert description != playbook.description
    assert set(playbook.inputs) <= set(playbook.variables)


@pytest.mark.parametrize("text", [SIMPLE, THREE, None])
def test_compiled_json_is_valid_against_the_schemas_of_oasis(text: str | None) -> None:
    jsonschema = pytest.importorskip("jsonschema")
    referencing = pytest.importorskip("referencing")
    texts = [text] if text else [path.read_text("utf-8") for path in shipped()]
    folder = archive("cacao-schemas") / "schemas"
    schemas = [json.loads(path.read_text("utf-8")) for path in folder.rglob("*.json")]
    resources = [(s["$id"], referencing.Resource.from_contents(s)) for s in schemas]
    registry = referencing.Registry().with_resources(resources)
    root = next(schema for schema in schemas if schema["$id"].endswith("/playbook.json"))
    validator = jsonschema.Draft7Validator(root, registry=registry)
    for each in texts:
        document = orjson.loads(canonical(loads(each, "try.yml").document))
        assert [error.message for error in validator.iter_errors(document)] == []
        del document["workflow_start"]
        assert list(validator.iter_errors(document))


def test_yaml_and_its_canonical_json_are_the_same_playbook() -> None:
    first = loads(THREE, "a.yml")
    second = loads(canonical(first.document).decode(), "b.json")
    assert second.digest == first.digest
    assert second.steps == first.steps


def test_a_step_carries_what_the_extension_says() -> None:
    step = loads(SIMPLE, "try.yml").steps[sid("action", 1)]
    assert isinstance(step, Act)
    assert (step.action, step.seconds, step.tier) == ("nftables_block", 600, "medium")
    assert step.arguments == {"target": "__address__:value"}


def test_an_unknown_playbook_is_refused_with_the_known_names() -> None:
    with pytest.raises(UsageError, match="block-source-address"):
        find("block-everything")
    assert find("block-source-address").source == str(LIBRARY / "block-source-address.yml")


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("parallel", f"next_steps: [{sid('end', 1)}], on_completion: {sid('end', 1)}"),
        ("while-condition", f"condition: x, on_true: {sid('end', 1)}"),
        ("switch-condition", "switch: x, cases: {}"),
        ("playbook-action", f"playbook_id: {sid('playbook', 2)}"),
    ],
)
def test_steps_that_are_not_executed_are_refused_with_their_line(kind: str, body: str) -> None:
    text = workflow(f"{sid(kind, 2)}: {{type: {kind}, {body}}}\n", end(1))
    assert f"try.yml:{line(text, sid(kind, 2) + ': {')}" in wrong(text)
    assert "not executed" in wrong(text)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("name: Try", "name: Try\nname: Two", "stands here twice"),
        ("name: Try", "nmae: Try", "did you mean name?"),
        ("name: Try", "name: [Try]", "name must be text"),
        ("name: Try", "name: &a Try", "anchors"),
        ("name: Try", "name: !!python/none Try", "tags"),
        ("name: Try", 'name: "\\UFFFFFFFF"', "not YAML"),
        ("type: playbook", f"%YAML 1.{'9' * 5000}\n---\ntype: playbook", "not YAML"),
        ("name: Try", "name: Try\nrevoked: true", "revoked"),
        ("name: Try", "name: Try\nsignatures: [{}]", "signatures are not checked"),
        ("name: Try", "name: Try\nseverity: 101", "from 0 to 100"),
        ("spec_version: cacao-2.0", "spec_version: cacao-1.1", "CACAO 2.0"),
        ("type: soc-action", "type: bash, command: rm", "not executed"),
        ("action: nftables_block", "action: nftables_allow", "no action is called"),
        ("undo: revert", "undo: none", "can be taken back"),
        ("      undo: revert\n", "", "undo is missing"),
        ("lease: 600", "lease: 0", "1 to 604800 seconds"),
        ("lease: 600", "lease: 700000", "1 to 604800 seconds"),
        ("lease: 600", "lease: 600\n        tier: low", "cannot lower it"),
        ("lease: 600", "lease: 600\n        retry: 3", "'retry' is unknown"),
        ('target: "__address__:value"', 'target: "x __address__:value"', "one variable"),
        ('target: "__address__:value"', 'address: "__address__:value"', "needs the argument"),
        ("in_args: [__address__]", "in_args: [__other__]", "not one of in_args"),
        ("external: true", "external: false", "nothing gives __address__ a value"),
        ("type: string, external", "type: strnig, external", "'strnig' is unknown"),
        ("type: string", "type: integer, value: x", "not of type integer"),
        (f"on_completion: {sid('end', 1)}", f"on_completion: {sid('end', 7)}", "names no step"),
        (f"on_completion: {sid('end', 1)}", f"on_completion: {sid('start', 9)}", "back to a start"),
        (f"on_completion: {sid('end', 1)}", "timeout: 5", "not executed"),
        (f"on_completion: {sid('end', 1)}", f"on_success: {sid('end', 1)}", ""),
        (f"agent: {sid('security-category', 0)}", f"agent: {sid('linux', 0)}", "names nothing"),
    ],
)
def test_mistakes_are_named_with_their_line(old: str, new: str, said: str) -> None:
    assert old in SIMPLE
    text = SIMPLE.replace(old, new)
    found = wrong(text)
    if not said:
        assert found == ""
        return
    assert said in found
    assert "try.yml" in found


def test_the_line_is_that_of_the_mistake() -> None:
    text = SIMPLE.replace("lease: 600", "lease: sixty")
    assert f"try.yml:{line(text, 'lease: sixty')} " in wrong(text) + " "


def test_a_cycle_is_refused() -> None:
    text = workflow(
        action(1, "203.0.113.1", f"on_success: {sid('action', 2)}"),
        action(2, "203.0.113.2", f"on_success: {sid('end', 1)}\non_failure: {sid('action', 1)}"),
        end(1),
    )
    assert "cycle" in wrong(text)


def test_unreachable_steps_and_unused_variables_are_refused() -> None:
    text = workflow(
        action(1, "203.0.113.1", TO_END),
        end(1),
        end(2),
        variables="__x__: {type: string, value: a}",
    )
    assert "no path leads to this step" in wrong(text)
    assert "__x__ is not used" in wrong(text)


def test_a_branch_needs_an_end_of_its_own() -> None:
    condition = (
        f"{sid('if-condition', 1)}: {{type: if-condition, condition: \"__a__:value = 'x'\", "
        f"on_true: {sid('end', 1)}, on_completion: {sid('end', 1)}}}\n"
    )
    variables = "__a__: {type: string, external: true}"
    assert "an end of its own" in wrong(workflow(condition, end(1), variables=variables))


def test_what_an_effect_hits_must_be_known_before_the_run() -> None:
    results = action(
        1,
        ADDRESS,
        f"out_args: [__a__]\non_success: {sid('action', 2)}",
        more="results: {__a__: until}",
    )
    text = workflow(
        results, action(2, "__a__:value", TO_END), end(1), variables="__a__: {type: string}"
    )
    assert "must be known before" in wrong(text)


@pytest.mark.parametrize("text", ["", "- a", "a: [", "a: b\n---\nc: d", "{" * 40, "a: *x", "\x00"])
def test_what_is_no_playbook_is_refused(text: str) -> None:
    with pytest.raises(ContentError):
        loads(text, "try.yml")


def test_a_literal_target_is_checked_at_load() -> None:
    assert "is not an IP address" in wrong(workflow(action(1, "0x7f.1", TO_END), end(1)))


def test_an_extension_that_asks_for_two_people_is_refused() -> None:
    extra = f"playbook_extensions: {{{EXTENSION}: {{approval: 2}}}}\n"
    text = workflow(action(1, ADDRESS, TO_END), end(1), extra=extra)
    assert "one person" in wrong(text)


def test_inputs_must_be_external_variables() -> None:
    extra = f"playbook_extensions: {{{EXTENSION}: {{inputs: {{__b__: source.ip}}}}}}\n"
    text = workflow(action(1, "__address__:value", TO_END), end(1), variables=EXTERNAL, extra=extra)
    assert "__b__ is not defined" in wrong(text)


def test_a_file_that_cannot_be_read_is_an_error_with_its_name(tmp_path: Path) -> None:
    (tmp_path / "x.yml").write_bytes(b"\xff")
    for name in ("x.yml", "y.yml"):
        with pytest.raises(ContentError, match=name):
            load(tmp_path / name)


def test_the_examples_of_oasis_are_read_and_refused_with_reasons() -> None:
    files = sorted((archive("cacao-examples") / "Examples").rglob("*example*.json"))
    assert files
    for path in files:
        playbook, problems = examine(path.read_text("utf-8"), path.name)
        assert playbook is None
        assert problems
        assert all(f"{path.name}:" in problem.where for problem in problems)


LINES = THREE.splitlines()
JUNK = st.sampled_from(
    ["", "- x", "a: b", "? [", "name: ~", "  type: end", "'", "in_args: 7", "{}"]
)


@given(st.lists(st.tuples(st.integers(0, len(LINES) - 1), JUNK), max_size=4), st.booleans())
def test_no_text_is_more_than_wrong(edits: list[tuple[int, str]], keep: bool) -> None:
    lines = list(LINES)
    for at, junk in edits:
        lines[at] = f"{lines[at]}\n{junk}" if keep else junk
    playbook, problems = examine("\n".join(lines), "try.yml")
    assert playbook or problems
    for problem in problems:
        assert problem.where.startswith("try.yml")


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=5),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(st.sampled_from(list(LIKELY)), inner, max_size=4)
        ),
    )
)
def test_no_value_in_any_place_is_more_than_wrong(value: object) -> None:
    document = dict(loads(THREE, "try.yml").document)
    for name in ("workflow", "playbook_variables", "playbook_extensions", "agent_definitions"):
        playbook, problems = examine_values({**document, name: value}, "try.yml")
        assert playbook or problems
    step = sid("action", 1)
    for key in document["workflow"][step]:
        changed = {**document["workflow"], step: {**document["workflow"][step], key: value}}
        playbook, problems = examine_values({**document, "workflow": changed}, "try.yml")
        assert playbook or problems
