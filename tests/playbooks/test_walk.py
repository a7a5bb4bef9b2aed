from itertools import product

import pytest

from playbooks.load import loads
from playbooks.model import Act, Playbook
from playbooks.plan import reachable
from playbooks.walk import Due, Finished, Result, walk
from tests.playbooks.kit import action, end, sid, workflow


def condition(number: int, text: str, true: str, false: str, after: str) -> str:
    return f"""\
{sid("if-condition", number)}:
  type: if-condition
  name: ask {number}
  condition: "{text}"
  on_true: {true}
  on_false: {false}
  on_completion: {after}
"""


# 1 -> ask 2 (what 1 found out) -> 3 or 4, back to 5; 5's failure has a path, the others' has none.
TEXT = workflow(
    action(
        1,
        "203.0.113.1",
        f"out_args: [__until__]\non_completion: {sid('if-condition', 2)}",
        more="results: {__until__: until}",
    ),
    condition(2, "__until__:value = 'late'", sid("action", 3), sid("action", 4), sid("action", 5)),
    action(3, "203.0.113.3", f"on_completion: {sid('end', 1)}"),
    action(4, "203.0.113.4", f"on_completion: {sid('end', 2)}"),
    action(5, "203.0.113.5", f"on_success: {sid('end', 3)}\non_failure: {sid('action', 6)}"),
    action(6, "203.0.113.6", f"on_completion: {sid('end', 3)}"),
    action(7, "203.0.113.7", f"on_completion: {sid('end', 4)}"),
    *(end(number) for number in (1, 2, 3, 4)),
    variables="__until__: {type: string}",
    extra=f"workflow_exception: {sid('action', 7)}\n",
)


def play(playbook: Playbook, outcome: dict[str, bool], until: str) -> tuple[list[str], Finished]:
    """Return the steps that were due, in order, and the end."""
    results: dict[str, Result] = {}
    order = []
    while isinstance(found := walk(playbook, {}, results), Due):
        name = found.step.name
        order.append(name)
        assert len(order) < 20
        results[found.step.id] = Result(outcome.get(name, True), name, {"until": until})
    return order, found


@pytest.mark.parametrize(
    ("failing", "until", "order", "status"),
    [
        ([], "late", ["block 1", "block 3", "block 5"], "done"),
        ([], "soon", ["block 1", "block 4", "block 5"], "done"),
        (["block 1"], "late", ["block 1", "block 7"], "failed"),
        (["block 3"], "late", ["block 1", "block 3", "block 7"], "failed"),
        (["block 3", "block 7"], "late", ["block 1", "block 3", "block 7"], "failed"),
        (["block 5"], "soon", ["block 1", "block 4", "block 5", "block 6"], "done"),
        (
            ["block 5", "block 6"],
            "soon",
            ["block 1", "block 4", "block 5", "block 6", "block 7"],
            "failed",
        ),
    ],
)
def test_the_steps_follow_success_failure_and_exception(
    failing: list[str], until: str, order: list[str], status: str
) -> None:
    found, finished = play(loads(TEXT, "try.yml"), dict.fromkeys(failing, False), until)
    assert found == order
    assert finished.status == status
    assert all(name in finished.detail for name in failing if name in order)


def test_whatever_fails_every_step_that_is_due_was_in_the_plan() -> None:
    playbook = loads(TEXT, "try.yml")
    planned = {step.name: when for step, when in reachable(playbook, {})}
    acts = [step.name for step in playbook.steps.values() if isinstance(step, Act)]
    seen = set()
    for outcomes in product((True, False), repeat=len(acts)):
        for until in ("late", "soon"):
            order, _ = play(playbook, dict(zip(acts, outcomes, strict=True)), until)
            assert set(order) <= set(planned)
            seen |= set(order)
    assert seen == set(planned)
    assert planned["block 1"] == ""
    assert planned["block 3"] == "__until__:value = 'late'"
    assert planned["block 6"] == "block 5 fails"


def test_the_same_results_lead_to_the_same_place() -> None:
    playbook = loads(TEXT, "try.yml")
    results = {sid("action", 1): Result(True, "", {"until": "late"})}
    first, second = walk(playbook, {}, results), walk(playbook, {}, results)
    assert first == second
    assert isinstance(first, Due)
    assert first.values == {"__until__": "late"}
