"""The heads of HTTP/1 messages (RFC 9112): start line and fields, as forgiving as servers."""

import re
from dataclasses import dataclass
from typing import Final
from urllib.parse import unquote

from collectors.packets.talk import Fields
from collectors.parsers._common import put_host, put_target

MAX_HEAD: Final = 1 << 16
MAX_FIELDS: Final = 256
MAX_VALUE: Final = 1 << 14
"""Bytes of one value that are kept."""

METHODS: Final = frozenset(
    b"GET POST HEAD PUT DELETE OPTIONS CONNECT TRACE PATCH QUERY PROPFIND PROPPATCH MKCOL COPY MOVE"
    b" LOCK UNLOCK SEARCH REPORT CHECKOUT MERGE MKACTIVITY BIND LINK UNLINK PURGE DEBUG NOTIFY"
    b" SUBSCRIBE UNSUBSCRIBE M-SEARCH RPC_IN_DATA RPC_OUT_DATA BITS_POST CCM_POST".split()
)
_METHOD: Final = re.compile(rb"[A-Za-z_\-]{1,24}")
_END: Final = re.compile(rb"\r?\n\r?\n")
_STATUS: Final = re.compile(rb"HTTP/(\d(?:\.\d+)?)[ \t]*(\d{3})?")


@dataclass(slots=True)
class Head:
    """A parsed head: the start line in parts and the fields by lower-case name."""

    fields: dict[str, str]
    method: str = ""
    target: str = ""
    version: str = ""
    status: int = 0

    def get(self, name: str) -> str:
        """Return a field's value, "" without one."""
        return self.fields.get(name, "")

    def length(self) -> int | None:
        """Return Content-Length, None when there is none that can be understood."""
        text = self.get("content-length").partition(",")[0].strip()
        return int(text) if text.isascii() and text.isdigit() and len(text) < 19 else None

    def chunked(self) -> bool:
        """Tell whether the body comes in chunks."""
        return "chunked" in self.get("transfer-encoding").lower()

    def mime_type(self) -> str:
        """Return the media type without parameters."""
        return self.get("content-type").partition(";")[0].strip().lower()


def text(data: bytes) -> str:
    """Return bytes as text: UTF-8, other bytes as `\\xNN`."""
    return data[:MAX_VALUE].decode("utf-8", "backslashreplace")


def begins_request(head: bytes) -> bool | None:
    """Tell whether these bytes begin a request; None when more are needed."""
    head = head.lstrip(b"\r\n")
    if not head:
        return None
    method, space, rest = head.partition(b" ")
    if not space:
        return None if len(method) < 25 and _METHOD.fullmatch(method) else False
    if method.upper() in METHODS:
        if not rest:
            return None
        named = rest[:1] in b"/*?" or rest[:4].lower() == b"http"
        if named or (method == b"CONNECT" and b":" in rest):
            return b"RTSP/" not in rest and b"SIP/" not in rest
    line, end, _ = rest.partition(b"\n")
    if b" HTTP/1" in line or b" HTTP/0" in line:
        return _METHOD.fullmatch(method) is not None
    return False if end or not _METHOD.fullmatch(method) else None


def begins_response(head: bytes) -> bool | None:
    """Tell whether these bytes begin a response; None when more are needed."""
    head = head.lstrip(b"\r\n")
    if len(head) < 7:
        return None if b"HTTP/1.".startswith(head) else False
    return head.startswith((b"HTTP/1.", b"HTTP/0."))


def head_end(data: bytes, start: int) -> int:
    """Return where a head ends whose search begins at `start`, -1 while it is not whole."""
    found = _END.search(data, max(start - 3, 0))
    return found.end() if found else -1


def request(data: bytes) -> Head:
    """Return a request's head; one without a version is HTTP/0.9."""
    line, _, rest = data.partition(b"\n")
    method, _, target = line.strip(b"\r ").partition(b" ")
    target, mark, version = target.strip().rpartition(b" HTTP/")
    if not mark:
        target, version = (version, b"") if not version.startswith(b"HTTP/") else (b"", version[5:])
    return Head(_fields(rest), text(method), text(target.strip()), text(version.strip()))


def response(data: bytes) -> Head | None:
    """Return a response's head, None when it does not begin as one."""
    line, _, rest = data.partition(b"\n")
    found = _STATUS.match(line)
    if found is None:
        return None
    status = int(found[2]) if found[2] else 0
    return Head(_fields(rest), version=text(found[1]), status=status)


def _fields(data: bytes) -> dict[str, str]:
    fields: dict[str, str] = {}
    last = ""
    for line in data.split(b"\n", MAX_FIELDS)[:MAX_FIELDS]:
        line = line.rstrip(b"\r")
        if line[:1] in (b" ", b"\t") and last:  # obsolete line folding
            if len(fields[last]) < MAX_VALUE:
                fields[last] += " " + text(line.strip())
            continue
        name, colon, value = line.partition(b":")
        if not colon:
            continue
        last = text(name.strip()).lower()
        found = text(value.strip())
        if last not in fields:
            fields[last] = found
        elif len(fields[last]) < MAX_VALUE:
            fields[last] += ", " + found
    return fields


def url(head: Head, port: int) -> Fields:
    """Return the `url.*` fields of a request; `port` is the server's."""
    fields: Fields = {}
    if head.method == "CONNECT":
        fields["url.original"] = head.target
        put_host(fields, head.target)
    else:
        if host := head.get("host"):
            put_host(fields, host)
            fields["url.full"] = f"http://{host}{head.target}"
        put_target(fields, head.target)
        if not head.target.startswith(("/", "*")) and "url.scheme" in fields:
            fields["url.full"] = head.target
        fields.setdefault("url.scheme", "http")
    fields["url.port"] = fields.get("url.port") or port
    return {name: value for name, value in fields.items() if value is not None}


_FILENAME: Final = re.compile(r"filename\s*=\s*(?:\"((?:[^\"\\]|\\.)*)\"?|([^;]*))", re.I)
_FILENAME_STAR: Final = re.compile(r"filename\*\s*=\s*[\w\-]*'[\w\-]*'([^;]*)", re.I)


def disposition(value: str) -> str | None:
    """Return the file name of a Content-Disposition (RFC 6266), None without one."""
    found = _FILENAME_STAR.search(value)
    if found:
        return unquote(found[1].strip())
    found = _FILENAME.search(value)
    if found:
        return found[1] if found[1] is not None else found[2].strip()
    return None
