"""Web access logs: Apache and nginx, common and combined, also with the virtual host in front.

https://httpd.apache.org/docs/2.4/logs.html#accesslog
"""

import re
from collections.abc import Iterable
from datetime import datetime, timedelta, timezone
from functools import lru_cache
from typing import Final

from collectors.frame import Context
from collectors.parsers._common import MONTHS, number, put_address, put_host, put_target
from collectors.parsing import Fields

DATASET = "web_access"
PROGRAMS = ("nginx", "apache", "apache2", "httpd")
FIELDS = (
    "@timestamp",
    "event.action",
    "event.category",
    "event.outcome",
    "event.type",
    "http.request.method",
    "http.request.referrer",
    "http.response.body.bytes",
    "http.response.status_code",
    "http.version",
    "network.protocol",
    "source.address",
    "source.ip",
    "url.domain",
    "url.extension",
    "url.original",
    "url.path",
    "url.port",
    "url.query",
    "url.scheme",
    "user.name",
    "user_agent.original",
)
EXAMPLE = (
    '203.0.113.9 - - [22/Nov/2026:08:15:30 +0700] "GET /portal/?id=7 HTTP/1.1" 200 5120 '
    '"https://portal.example/" "Mozilla/5.0 (X11; Linux x86_64)"'
)

# Servers escape quotes, so the first `[date] "` is theirs even if a client's user name has more.
_LINE: Final = re.compile(
    r'(?:([^\s"]+) (?=[^\s"-]\S* \S+ ))?([^\s"]+) ([^\s"]+) ([^"]*?) ?'
    r"\[([0-9]{2}/[A-Z][a-z]{2}/[0-9]{4}:[0-9]{2}:[0-9]{2}:[0-9]{2} [+-][0-9]{4})\] "
    r'"([^"\\]*(?:\\.[^"\\]*)*)" ([0-9]{3}|-) ([0-9]{1,18}|-)'
    r'(?: "([^"\\]*(?:\\.[^"\\]*)*)" "([^"\\]*(?:\\.[^"\\]*)*)")?',
    re.S,
)
_REQUEST: Final = re.compile(r"([A-Z][A-Z_-]{0,31}) (.*?)(?: HTTP/([0-9](?:\.[0-9])?))?$", re.S)
_ESCAPE: Final = re.compile(r'((?:\\x[0-9A-Fa-f]{2})+)|\\(["\\])')


def recognise(record: str) -> bool:
    """Return True for a line with client, bracketed date, quoted request, status and size."""
    return _LINE.match(record) is not None


def parse(record: str, context: Context) -> Iterable[Fields]:
    """Return a request and how it was answered; raise ValueError for a line of another form."""
    match = _LINE.match(record)
    if match is None:
        raise ValueError("not a line of an access log")
    vhost, client, _, user, stamp, request, status, size, referrer, agent = match.groups()
    code = number(status)
    fields: Fields = {
        "@timestamp": _time(stamp),
        "event.category": ["web"],
        "event.type": ["access"],
        "event.action": "http_request",
        "event.outcome": None if code is None else "failure" if code >= 400 else "success",
        "network.protocol": "http",
        "user.name": _value(user),
        "http.response.status_code": code,
        "http.response.body.bytes": number(size),
        "http.request.referrer": _value(referrer),
        "user_agent.original": _value(agent),
    }
    put_address(fields, "source", client)
    _request(fields, request)
    if vhost:
        put_host(fields, vhost)
    return (fields,)


def _request(fields: Fields, request: str) -> None:
    match = _REQUEST.match(request)
    if match and (match[3] or match[2].startswith(("/", "http"))):
        fields["http.request.method"] = match[1]
        fields["http.version"] = match[3]
        target = _unescaped(match[2])
        if match[1] == "CONNECT":
            fields["url.original"] = target
            put_host(fields, target)
        else:
            put_target(fields, target)
    elif request not in ("", "-"):  # no HTTP at all, such as a TLS hello on the plain port
        fields["url.original"] = request


def _value(text: str | None) -> str | None:
    return None if text in (None, "", "-") else _unescaped(text)


def _unescaped(text: str) -> str:
    return _ESCAPE.sub(_plain, text) if "\\" in text else text


def _plain(match: re.Match[str]) -> str:
    if match[1]:
        return bytes.fromhex(match[1].replace("\\x", "")).decode("utf-8", "replace")
    return match[2]


@lru_cache(maxsize=4096)
def _time(stamp: str) -> datetime:
    """Return the moment of `22/Nov/2026:08:15:30 +0700`."""
    shift = timedelta(hours=int(stamp[22:24]), minutes=int(stamp[24:26]))
    return datetime(
        int(stamp[7:11]),
        MONTHS.get(stamp[3:6], 0),
        int(stamp[:2]),
        int(stamp[12:14]),
        int(stamp[15:17]),
        min(int(stamp[18:20]), 59),
        tzinfo=timezone(-shift if stamp[21] == "-" else shift),
    )
