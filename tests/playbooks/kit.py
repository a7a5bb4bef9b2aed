"""What the playbook tests share: a clock to turn, a playbook to vary, a machine to try it on."""

import textwrap
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from playbooks.engine import Engine, Origin
from playbooks.extension import EXTENSION
from playbooks.guard import Guard, protect
from playbooks.journal import Journal
from playbooks.load import loads
from playbooks.model import Playbook
from playbooks.plan import Plan, make
from playbooks.ports.simulated_filter import SimulatedFilter
from playbooks.runs import Report
from soc.errors import StoreError

KEY = b"k" * 32
START = datetime(2026, 11, 23, 8, 0, tzinfo=UTC)
ADDRESS = "203.0.113.9"
UUID = "6f1b2c3d-0000-4000-8000-00000000000"


def sid(kind: str, number: int) -> str:
    return f"{kind}--{UUID}{number:x}"


HEAD = f"""\
type: playbook
spec_version: cacao-2.0
id: {sid("playbook", 0)}
name: Try
created_by: {sid("identity", 0)}
created: "2026-11-22T08:00:00Z"
modified: "2026-11-22T08:00:00Z"
agent_definitions:
  {sid("security-category", 0)}: {{type: security-category, name: Filter, category: [firewall]}}
"""


def action(number: int, target: str, after: str, *, more: str = "", lease: int = 600) -> str:
    """Return an action step that blocks a target; `after` are its on_... keys."""
    reference = f"in_args: [{target.removesuffix(':value')}]\n" if target.startswith("__") else ""
    return f"""\
{sid("action", number)}:
  type: action
  name: block {number}
  commands: [{{type: soc-action}}]
  agent: {sid("security-category", 0)}
{textwrap.indent(reference + after, "  ")}
  step_extensions:
    {EXTENSION}:
      action: nftables_block
      arguments: {{target: "{target}"}}
      lease: {lease}
      undo: revert
{textwrap.indent(more, "      ")}
"""


def workflow(*steps: str, variables: str = "", extra: str = "") -> str:
    """Return a playbook that starts at step 1 of the kind given first in `steps`."""
    first = steps[0].partition(":")[0]
    start = f"{sid('start', 9)}: {{type: start, on_completion: {first}}}\n"
    body = textwrap.indent(start + "".join(steps), "  ")
    listed = f"playbook_variables:\n{textwrap.indent(variables, '  ')}\n" if variables else ""
    return f"{HEAD}{listed}{extra}workflow_start: {sid('start', 9)}\nworkflow:\n{body}"


def end(number: int) -> str:
    return f"{sid('end', number)}: {{type: end}}\n"


EXTERNAL = "__address__: {type: string, external: true}"
SIMPLE = workflow(
    action(1, "__address__:value", f"on_completion: {sid('end', 1)}"), end(1), variables=EXTERNAL
)
THREE = workflow(
    action(1, "__address__:value", f"on_success: {sid('action', 2)}"),
    action(2, "198.51.100.0/24", f"on_success: {sid('action', 3)}"),
    action(3, "tcp/8080", f"on_completion: {sid('end', 1)}"),
    end(1),
    variables=EXTERNAL,
)


@dataclass
class Clock:
    now: datetime = START

    def __call__(self) -> datetime:
        return self.now

    def turn(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


@dataclass
class Machine:
    """A simulated machine: packet filter, journal and engine in a folder, a clock to turn."""

    folder: Path
    clock: Clock = field(default_factory=Clock)
    budget: int = 100
    stopped: bool = False
    never: tuple[tuple[str, str], ...] = (("192.0.2.1", "the gateway"), ("10.0.0.0/24", "ours"))

    def __post_init__(self) -> None:
        self.filter = SimulatedFilter(self.clock, self.folder / "filter.json")
        self.journal = Journal(self.folder / "playbooks", KEY)
        self.guard = Guard(
            protect(self.never),
            ports=frozenset({22}),
            budget=self.budget,
            stopped=lambda: self.stopped,
        )
        self.engine = Engine(
            self.journal,
            self.guard,
            {"packet_filter": self.filter.view()},
            {"packet_filter": self.filter},
            self.clock,
        )

    def plan(self, playbook: Playbook, address: str = ADDRESS) -> Plan:
        inputs = {"__address__": address}
        return make(playbook, inputs, self.engine.views, self.guard, self.clock())

    def run(self, text: str, address: str = ADDRESS, *, run: str = "run-1") -> Report:
        playbook = loads(text, "try.yml")
        plan = self.plan(playbook, address)
        return self.engine.start(run, playbook, plan.inputs, plan.hash, Origin("lan", "test"))

    def blocked(self) -> list[str]:
        """Return the targets that the filter drops now, in the canonical spelling."""
        items = self.filter.table("inet", "metrosoc") or []
        values = [
            element["elem"]["val"]
            for item in items
            for element in item.get("set", {}).get("elem", ())
        ]
        return sorted(map(_spelling, values))


def _spelling(value: object) -> str:
    if isinstance(value, dict) and "prefix" in value:
        return f"{value['prefix']['addr']}/{value['prefix']['len']}"
    if isinstance(value, dict):
        return "/".join(map(str, value["concat"]))
    return str(value)


class Broken(SimulatedFilter):
    """Refuses the transactions whose numbers it is told, or does them and says that it did not."""

    refuse: frozenset[int] = frozenset()
    lie: frozenset[int] = frozenset()
    count = 0

    def submit(self, commands: Any) -> None:
        self.count += 1
        if self.count not in self.refuse:
            super().submit(commands)
        if self.count in self.refuse | self.lie:
            raise StoreError("no answer")


def broken(
    machine: Machine, *, refuse: set[int] | None = None, lie: set[int] | None = None
) -> None:
    port = Broken(machine.clock, machine.folder / "filter.json")
    port.refuse, port.lie = frozenset(refuse or ()), frozenset(lie or ())
    machine.engine = replace(machine.engine, ports={"packet_filter": port})
