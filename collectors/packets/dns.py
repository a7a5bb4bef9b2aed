"""DNS (RFC 1035, 6891) over UDP and TCP: one record per query and per answer, as ECS asks."""

from dataclasses import dataclass, field
from struct import unpack_from
from typing import Any, Final

from collectors.packets.dns_data import CLASSES, OPCODES, RCODES, TYPES, Names, rdata
from collectors.packets.talk import Conversation, Fields, Tools

PORTS: Final = frozenset({53, 5353, 5355})
"""Ports of DNS, multicast DNS and LLMNR."""

MAX_RECORDS: Final = 256
"""Records of a message that are read; the rest is counted in the message only."""

_FLAGS: Final = (("AA", 0x400), ("TC", 0x200), ("RD", 0x100), ("RA", 0x80), ("AD", 32), ("CD", 16))
_OPT: Final = 41


def message(data: bytes) -> Fields:
    """Return the ECS fields of a DNS message; raise ValueError for what is none.

    A message that is cut off or broken behind its question gives what was read before.
    """
    if len(data) < 12:
        raise ValueError("short DNS header")
    ident, flags, questions, answers, authorities, additional = unpack_from("!6H", data)
    opcode = flags >> 11 & 15
    if questions > 32 or not questions + answers + authorities:
        raise ValueError("not DNS")
    names = Names(data)
    fields: Fields = {
        "dns.id": str(ident),
        "dns.type": "answer" if flags & 0x8000 else "query",
        "dns.op_code": OPCODES.get(opcode, str(opcode)),
        "dns.header_flags": [name for name, bit in _FLAGS if flags & bit],
    }
    position = _questions(names, 12, questions, fields)
    code = flags & 15
    try:
        found: list[list[dict[str, Any]]] = []
        for count in (answers, authorities, additional):
            section, position, extended = _section(names, position, count)
            found.append(section)
            code |= extended
        _put(fields, found)
    except ValueError:
        if not found and not questions:
            raise
        _put(fields, found)
    if flags & 0x8000:
        fields["dns.response_code"] = RCODES.get(code, str(code))
    return fields


def _questions(names: Names, position: int, count: int, fields: Fields) -> int:
    for number in range(count):
        name, position = names.read(position)
        kind, klass = names.numbers("!HH", position)
        position += 4
        if number == 0:
            fields["dns.question.name"] = name
            fields["dns.question.type"] = TYPES.get(kind, f"TYPE{kind}")
            fields["dns.question.class"] = CLASSES.get(klass & 0x7FFF, f"CLASS{klass}")
    return position


def _section(names: Names, position: int, count: int) -> tuple[list[dict[str, Any]], int, int]:
    """Return the records of a section, where it ends, and the upper bits of the response code."""
    found: list[dict[str, Any]] = []
    extended = 0
    for _ in range(min(count, MAX_RECORDS)):
        name, position = names.read(position)
        kind, klass, ttl, size = names.numbers("!HHIH", position)
        position += 10
        if position + size > len(names.data):
            raise ValueError("record beyond the message")
        if kind == _OPT:
            extended |= ttl >> 24 << 4
        else:
            record = {
                "name": name,
                "type": TYPES.get(kind, f"TYPE{kind}"),
                "class": CLASSES.get(klass & 0x7FFF, f"CLASS{klass}"),
                "ttl": ttl,
            }
            found.extend(record | {"data": data} for data in rdata(names, kind, position, size))
        position += size
    return found[:MAX_RECORDS], position, extended


def _put(fields: Fields, sections: list[list[dict[str, Any]]]) -> None:
    for name, records in zip(("dns.answers", "dns.authorities"), sections, strict=False):
        if records:
            fields[name] = records
    if sections and sections[0]:
        addresses = [r["data"] for r in sections[0] if _is_address(r)]
        if addresses:
            fields["dns.resolved_ip"] = list(dict.fromkeys(addresses))


def _is_address(record: dict[str, Any]) -> bool:
    mark = {"A": ".", "AAAA": ":"}.get(record["type"])  # broken data is hexadecimal
    return mark is not None and mark in record["data"]


def recognise(head: bytes, client: bool, ports: tuple[int, int]) -> bool | None:
    """Tell whether a TCP stream that begins so is DNS: by port, and a sound header."""
    if not PORTS.intersection(ports):
        return False
    if len(head) < 6:
        return None
    size, _, flags = unpack_from("!3H", head)
    return size >= 12 and (flags >> 11 & 15) in OPCODES


def converse(tools: Tools) -> Conversation:
    """Return the conversation of a DNS connection over TCP."""
    return _Tcp(tools)


@dataclass(slots=True)
class _Tcp:
    """Messages behind a length of two bytes each (RFC 7766)."""

    tools: Tools
    name: str = "dns"
    done: bool = False
    became: Conversation | None = None
    _waiting: dict[bool, bytes] = field(default_factory=dict)

    def feed(self, client: bool, data: bytes, time: int) -> None:
        waiting = self._waiting.get(client, b"") + data
        position = 0
        while position + 2 <= len(waiting):
            end = position + 2 + (waiting[position] << 8 | waiting[position + 1])
            if end > len(waiting):
                break
            try:
                fields = message(waiting[position + 2 : end])
            except ValueError:
                self.done = True  # out of step, or never was DNS
                return
            self.tools.emit("dns", time, fields, from_client=client)
            position = end
        self._waiting[client] = waiting[position:]

    def gap(self, client: bool, size: int, time: int) -> None:
        self.done = True

    def close(self, client: bool, time: int) -> None:
        pass

    def finish(self, time: int) -> None:
        pass
