"""OpenSSH server: logins, failed attempts, refused and broken connections.

A client chooses the user name, so that `x from 192.0.2.1 port 22 ssh2` may be one: the address is
taken from the end of the message, which sshd wrote, or from its beginning.
"""

import re
from collections.abc import Iterable
from functools import cache
from typing import Final

from collectors.frame import Context
from collectors.parsers._common import port, put_address
from collectors.parsing import Fields

DATASET = "sshd"
PROGRAMS = ("sshd", "sshd-session", "sshd-auth")
FIELDS = (
    "event.action",
    "event.category",
    "event.outcome",
    "event.reason",
    "event.type",
    "network.protocol",
    "network.transport",
    "source.address",
    "source.ip",
    "source.port",
    "sshd.key",
    "sshd.method",
    "user.name",
)
EXAMPLE = (
    "Nov 22 08:15:30 web01 sshd[4711]: "
    "Failed password for invalid user test from 203.0.113.9 port 40022 ssh2"
)

_LOGIN: Final[Fields] = {
    "event.category": ["authentication"],
    "event.type": ["start"],
    "event.action": "ssh_login",
}
_FAILED: Final[Fields] = {**_LOGIN, "event.outcome": "failure"}
_NETWORK: Final[Fields] = {
    "event.category": ["network"],
    "event.type": ["connection", "end"],
    "event.action": "ssh_disconnect",
}
_REFUSED: Final[Fields] = {
    "event.category": ["network"],
    "event.type": ["connection", "denied"],
    "event.action": "ssh_negotiation",
    "event.outcome": "failure",
}

# First word of a message -> how it may go on. `.*` before an address is greedy: it takes what a
# client wrote up to the last address, which is sshd's. Behind "Accepted" the user is a real one,
# but the name in a certificate at the end is not: there the first address counts.
_FORMS: Final[dict[str, tuple[tuple[str, Fields], ...]]] = {}


def _form(first: str, pattern: str, fields: Fields) -> None:
    word = first.partition(" ")[0]
    _FORMS[word] = (*_FORMS.get(word, ()), (first + pattern, fields))


@cache
def _compiled(word: str) -> tuple[tuple[re.Pattern[str], Fields], ...]:
    # On first use: looking at the list of parsers must stay quick.
    return tuple((re.compile(form, re.A | re.S), fields) for form, fields in _FORMS[word])


_FROM = r"from (?P<ip>\S+)(?: port (?P<port>[0-9]+))?"
_PREAUTH = r"(?: \[preauth\])?$"
_KEY = r"(?:: (?P<key>\S+ \S+))?$"

_form(
    "Accepted",
    r" (?P<method>\S+) for (?P<user>.*?) from (?P<ip>\S+) port (?P<port>[0-9]+)"
    r"(?: ssh2)?(?:: (?P<key>.*))?$",
    {**_LOGIN, "event.outcome": "success"},
)
_form(
    "Failed",
    r" (?P<method>\S+) for (?P<reason>invalid user )?(?P<user>.*) " + _FROM + "(?: ssh2)?" + _KEY,
    _FAILED,
)
_form("Invalid", r" user (?P<user>.*) " + _FROM + "$", {**_FAILED, "event.reason": "invalid user"})
_form("Illegal", r" user (?P<user>.*) " + _FROM + "$", {**_FAILED, "event.reason": "invalid user"})
_form("User", r" (?P<user>.*) " + _FROM + " (?P<reason>not allowed because .*)$", _FAILED)
for _first in ("error: maximum", "maximum"):
    _form(
        _first,
        r" authentication attempts exceeded for (?:invalid user )?(?P<user>.*) "
        + _FROM
        + "(?: ssh2)?"
        + _PREAUTH,
        {**_FAILED, "event.reason": "maximum authentication attempts exceeded"},
    )
_form(
    "error:",
    r" PAM: (?P<reason>[A-Za-z ]{1,80}?) for (?:illegal user )?(?P<user>.*) " + _FROM + "$",
    _FAILED,
)
_form("Received", r" disconnect " + _FROM + r":(?P<reason>.*?)" + _PREAUTH, _NETWORK)
_form(
    "Disconnected",
    r" from (?:(?P<state>authenticating|invalid) user (?P<user>.*) |user (?P<known>\S+) )?"
    r"(?P<ip>\S+) port (?P<port>[0-9]+)" + _PREAUTH,
    _NETWORK,
)
_form(
    "Disconnecting",
    r" (?:(?P<state>authenticating|invalid) user (?P<user>.*) )?(?P<ip>\S+) port (?P<port>[0-9]+):"
    r" (?P<reason>Too many authentication failures)" + _PREAUTH,
    _NETWORK,
)
_form(
    "Connection",
    r" (?:closed|reset) by (?:(?P<state>authenticating|invalid) user (?P<user>.*) )?"
    r"(?P<ip>\S+) port (?P<port>[0-9]+)" + _PREAUTH,
    _NETWORK,
)
_form("Connection", r" closed by (?P<ip>\S+)" + _PREAUTH, _NETWORK)
_form(
    "Connection",
    r" from (?P<ip>\S+) port (?P<port>[0-9]+)(?: on \S+ port [0-9]+)?(?: rdomain .*)?$",
    {
        "event.category": ["network"],
        "event.type": ["connection", "start"],
        "event.action": "ssh_connect",
    },
)
_form(
    "Did",
    r" not receive identification string " + _FROM + r"\.?$",
    {**_REFUSED, "event.reason": "no identification string"},
)
_form(
    "Bad",
    r" protocol version identification .* " + _FROM + "$",
    {**_REFUSED, "event.reason": "bad protocol version"},
)
_form("Unable", r" to negotiate with (?P<ip>\S+) port (?P<port>[0-9]+): (?P<reason>.*)$", _REFUSED)
_form(
    "fatal:",
    r" (?P<reason>Timeout before authentication) for (?:connection from )?(?P<ip>[^\s,]+)"
    r"(?: port (?P<port>[0-9]+)| to .*)?$",
    _REFUSED,
)
_form(
    "ssh_dispatch_run_fatal:",
    r" Connection from (?P<ip>\S+) port (?P<port>[0-9]+): (?P<reason>.*?)" + _PREAUTH,
    _REFUSED,
)
_form("banner", r" exchange: Connection from (?P<ip>\S+) port (?P<port>[0-9]+): .*$", _REFUSED)
_form(
    "Starting",
    r" session: .*? for (?P<user>\S+) from (?P<ip>\S+) port (?P<port>[0-9]+) id [0-9]+$",
    {"event.category": ["session"], "event.type": ["start"], "event.action": "ssh_session"},
)
_form(
    "Close",
    r" session: user (?P<user>\S+) from (?P<ip>\S+) port (?P<port>[0-9]+) id [0-9]+$",
    {"event.category": ["session"], "event.type": ["end"], "event.action": "ssh_session"},
)
_form("refused", r" connect from \S* \((?P<ip>[^()\s]+)\)$", _REFUSED)
_form(
    "reverse",
    r" mapping checking getaddrinfo for \S* \[(?P<ip>[^\]]+)\] failed.*$",
    {**_REFUSED, "event.reason": "reverse mapping failed"},
)


def parse(record: str, context: Context) -> Iterable[Fields]:
    """Return what a message of sshd says; raise ValueError for one that is not about a client."""
    word = record.partition(" ")[0]
    for pattern, constant in _compiled(word) if word in _FORMS else ():
        if match := pattern.match(record):
            return (_fields(match.groupdict(), constant),)
    raise ValueError("not a message about a client")


def _fields(found: dict[str, str | None], constant: Fields) -> Fields:
    fields = dict(constant)
    fields["network.protocol"] = "ssh"
    fields["network.transport"] = "tcp"
    put_address(fields, "source", found.get("ip"))
    fields["source.port"] = port(found.get("port"))
    fields["user.name"] = found.get("user") or found.get("known")
    fields["sshd.method"] = found.get("method")
    fields["sshd.key"] = found.get("key")
    if reason := found.get("reason"):
        fields["event.reason"] = reason.strip()
    return fields
