"""The contract of an action: `observe -> plan -> apply -> verify -> revert`.

An action is one module in `playbooks/actions/`. Its docstring's first line is what people see.

    CAPABILITY = "packet_filter"      what it works on: the name under which `soc.run` hands in a
                                      view (reads only) and a port (changes), see `playbooks.ports`
    TIER = "medium"                   risk: low, medium, high
    INPUTS = {"target": "..."}        argument -> what it is, for people; all are needed
    OUTPUTS = {"until": "..."}        what `verify` reports, for out_args and people
    LEASE = Lease(3600, 86400)        how long it holds by default and at most, in seconds;
                                      None: it holds nothing (a message): no verify, no revert
    KERNEL_ENDS = True                the lease ends with nothing of ours running
                                      (False: `soc run` calls `revert` when it has run out)

    def target(arguments: Mapping[str, str]) -> Target: ...
        Parse hostile text strictly and re-serialise it. Pure. Raises InputError.
    def observe(target: Target, view: View) -> State: ...
        Say how things are now. Reads only.
    def plan(request: Request, state: State) -> Change: ...
        Say what would change, and back. Pure: the same request and state give the same change.
    def apply(request: Request, change: Change, port: Port) -> None: ...
        Make the change, at once or not at all. It may be called again after a crash with a
        change that was planned again: being done twice must equal being done once.
    def verify(request: Request, view: View) -> Outcome: ...
        Read back: does what was asked for hold now, until `request.until` (2 s less will do)?
    def revert(request: Request, change: Change, port: Port) -> None: ...
        Leave everything as it was before. It may be called again, and after the lease has run
        out; what is gone already is no error.

Who calls what. `soc playbook plan` calls target, observe and plan, and is handed views only: it
holds no object that could change anything. A run journals its intent, calls verify (what holds
already is not applied again), apply with the port, verify, and journals the result. After a crash
it does the same again. An action whose LEASE is None cannot be looked up afterwards: apply that
returns has succeeded, and after a crash it is called again with the same request, to the last
byte: `request.now` is then when it was first intended. So it happens at least once, and carries
`request.key` to where the receiver knows the second copy by it.

Transports live in the view and the port, the time is `request.now`: an action opens nothing,
reads no clock, keeps no state, logs nothing and starts no shell. What goes wrong it raises as a
SocError: InputError (the argument is wrong), Refused (it must not be done), StoreError (the
device does not answer or refuses); the step has failed then, and `verify` says what holds.
"""

import ipaddress
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cache
from types import ModuleType
from typing import Any, Literal, Protocol

from soc.errors import ContentError
from soc.registry import plugins

Json = None | bool | int | float | str | Sequence["Json"] | Mapping[str, "Json"]
Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Tier = Literal["low", "medium", "high"]
KIND = "playbooks.actions"


@dataclass(frozen=True, slots=True)
class Lease:
    """How long an effect holds, in seconds: when nothing else is said, and at most."""

    default: int
    longest: int


@dataclass(frozen=True, slots=True)
class Target:
    """What an effect is about, parsed and re-serialised.

    `name` is canonical: equal things have equal names. `arguments` are canonical too. The guard
    looks at `networks`, `ports` and `accounts`: an action lists there all that it would hit.
    """

    name: str
    arguments: Mapping[str, str]
    networks: tuple[Network, ...] = ()
    ports: tuple[int, ...] = ()
    accounts: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Request:
    """One effect that is wanted: on what, for how many seconds, under which key, and why.

    `key` is the idempotency key (run + step + iteration + target); plans have an empty one.
    `seconds` is what is left of the lease at `now`.
    """

    target: Target
    seconds: int
    now: datetime
    key: str = ""
    reason: str = ""

    @property
    def until(self) -> datetime:
        """Return when the lease runs out."""
        return self.now + timedelta(seconds=self.seconds)


@dataclass(frozen=True, slots=True)
class State:
    """How things are: a sentence without anything that changes by itself, and data for `plan`."""

    summary: str
    data: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Change:
    """What would change: `do` and `undo` are exact (argv, nft JSON, LDAP modification, message).

    `needed` is False when things are as wanted already: then nothing is done and nothing undone.
    `cuts_off` says who would notice, as far as can be seen now; it is not part of the plan's hash.
    """

    summary: str
    do: Json
    undo: Json = None
    needed: bool = True
    cuts_off: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Outcome:
    """What reading back showed, and the values for OUTPUTS."""

    ok: bool
    detail: str
    outputs: Mapping[str, str] = field(default_factory=dict)


class TargetOf(Protocol):
    """The shape of `target`."""

    def __call__(self, arguments: Mapping[str, str]) -> Target:
        """Parse and re-serialise arguments."""


class Observe(Protocol):
    """The shape of `observe`."""

    def __call__(self, target: Target, view: Any) -> State:  # noqa: ANN401 - the action's own
        """Say how things are now."""


class Planning(Protocol):
    """The shape of `plan`."""

    def __call__(self, request: Request, state: State) -> Change:
        """Say what would change, and back."""


class Changing(Protocol):
    """The shape of `apply` and `revert`."""

    def __call__(self, request: Request, change: Change, port: Any) -> None:  # noqa: ANN401
        """Make or take back the change."""


class Verify(Protocol):
    """The shape of `verify`."""

    def __call__(self, request: Request, view: Any) -> Outcome:  # noqa: ANN401
        """Read back."""


@dataclass(frozen=True, slots=True)
class Action:
    """A loaded action plugin; the attributes are those of its module."""

    name: str
    summary: str
    capability: str
    tier: Tier
    inputs: Mapping[str, str]
    outputs: Mapping[str, str]
    lease: Lease | None
    kernel_ends: bool
    target: TargetOf
    observe: Observe
    plan: Planning
    apply: Changing
    verify: Verify | None
    revert: Changing | None


def from_module(name: str, module: ModuleType) -> Action:
    """Return the action that a module defines; raise ContentError when it breaks the contract."""
    try:
        return Action(
            name=name,
            summary=(module.__doc__ or "").partition("\n")[0],
            capability=module.CAPABILITY,
            tier=module.TIER,
            inputs=module.INPUTS,
            outputs=module.OUTPUTS,
            lease=module.LEASE,
            kernel_ends=module.LEASE is not None and module.KERNEL_ENDS,
            target=module.target,
            observe=module.observe,
            plan=module.plan,
            apply=module.apply,
            verify=None if module.LEASE is None else module.verify,
            revert=None if module.LEASE is None else module.revert,
        )
    except AttributeError as error:
        raise ContentError(
            f"action {name} breaks the contract: {error}",
            where=str(module.__file__),
            hint="playbooks/effect.py says what an action defines",
        ) from error


@cache
def action(name: str) -> Action:
    """Return an action by name; raise ContentError naming the known ones."""
    found = plugins(KIND).get(name)
    if found is None:
        raise ContentError(f"no action is called {name!r}", hint=", ".join(plugins(KIND)))
    return from_module(name, found.load())
