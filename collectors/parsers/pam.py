"""PAM: authentications, sessions and password changes of any program; su, login and cron."""

import re
from collections.abc import Callable, Iterable
from typing import Final

from collectors.frame import Context
from collectors.parsers._common import put_address
from collectors.parsing import Fields

DATASET = "pam"
PROGRAMS = (
    *("sshd", "sshd-session", "sudo", "su", "su-l", "login", "passwd", "chpasswd", "runuser"),
    *("cron", "crond", "atd", "systemd", "systemd-user", "polkit-1", "polkitd", "xrdp-sesman"),
    *("gdm-password", "gdm", "lightdm", "sddm", "vsftpd", "proftpd", "dovecot", "auth", "screen"),
)
FIELDS = (
    "event.action",
    "event.category",
    "event.outcome",
    "event.reason",
    "event.type",
    "pam.module",
    "pam.service",
    "pam.tty",
    "process.command_line",
    "source.address",
    "source.ip",
    "user.effective.id",
    "user.effective.name",
    "user.id",
    "user.name",
)
EXAMPLE = (
    "Nov 22 08:15:30 web01 su[912]: "
    "pam_unix(su:session): session opened for user root(uid=0) by an.tran(uid=1000)"
)

_PAM: Final = re.compile(r"(pam_[a-z0-9_]+)\(([^():]+):([a-z]+)\): ", re.A)
# The user comes last because whoever tries to log in chooses it.
_FAILURE: Final = re.compile(
    r"authentication (failure|success); logname=(?P<logname>\S*) uid=(?P<uid>\d*) euid=\d* "
    r"tty=(?P<tty>\S*) ruser=(?P<ruser>\S*) rhost=(?P<rhost>\S*)(?: +user=(?P<user>.*))?$",
    re.A | re.S,
)
_OPENED: Final = re.compile(
    r"session opened for user (?P<user>[^\s(]+)(?:\(uid=(?P<uid>\d+)\))?"
    r"(?: by (?P<by>[^\s(]*)(?:\(uid=(?P<byid>\d+)\))?)?$",
    re.A,
)
_CLOSED: Final = re.compile(r"session closed for user (?P<user>\S+)$", re.A)
_CHANGED: Final = re.compile(r"password changed for (?P<user>\S+)$", re.A)
_LOCKED: Final = re.compile(
    r"Consecutive login failures for user (?P<user>\S+) account temporarily locked", re.A
)
_UNMET: Final = re.compile(r'requirement "[^"]*" not met by user "(?P<user>.*)"$', re.A | re.S)

_AUTH: Final[Fields] = {"event.category": ["authentication"], "event.type": ["start"]}
_SESSION: Final[Fields] = {"event.category": ["session"]}


def parse(record: str, context: Context) -> Iterable[Fields]:
    """Return what a PAM module, su, login or cron says; raise ValueError for anything else."""
    if head := _PAM.match(record):
        fields = _of_module(record[head.end() :])
        fields["pam.module"], fields["pam.service"] = head[1], head[2]
        return (fields,)
    for pattern, build in _PROGRAM_FORMS:
        if match := pattern.match(record):
            return (build(match),)
    raise ValueError("not a message of PAM, su, login or cron")


def _of_module(message: str) -> Fields:
    for pattern, build in _FORMS:
        if match := pattern.match(message):
            return build(match)
    if message.startswith("check pass; user unknown"):
        return {**_failed("check"), "event.reason": "user unknown"}
    raise ValueError("a PAM message of an unknown form")


def _failed(action: str, user: str | None = None) -> Fields:
    return {**_AUTH, "event.action": action, "event.outcome": "failure", "user.name": user}


def _authentication(match: re.Match[str]) -> Fields:
    outcome = match[1]
    fields = {**_failed("authentication", match["user"]), "event.outcome": outcome}
    fields["pam.tty"] = match["tty"] or None
    put_address(fields, "source", match["rhost"])
    return fields


def _opened(match: re.Match[str]) -> Fields:
    fields: Fields = {
        **_SESSION,
        "event.type": ["start"],
        "event.action": "session_opened",
        "event.outcome": "success",
    }
    if match["by"] and match["by"] != match["user"]:
        fields["user.name"], fields["user.id"] = match["by"], match["byid"]
        fields["user.effective.name"], fields["user.effective.id"] = match["user"], match["uid"]
    else:
        fields["user.name"], fields["user.id"] = match["user"], match["uid"]
    return fields


def _closed(match: re.Match[str]) -> Fields:
    return {
        **_SESSION,
        "event.type": ["end"],
        "event.action": "session_closed",
        "user.name": match["user"],
    }


def _changed(match: re.Match[str]) -> Fields:
    return {
        "event.category": ["iam"],
        "event.type": ["user", "change"],
        "event.action": "password_changed",
        "event.outcome": "success",
        "user.name": match["user"],
    }


def _locked(match: re.Match[str]) -> Fields:
    return {**_failed("account_locked", match["user"]), "event.reason": "too many failures"}


def _unmet(match: re.Match[str]) -> Fields:
    return {**_failed("authentication", match["user"]), "event.reason": "requirement not met"}


def _su(match: re.Match[str]) -> Fields:
    failed = (match["failed"] or "").startswith("FAILED")
    return {
        **_AUTH,
        "event.action": "su",
        "event.outcome": "failure" if failed else "success",
        "user.name": match["user"],
        "user.effective.name": match["to"],
        "pam.tty": match.groupdict().get("tty"),
    }


def _login(match: re.Match[str]) -> Fields:
    failed = bool(match["failed"])
    fields: Fields = {
        **_AUTH,
        "event.action": "login",
        "event.outcome": "failure" if failed else "success",
        "user.name": match["user"].strip("'"),
        "pam.tty": match["tty"].strip("'"),
    }
    put_address(fields, "source", match["host"] and match["host"].strip("'"))
    return fields


def _root_login(match: re.Match[str]) -> Fields:
    return {
        **_AUTH,
        "event.action": "login",
        "event.outcome": "success",
        "user.name": "root",
        "pam.tty": match["tty"].strip("'"),
    }


def _job(match: re.Match[str]) -> Fields:
    return {
        "event.category": ["process"],
        "event.type": ["start"],
        "event.action": "cron_job",
        "user.name": match["user"],
        "process.command_line": match["command"].strip(),
    }


_Build = Callable[[re.Match[str]], Fields]
_FORMS: Final[tuple[tuple[re.Pattern[str], _Build], ...]] = (
    (_FAILURE, _authentication),
    (_OPENED, _opened),
    (_CLOSED, _closed),
    (_CHANGED, _changed),
    (_LOCKED, _locked),
    (_UNMET, _unmet),
)
_PROGRAM_FORMS: Final[tuple[tuple[re.Pattern[str], _Build], ...]] = (
    (re.compile(r"(?P<failed>FAILED SU )?\(to (?P<to>\S+)\) (?P<user>\S+) on (?P<tty>\S+)$"), _su),
    (re.compile(r"(?P<failed>FAILED|Successful) su for (?P<to>\S+) by (?P<user>\S+)$"), _su),
    (
        re.compile(
            r"(?P<failed>FAILED )?LOGIN (?:SESSION |\(?\d+\)? )?(?:FROM|ON) (?P<tty>\S+)"
            r"(?: FROM (?P<host>\S+))? (?:FOR|BY) (?P<user>[^,]*)(?:, .*)?$",
            re.I | re.A | re.S,
        ),
        _login,
    ),
    (re.compile(r"ROOT LOGIN +ON (?P<tty>\S+)", re.I), _root_login),
    (re.compile(r"\((?P<user>[^)\s]+)\) CMD \((?P<command>.*)\)$", re.S), _job),
)
