"""An action as a plugin: a lamp that somebody must switch off again, as no kernel does."""

from collections.abc import Mapping
from typing import Any

from playbooks.effect import Change, Lease, Outcome, Request, State, Target

CAPABILITY = "lamps"
TIER = "low"
INPUTS = {"lamp": "which one"}
OUTPUTS: dict[str, str] = {}
LEASE = Lease(60, 600)
KERNEL_ENDS = False


def target(arguments: Mapping[str, str]) -> Target:
    return Target(arguments["lamp"], dict(arguments), accounts=(arguments["lamp"],))


def observe(target: Target, view: Any) -> State:
    return State("on" if target.name in view else "off", {"on": target.name in view})


def plan(request: Request, state: State) -> Change:
    return Change("switch it on", {"on": request.target.name}, needed=not state.data["on"])


def apply(request: Request, change: Change, port: Any) -> None:
    port.add(request.target.name)


def verify(request: Request, view: Any) -> Outcome:
    return Outcome(request.target.name in view, "looked at")


def revert(request: Request, change: Change, port: Any) -> None:
    port.discard(request.target.name)
