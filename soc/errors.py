"""The one exception family: an error says what, where and what to do next.

SocError
 +- UsageError      2  the command line makes no sense
 +- ContentError    3  a configuration, rule, pipeline or playbook is wrong
 +- InputError      4  data that was given to us cannot be used
 +- StoreError      5  the store or a remote cannot be reached, or is damaged
 |   +- Conflict    6  somebody else wrote first; read again and decide again
 +- Refused         6  a safety rule says no, or an approval is missing
"""

from enum import IntEnum
from typing import ClassVar


class Exit(IntEnum):
    """Exit codes of `soc`, the same for every command."""

    DONE = 0
    FINDINGS = 1
    USAGE = 2
    CONTENT = 3
    INPUT = 4
    STORE = 5
    REFUSED = 6
    BUG = 70
    INTERRUPTED = 130


class SocError(Exception):
    """Something a person can understand and act on.

    `where` is a place such as `rules/x.yml:14`; `hint` is the next step, a command if possible.
    """

    exit_code: ClassVar[Exit] = Exit.BUG

    def __init__(self, message: str, *, where: str = "", hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.where = where
        self.hint = hint

    def __str__(self) -> str:
        """Return one line: message, place, hint."""
        where = f" | at {self.where}" if self.where else ""
        hint = f" | try: {self.hint}" if self.hint else ""
        return f"{self.message}{where}{hint}"


class UsageError(SocError):
    """The command line makes no sense."""

    exit_code = Exit.USAGE


class ContentError(SocError):
    """A configuration, rule, pipeline or playbook is wrong."""

    exit_code = Exit.CONTENT


class InputError(SocError):
    """Data that was given to us cannot be used."""

    exit_code = Exit.INPUT


class StoreError(SocError):
    """The store or a remote cannot be reached, or is damaged."""

    exit_code = Exit.STORE


class Conflict(StoreError):
    """Somebody else wrote first."""

    exit_code = Exit.REFUSED


class Refused(SocError):
    """A safety rule says no, or an approval is missing."""

    exit_code = Exit.REFUSED
