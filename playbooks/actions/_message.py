"""What the actions that tell somebody something have in common.

A message is sent at least once: nobody can ask whether it has arrived, and after a crash it goes
out again with the same id. It cannot be taken back, and the plan says both.
"""

from collections.abc import Mapping
from typing import Any, Final

from playbooks.effect import Change, Request, State
from playbooks.ports.messages import Message, Messenger
from soc.errors import Refused
from soc.text import safe, shorten

INPUTS: Final[Mapping[str, str]] = {
    "subject": "one line",
    "text": "what there is to say",
    "about": "what it is about: one value, such as an address",
}
SUBJECT: Final = 150
TEXT: Final = 4000
ABOUT: Final = 1000
"""Characters. What is longer is cut, not refused: a long value must not silence a warning."""


def cleaned(arguments: Mapping[str, str]) -> dict[str, str]:
    """Return the texts of a message: cut, and nothing in them that acts on a header or terminal."""
    lines = arguments["text"][: TEXT + 1].replace("\r\n", "\n").split("\n")
    return {
        "subject": _line(arguments["subject"], SUBJECT),
        "text": shorten("\n".join(map(safe, lines)), TEXT),
        "about": _line(arguments["about"], ABOUT),
    }


def planned(request: Request, state: State, sign: str) -> Change:
    """Return the message; `sign` is what a second copy is known by."""
    arguments = request.target.arguments
    return Change(
        summary=f"tell {request.target.name}: {arguments['subject']} (at least once: after a crash "
        f"a second copy may come, with the same {sign}; nobody can take it back)",
        do={
            "to": request.target.name,
            "subject": arguments["subject"],
            "text": f"{arguments['text']}\n\n{arguments['about']}".strip(),
            "route": state.data["route"],
        },
    )


def send(request: Request, change: Change, port: Messenger) -> None:
    """Send what was planned, under the request's key."""
    if not request.key:
        raise Refused("a message without a key of its own would be taken for another one")
    do: Any = change.do
    port.send(Message(do["to"], do["subject"], do["text"], request.key, request.now))


def _line(text: str, width: int) -> str:
    return shorten(safe(text[: width + 1]), width)
