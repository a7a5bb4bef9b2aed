"""As much of X.509 (RFC 5280) as an analyst asks for: names, dates, serial number.

A walk over DER without recursion and without trust: wrong lengths raise ValueError.
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

_SEQUENCE: Final = 0x30
_INTEGER: Final = 0x02
_UTC_TIME: Final = 0x17
_MAX_NAMES: Final = 64

_ATTRIBUTES: Final = {
    b"\x55\x04\x03": "CN",
    b"\x55\x04\x04": "SN",
    b"\x55\x04\x05": "serialNumber",
    b"\x55\x04\x06": "C",
    b"\x55\x04\x07": "L",
    b"\x55\x04\x08": "ST",
    b"\x55\x04\x09": "street",
    b"\x55\x04\x0a": "O",
    b"\x55\x04\x0b": "OU",
    b"\x55\x04\x0c": "title",
    b"\x55\x04\x0f": "businessCategory",
    b"\x55\x04\x11": "postalCode",
    b"\x55\x04\x2a": "GN",
    b"\x09\x92\x26\x89\x93\xf2\x2c\x64\x01\x19": "DC",
    b"\x2a\x86\x48\x86\xf7\x0d\x01\x09\x01": "emailAddress",
    b"\x2b\x06\x01\x04\x01\x82\x37\x3c\x02\x01\x03": "jurisdictionC",
    b"\x2b\x06\x01\x04\x01\x82\x37\x3c\x02\x01\x02": "jurisdictionST",
    b"\x2b\x06\x01\x04\x01\x82\x37\x3c\x02\x01\x01": "jurisdictionL",
}
_SUBJECT_ALT_NAME: Final = b"\x55\x1d\x11"
_ENCODINGS: Final = {0x1E: "utf-16-be", 0x1C: "utf-32-be", 0x14: "latin-1"}


@dataclass(frozen=True, slots=True)
class Certificate:
    """What a certificate says; names as `C=VN, O=City, CN=www` in the certificate's own order."""

    subject: str
    issuer: str
    serial: str
    not_before: datetime
    not_after: datetime
    common_names: tuple[str, ...]
    alternative_names: tuple[str, ...]


def certificate(data: bytes) -> Certificate:
    """Return what a DER certificate says; raise ValueError for what is none."""
    _, start, end = _element(data, 0, len(data), _SEQUENCE)
    _, start, end = _element(data, start, end, _SEQUENCE)
    parts = _children(data, start, end)
    if parts and parts[0][0] == 0xA0:  # version
        del parts[0]
    if len(parts) < 6 or [parts[n][0] for n in (0, 2, 3, 4)] != [
        _INTEGER,
        _SEQUENCE,
        _SEQUENCE,
        _SEQUENCE,
    ]:
        raise ValueError("not a certificate")
    dates = _children(data, *parts[3][1:])
    if len(dates) < 2:
        raise ValueError("a certificate without dates")
    issuer, subject = _name(data, *parts[2][1:]), _name(data, *parts[4][1:])
    extensions = next((part for part in parts[6:] if part[0] == 0xA3), None)
    return Certificate(
        subject=_joined(subject),
        issuer=_joined(issuer),
        serial=data[parts[0][1] : parts[0][2]][:32].hex().upper(),
        not_before=_time(data, *dates[0]),
        not_after=_time(data, *dates[1]),
        common_names=tuple(value for name, value in subject if name == "CN"),
        alternative_names=_alternatives(data, extensions) if extensions else (),
    )


_Element = tuple[int, int, int]


def _element(data: bytes, position: int, limit: int, tag: int = 0) -> _Element:
    """Return tag, start and end of the content of an element within a limit."""
    if position + 2 > limit or (tag and data[position] != tag):
        raise ValueError("broken DER")
    found, size, start = data[position], data[position + 1], position + 2
    if size >= 0x80:
        count = size & 0x7F
        if not 0 < count <= 4 or start + count > limit:
            raise ValueError("broken DER length")
        size, start = int.from_bytes(data[start : start + count], "big"), start + count
    if start + size > limit:
        raise ValueError("DER element beyond its parent")
    return found, start, start + size


def _children(data: bytes, start: int, end: int) -> list[_Element]:
    found: list[_Element] = []
    while start < end and len(found) < _MAX_NAMES:
        element = _element(data, start, end)
        found.append(element)
        start = element[2]
    return found


def _name(data: bytes, start: int, end: int) -> list[tuple[str, str]]:
    found = []
    for _, *relative in _children(data, start, end):
        for _, *pair in _children(data, *relative):
            parts = _children(data, *pair)
            if len(parts) == 2:
                (_, at, to), (kind, begin, stop) = parts
                oid = data[at:to]
                encoding = _ENCODINGS.get(kind, "utf-8")
                value = data[begin:stop].decode(encoding, "backslashreplace")
                found.append((_ATTRIBUTES.get(oid) or _dotted(oid), value))
    return found


def _joined(name: list[tuple[str, str]]) -> str:
    return ", ".join(f"{key}={value}" for key, value in name)


def _dotted(oid: bytes) -> str:
    numbers, value = [], 0
    for byte in oid[:32]:
        value = value << 7 | byte & 0x7F
        if byte < 0x80:
            numbers.append(value)
            value = 0
    if not numbers:
        return "OID"
    first = min(numbers[0] // 40, 2)
    return ".".join(map(str, (first, numbers[0] - 40 * first, *numbers[1:])))


def _time(data: bytes, tag: int, start: int, end: int) -> datetime:
    text = data[start:end].decode("ascii")
    if tag == _UTC_TIME:  # two digits of the year: 50 to 99 are 19xx
        text = ("19" if text[:2] >= "50" else "20") + text
    if len(text) == 13:  # seconds are missing, against the RFC
        text = text[:-1] + "00Z"
    return datetime.strptime(text, "%Y%m%d%H%M%SZ").replace(tzinfo=UTC)


def _alternatives(data: bytes, extensions: _Element) -> tuple[str, ...]:
    _, start, end = _element(data, extensions[1], extensions[2], _SEQUENCE)
    for _, *extension in _children(data, start, end):
        parts = _children(data, *extension)
        if parts and data[parts[0][1] : parts[0][2]] == _SUBJECT_ALT_NAME:
            _, start, end = _element(data, parts[-1][1], parts[-1][2], _SEQUENCE)
            names = _children(data, start, end)
            return tuple(
                data[at:to].decode("utf-8", "backslashreplace")
                for kind, at, to in names
                if kind == 0x82
            )
    return ()
