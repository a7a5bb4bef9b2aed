"""DNS names and record data as text (RFC 1035, 3596, 2782, 4034, 8659, 9460)."""

from collections.abc import Callable
from ipaddress import IPv6Address
from socket import inet_ntoa
from struct import calcsize, unpack_from
from typing import Any, Final

OPCODES: Final = {0: "QUERY", 1: "IQUERY", 2: "STATUS", 4: "NOTIFY", 5: "UPDATE", 6: "DSO"}
CLASSES: Final = {1: "IN", 3: "CH", 4: "HS", 254: "NONE", 255: "ANY"}
RCODES: Final = {
    **{0: "NOERROR", 1: "FORMERR", 2: "SERVFAIL", 3: "NXDOMAIN", 4: "NOTIMP", 5: "REFUSED"},
    **{6: "YXDOMAIN", 7: "YXRRSET", 8: "NXRRSET", 9: "NOTAUTH", 10: "NOTZONE", 11: "DSOTYPENI"},
    **{16: "BADVERS", 17: "BADKEY", 18: "BADTIME", 19: "BADMODE", 20: "BADNAME", 21: "BADALG"},
    **{22: "BADTRUNC", 23: "BADCOOKIE"},
}
TYPES: Final = {
    **{1: "A", 2: "NS", 3: "MD", 4: "MF", 5: "CNAME", 6: "SOA", 7: "MB", 8: "MG", 9: "MR"},
    **{10: "NULL", 11: "WKS", 12: "PTR", 13: "HINFO", 14: "MINFO", 15: "MX", 16: "TXT"},
    **{17: "RP", 18: "AFSDB", 24: "SIG", 25: "KEY", 28: "AAAA", 29: "LOC", 33: "SRV"},
    **{35: "NAPTR", 36: "KX", 37: "CERT", 39: "DNAME", 41: "OPT", 42: "APL", 43: "DS"},
    **{44: "SSHFP", 45: "IPSECKEY", 46: "RRSIG", 47: "NSEC", 48: "DNSKEY", 49: "DHCID"},
    **{50: "NSEC3", 51: "NSEC3PARAM", 52: "TLSA", 53: "SMIMEA", 55: "HIP", 59: "CDS"},
    **{60: "CDNSKEY", 61: "OPENPGPKEY", 62: "CSYNC", 63: "ZONEMD", 64: "SVCB", 65: "HTTPS"},
    **{99: "SPF", 108: "EUI48", 109: "EUI64", 249: "TKEY", 250: "TSIG", 251: "IXFR"},
    **{252: "AXFR", 253: "MAILB", 254: "MAILA", 255: "ANY", 256: "URI", 257: "CAA"},
}

_MAX_NAME: Final = 255
_MAX_JUMPS: Final = 32
_MAX_HEX: Final = 256
_MAX_STRINGS: Final = 64
_VISIBLE: Final = {code: chr(code) for code in range(33, 127) if chr(code) not in '.\\"'}
_LABEL: Final = {code: _VISIBLE.get(code, f"\\{code:03d}") for code in range(256)}
_TEXT: Final = {**_LABEL, 32: " ", 46: "."}


class Names:
    """Reads a message's names; what pointers lead to is read once."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self._known: dict[int, str] = {}

    def numbers(self, layout: str, position: int) -> tuple[Any, ...]:
        """Return unpacked numbers; raise ValueError where the message ends before them."""
        if position + calcsize(layout) > len(self.data):
            raise ValueError("message is cut off")
        return unpack_from(layout, self.data, position)

    def read(self, position: int) -> tuple[str, int]:
        """Return the name at a position and where it ends, "." for the root.

        Raises ValueError for a pointer that does not point back (RFC 9267), for more than 32 of
        them and for a name longer than 255 bytes.
        """
        data, labels = self.data, list[str]()
        jumps: list[tuple[int, int]] = []
        lowest, end, size = position, -1, 0
        while True:
            if position >= len(data):
                raise ValueError("name beyond the message")
            length = data[position]
            if length < 64:
                position += 1
                if length == 0:
                    break
                size += length + 1
                labels.append(_label(data[position : position + length]))
                position += length
                if size > _MAX_NAME:
                    raise ValueError("name too long")
                continue
            target = self.numbers("!H", position)[0] & 0x3FFF
            end = position + 2 if end < 0 else end
            if length < 0xC0 or target >= lowest or len(jumps) >= _MAX_JUMPS:
                raise ValueError("broken name pointer")
            if target in self._known:
                labels.extend(filter(None, (self._known[target],)))
                break
            jumps.append((target, len(labels)))
            position = lowest = target
        for target, index in jumps:
            self._known[target] = ".".join(labels[index:])
        name = ".".join(labels)
        if len(name) > 4 * _MAX_NAME:
            raise ValueError("name too long")
        return name or ".", position if end < 0 else end


def _label(label: bytes) -> str:
    if label.replace(b"-", b"").replace(b"_", b"").isalnum():
        return label.decode("ascii")
    return "".join([_LABEL[code] for code in label])


def _address(names: Names, at: int, size: int) -> str:
    if size != 4:
        raise ValueError("not an address")
    return inet_ntoa(names.data[at : at + 4])


def _address6(names: Names, at: int, size: int) -> str:
    if size != 16:
        raise ValueError("not an address")
    return str(IPv6Address(names.data[at : at + 16]))


def _name(names: Names, at: int, size: int) -> str:
    return names.read(at)[0]


def _mx(names: Names, at: int, size: int) -> str:
    return f"{names.numbers('!H', at)[0]} {names.read(at + 2)[0]}"


def _soa(names: Names, at: int, size: int) -> str:
    primary, at = names.read(at)
    mailbox, at = names.read(at)
    return " ".join((primary, mailbox, *map(str, names.numbers("!5I", at))))


def _srv(names: Names, at: int, size: int) -> str:
    return " ".join((*map(str, names.numbers("!3H", at)), names.read(at + 6)[0]))


def _strings(names: Names, at: int, size: int) -> list[str]:
    parts, end = [], at + size
    while at < end:
        length = names.data[at]
        parts.append(_text(names.data[at + 1 : min(at + 1 + length, end)]))
        at += 1 + length
    return parts


def _null(names: Names, at: int, size: int) -> str:
    return _text(names.data[at : at + min(size, _MAX_HEX)])


def _caa(names: Names, at: int, size: int) -> str:
    flags, length = names.numbers("BB", at)
    tag = _text(names.data[at + 2 : at + 2 + length])
    return f"{flags} {tag} {_text(names.data[at + 2 + length : at + size])}"


def _rrsig(names: Names, at: int, size: int) -> str:
    covered, algorithm, labels, ttl, until, since, tag = names.numbers("!HBBIIIH", at)
    signer = names.read(at + 18)[0]
    kind = TYPES.get(covered, f"TYPE{covered}")
    return f"{kind} {algorithm} {labels} {ttl} {until} {since} {tag} {signer}"


def _ds(names: Names, at: int, size: int) -> str:
    tag, algorithm, digest = names.numbers("!HBB", at)
    return f"{tag} {algorithm} {digest} {names.data[at + 4 : at + size].hex()}"


def _svcb(names: Names, at: int, size: int) -> str:
    name, end = names.read(at + 2)
    rest = names.data[end : at + size][:_MAX_HEX].hex()
    return " ".join(filter(None, (str(names.numbers("!H", at)[0]), name, rest)))


def _text(data: bytes) -> str:
    return "".join([_TEXT[code] for code in data])


_DATA: Final[dict[int, Callable[[Names, int, int], str]]] = {
    1: _address,
    28: _address6,
    **dict.fromkeys((2, 3, 4, 5, 7, 8, 9, 12, 39), _name),
    **dict.fromkeys((15, 18, 36), _mx),
    6: _soa,
    10: _null,
    33: _srv,
    257: _caa,
    **dict.fromkeys((24, 46), _rrsig),
    **dict.fromkeys((43, 59), _ds),
    **dict.fromkeys((64, 65), _svcb),
}


_STRINGS: Final = frozenset({16, 99})


def rdata(names: Names, kind: int, at: int, size: int) -> list[str]:
    """Return a record's data as text; hexadecimal for what is unknown or broken.

    It is one value, but for each string of a TXT record (as Suricata has it).
    """
    if kind in _STRINGS:
        return _strings(names, at, size)[:_MAX_STRINGS] or [""]
    read = _DATA.get(kind)
    if read is not None and size:
        try:
            return [read(names, at, size)]
        except ValueError:
            pass
    return [names.data[at : at + size][:_MAX_HEX].hex()]
