"""sudo: commands that were run or refused as another user."""

import re
from collections.abc import Iterable
from typing import Final

from collectors.frame import Context
from collectors.parsing import Fields

DATASET = "sudo"
PROGRAMS = ("sudo",)
FIELDS = (
    "event.action",
    "event.category",
    "event.outcome",
    "event.reason",
    "event.type",
    "group.name",
    "message",
    "process.command_line",
    "process.working_directory",
    "sudo.tty",
    "user.effective.name",
    "user.name",
)
EXAMPLE = (
    "Nov 22 08:15:30 web01 sudo:    an.tran : TTY=pts/0 ; PWD=/home/an.tran ; USER=root ; "
    "COMMAND=/usr/bin/cat /etc/shadow"
)

_HEAD: Final = re.compile(r"\s*(\S+) : (?:([^;=]*?) ; )?(?=(?:HOST|TTY|PWD|CWD|USER)=)", re.A)
_FIELD_OF: Final = {
    "TTY": "sudo.tty",
    "PWD": "process.working_directory",
    "CWD": "process.working_directory",
    "USER": "user.effective.name",
    "GROUP": "group.name",
}


def parse(record: str, context: Context) -> Iterable[Fields]:
    """Return who ran what as whom, and whether sudo allowed it."""
    head = _HEAD.match(record)
    if head is None:
        raise ValueError("not a command of sudo")
    # Whoever runs it chooses the command, so the first COMMAND= is sudo's own.
    before, found, command = record[head.end() :].partition("COMMAND=")
    reason = head[2]
    fields: Fields = {
        "event.category": ["process"],
        "event.type": ["denied" if reason else "start"],
        "event.action": "sudo_command",
        "event.outcome": "failure" if reason else "success",
        "event.reason": reason,
        "user.name": head[1],
        "process.command_line": command if found else None,
    }
    for part in before.split(" ; "):
        key, _, value = part.partition("=")
        name = _FIELD_OF.get(key)
        if name and value:
            fields.setdefault(name, value.removesuffix(" ;"))
    return (fields,)
