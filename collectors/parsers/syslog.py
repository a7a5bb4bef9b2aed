"""Syslog lines: RFC 3164, RFC 5424 and the ISO-dated lines of /var/log on current systems."""

import re
from collections.abc import Iterable
from datetime import datetime
from typing import Final

from collectors.frame import Context
from collectors.parsers._common import MONTHS, moment, number, yearless
from collectors.parsing import Fields

DATASET = "syslog"
ENVELOPE = True
FIELDS = (
    "@timestamp",
    "host.name",
    "log.syslog.appname",
    "log.syslog.facility.code",
    "log.syslog.facility.name",
    "log.syslog.hostname",
    "log.syslog.msgid",
    "log.syslog.priority",
    "log.syslog.procid",
    "log.syslog.severity.code",
    "log.syslog.severity.name",
    "log.syslog.structured_data.*",
    "log.syslog.version",
    "message",
    "process.name",
    "process.pid",
)
EXAMPLE = "<38>Nov 22 08:15:30 web01 sshd[4711]: Server listening on 0.0.0.0 port 22."

# RFC 5424, 6.2.1.
FACILITIES: Final = (
    *("kern", "user", "mail", "daemon", "auth", "syslog", "lpr", "news", "uucp", "cron"),
    *("authpriv", "ftp", "ntp", "security", "console", "solaris-cron"),
    *(f"local{n}" for n in range(8)),
)
SEVERITIES: Final = (
    *("emergency", "alert", "critical", "error"),
    *("warning", "notice", "informational", "debug"),
)

_PRI: Final = re.compile(r"<([0-9]{1,3})>")
_VERSION: Final = re.compile(r"([1-9][0-9]?) (?=[-0-9])")
_BSD: Final = re.compile(
    r"(?:[0-9]{1,10}: )?[*.:]?([A-Z][a-z]{2}) {1,2}([0-9]{1,2})(?: ([0-9]{4}))? "
    r"([0-9]{2}):([0-9]{2}):([0-9]{2})"
    r"(?:\.([0-9]{1,6})[0-9]*)?(?: (?:UTC|GMT))?(?::? |$)"
)
_ISO: Final = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9:]{8}(?:[.,][0-9]{1,9})?(?:Z|[+-][0-9]{2}:?[0-9]{2})?) "
)
_HOST: Final = re.compile(
    r"([^\s:\[\]%]+|(?=[0-9A-Fa-f]*:[0-9A-Fa-f]*:)[0-9A-Fa-f:.]{2,45}) +(?:: +)?", re.A
)
_TAG: Final = re.compile(r"([^\s:\[\]0-9][^\s:\[\]]{0,127})(?:\[([^\]\s]{0,64})\])?: ?", re.A)
# An application's own log looks much the same, with a level where the host would stand.
_LEVELS: Final = frozenset(
    ("trace", "debug", "info", "notice", "warn", "warning", "err", "error", "crit", "critical")
)
_ELEMENT: Final = re.compile(
    r'\[([^\s="\]]{1,64})((?: +[^\s="\]]{1,64}="[^"\\\]]*(?:\\.[^"\\\]]*)*")*) *\]', re.S
)
_PARAM: Final = re.compile(r'([^\s="\]]{1,64})="([^"\\\]]*(?:\\.[^"\\\]]*)*)"', re.S)
_ESCAPE: Final = re.compile(r'\\(["\\\]])')
_PID_END: Final = 1 << 32


def recognise(record: str) -> bool:
    """Return True for a line with a syslog header: a priority, or a date and a host."""
    if pri := _PRI.match(record):
        return int(pri[1]) < 8 * len(FACILITIES)
    if dated := _BSD.match(record):
        return bool(_HOST.match(record, dated.end()) or _TAG.match(record, dated.end()))
    if (dated := _ISO.match(record)) and (host := _HOST.match(record, dated.end())):
        return host[1].casefold() not in _LEVELS and bool(_TAG.match(record, host.end()))
    return False


def parse(record: str, context: Context) -> Iterable[Fields]:
    """Return the header's fields and the rest as `message`; raise ValueError without a header."""
    fields: Fields = {}
    start = 0
    if record[:1] == "<" and (pri := _PRI.match(record)):
        _priority(fields, int(pri[1]))
        start = pri.end()
        if version := _VERSION.match(record, start):
            fields["log.syslog.version"] = version[1]
            _rfc5424(fields, record[version.end() :], context)
            return (fields,)
    dated = _date(fields, record, start, context)
    if dated == start and not fields:
        raise ValueError("no syslog header")
    _rfc3164(fields, record, dated, has_host=dated != start)
    return (fields,)


def _priority(fields: Fields, value: int) -> None:
    facility, severity = divmod(value, 8)
    if facility >= len(FACILITIES):
        raise ValueError("no syslog header: the priority is above 191")
    fields["log.syslog.priority"] = value
    fields["log.syslog.facility.code"] = facility
    fields["log.syslog.facility.name"] = FACILITIES[facility]
    fields["log.syslog.severity.code"] = severity
    fields["log.syslog.severity.name"] = SEVERITIES[severity]


def _date(fields: Fields, record: str, start: int, context: Context) -> int:
    """Set the time stamp if there is one; return where the rest begins."""
    if iso := _ISO.match(record, start):
        fields["@timestamp"] = moment(iso[1], context)
        return iso.end()
    bsd = _BSD.match(record, start)
    if bsd is None:
        return start
    month, day, year, hour, minute, second, fraction = bsd.groups()
    clock = (int(hour), int(minute), int(second), int((fraction or "").ljust(6, "0")))
    if year:  # Cisco IOS and some others write one
        fields["@timestamp"] = datetime(
            int(year), MONTHS.get(month, 0), int(day), *clock, tzinfo=context.zone
        )
    else:
        fields["@timestamp"] = yearless(context, month, int(day), clock)
    return bsd.end()


def _rfc3164(fields: Fields, record: str, start: int, *, has_host: bool) -> None:
    if has_host and (host := _HOST.match(record, start)):
        fields["host.name"] = fields["log.syslog.hostname"] = host[1]
        start = host.end()
    if tag := _TAG.match(record, start):
        _process(fields, tag[1], tag[2])
        start = tag.end()
    fields["message"] = record[start:]


def _process(fields: Fields, name: str, procid: str | None) -> None:
    fields["process.name"] = fields["log.syslog.appname"] = name
    if procid:
        fields["log.syslog.procid"] = procid
        pid = number(procid)
        if pid is not None and pid < _PID_END:
            fields["process.pid"] = pid


def _rfc5424(fields: Fields, rest: str, context: Context) -> None:
    parts = rest.split(" ", 5)
    if len(parts) < 6:
        raise ValueError("the RFC 5424 header is cut off")
    stamp, host, name, procid, msgid, rest = parts
    if stamp != "-":
        fields["@timestamp"] = moment(stamp, context)
    if host != "-":
        fields["host.name"] = fields["log.syslog.hostname"] = host
    if name != "-":
        _process(fields, name, None if procid == "-" else procid)
    if msgid != "-":
        fields["log.syslog.msgid"] = msgid
    message = _structured(fields, rest)
    fields["message"] = message.removeprefix("\ufeff")


def _structured(fields: Fields, rest: str) -> str:
    """Set the structured data's fields; return the message behind it."""
    if rest[:1] == "-":
        return rest[2:] if rest[1:2] in ("", " ") else rest
    position = 0
    while element := _ELEMENT.match(rest, position):
        for param, value in _PARAM.findall(element[2]):
            name = f"log.syslog.structured_data.{element[1]}.{param}"
            fields[name] = _ESCAPE.sub(r"\1", value)
        position = element.end()
    return rest[position:].removeprefix(" ")
