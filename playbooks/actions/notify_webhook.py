"""Tell another system by an HTTPS request (webhook); it cannot be taken back.

Sent at least once: a second copy, after a crash, has the same Idempotency-Key and the same body.
The address of a webhook stands in the configuration; a playbook only names it.
"""

import re
from collections.abc import Mapping
from typing import Final

from playbooks.actions import _message
from playbooks.effect import Change, Request, State, Target
from playbooks.ports.messages import Messenger, MessengerView
from soc.errors import InputError

CAPABILITY = "webhook"
TIER = "low"
INPUTS = {"hook": "the name of one of [[webhooks]]", **_message.INPUTS}
OUTPUTS: Mapping[str, str] = {}
LEASE = None

_NAME: Final = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")


def target(arguments: Mapping[str, str]) -> Target:
    """Return which webhook to call and what to say."""
    name = arguments["hook"]
    if _NAME.fullmatch(name) is None:
        raise InputError(f"{name[:80]!r} is not the name of a webhook", hint="see [[webhooks]]")
    return Target(name, {"hook": name, **_message.cleaned(arguments)})


def observe(target: Target, view: MessengerView) -> State:
    """Say where the request would go."""
    route = view.route(target.name)
    return State(f"the request goes {route}", {"route": route})


def plan(request: Request, state: State) -> Change:
    """Return the message."""
    return _message.planned(request, state, "Idempotency-Key")


def apply(request: Request, change: Change, port: Messenger) -> None:
    """Send the request."""
    _message.send(request, change, port)
