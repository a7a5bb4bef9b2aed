"""The interpreter: where a run stands is a pure function of playbook, inputs and results.

It reads no clock and touches nothing. Given the results so far it walks from the start and comes
to the next action that has none yet, or to the end; the same journal leads to the same place.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal

from playbooks import condition
from playbooks.model import Act, End, If, Playbook, Start
from soc.errors import InputError

Status = Literal["done", "failed"]
ITERATION: Final = 0
"""Steps run once: playbooks have no loops."""


@dataclass(frozen=True, slots=True)
class Result:
    """How an action step went."""

    ok: bool
    detail: str
    outputs: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Due:
    """The action step to do now, and the variables as they are at this point."""

    step: Act
    values: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Finished:
    """The run is over; a failure that a playbook's own steps have handled is named in `detail`."""

    status: Status
    detail: str
    values: Mapping[str, str]


def walk(
    playbook: Playbook, inputs: Mapping[str, str], results: Mapping[str, Result]
) -> Due | Finished:
    """Return what is next; `results` are those of the action steps done, by step id."""
    return _Walk(playbook, dict(inputs), results).run()


class _Walk:
    def __init__(
        self, playbook: Playbook, values: dict[str, str], results: Mapping[str, Result]
    ) -> None:
        self._playbook = playbook
        self._values = values
        self._results = results
        self._returns: list[str] = []
        self._failures: list[str] = []
        self._excepted = False

    def run(self) -> Due | Finished:
        name: str | None = self._playbook.start
        while name:
            step = self._playbook.steps[name]
            if isinstance(step, Act) and step.id not in self._results:
                return Due(step, self._values)
            if isinstance(step, Start):
                name = step.next
            elif isinstance(step, Act):
                name = self._after(step, self._results[step.id])
            elif isinstance(step, If):
                name = self._branch(step)
            elif isinstance(step, End):
                name = self._returns.pop() if self._returns else None
        failed = self._excepted or name == ""
        return Finished("failed" if failed else "done", "; ".join(self._failures), self._values)

    def _after(self, step: Act, result: Result) -> str:
        if result.ok:
            for name, output in step.results.items():
                if output in result.outputs:
                    self._values[name] = result.outputs[output]
            return step.next
        return self._failed(step, result.detail)

    def _branch(self, step: If) -> str:
        try:
            variables = self._playbook.variables
            holds = condition.evaluate(step.condition, variables, self._values)
        except InputError as error:
            return self._failed(step, error.message)
        branch = step.on_true if holds else step.on_false
        if not branch:
            return step.next
        self._returns.append(step.next)
        return branch

    def _failed(self, step: Act | If, detail: str) -> str:
        """Return where a failure leads: the step's own path, the exception path, or "" (over)."""
        self._failures.append(f"{step.name}: {detail}")
        if step.failure:
            return step.failure
        if self._excepted:
            return ""
        self._excepted = True
        self._returns.clear()
        return self._playbook.exception
