"""An action as a plugin: drops a line into a letter box. It holds nothing and has no undo."""

from collections.abc import Mapping
from typing import Any

from playbooks.effect import Change, Request, State, Target

CAPABILITY = "letters"
TIER = "low"
INPUTS = {"text": "what to write"}
OUTPUTS: dict[str, str] = {}
LEASE = None


def target(arguments: Mapping[str, str]) -> Target:
    return Target("the letter box", dict(arguments))


def observe(target: Target, view: Any) -> State:
    return State("nothing is looked at")


def plan(request: Request, state: State) -> Change:
    return Change("write a line", {"line": request.target.arguments["text"]})


def apply(request: Request, change: Change, port: Any) -> None:
    port.append((request.key, request.now, request.target.arguments["text"]))
