"""Tell somebody by mail; it cannot be taken back.

Sent at least once: a second copy, after a crash, has the same Message-ID. Only those whom the
configuration lists get mail, whatever a playbook or an alert says.
"""

import re
from collections.abc import Mapping
from typing import Final

from playbooks.actions import _message
from playbooks.effect import Change, Request, State, Target
from playbooks.ports.messages import Messenger, MessengerView
from soc.errors import InputError

CAPABILITY = "mail"
TIER = "low"
INPUTS = {"to": "a mail address that [mail] recipients lists", **_message.INPUTS}
OUTPUTS: Mapping[str, str] = {}
LEASE = None

_ADDRESS: Final = re.compile(
    r"[A-Za-z0-9_][A-Za-z0-9._+-]{0,63}@[A-Za-z0-9][A-Za-z0-9-]{0,62}(?:\.[A-Za-z0-9-]{1,63}){0,8}"
)
"""A plain part of RFC 5321's addresses: nothing that needs quoting."""


def target(arguments: Mapping[str, str]) -> Target:
    """Return whom to tell and what; the domain in small letters."""
    text = arguments["to"]
    if len(text) > 254 or _ADDRESS.fullmatch(text) is None:
        raise InputError(f"{text[:80]!r} is not a mail address", hint="duty@city.example")
    name, _, domain = text.partition("@")
    address = f"{name}@{domain.lower()}"
    return Target(address, {"to": address, **_message.cleaned(arguments)})


def observe(target: Target, view: MessengerView) -> State:
    """Say how the mail would go out."""
    route = view.route(target.name)
    return State(f"mail goes out {route}", {"route": route})


def plan(request: Request, state: State) -> Change:
    """Return the message."""
    return _message.planned(request, state, "Message-ID")


def apply(request: Request, change: Change, port: Messenger) -> None:
    """Send the mail."""
    _message.send(request, change, port)
