"""TLS: what a handshake shows: server name, versions, fingerprints, certificates.

Records and handshake messages are put together over segments; what is encrypted stays so.
"""

from dataclasses import dataclass, field
from hashlib import md5, sha1, sha256
from typing import Final, Literal

from collectors.packets.der import certificate
from collectors.packets.talk import Conversation, Fields, Tools
from collectors.packets.tls_hello import VERSIONS, Hello, client_hello, server_hello
from collectors.packets.tls_names import CURVES, cipher
from soc.model.time import iso

MAX_HANDSHAKE: Final = 1 << 17
"""Bytes of a side's handshake that are put together; a long chain of certificates has 10 KiB."""

MAX_OFFERED: Final = 256
"""Ciphers and protocols of a client that are told."""

_CHANGE, _ALERT, _HANDSHAKE, _DATA = 20, 21, 22, 23
_CLIENT_HELLO, _SERVER_HELLO, _CERTIFICATE, _KEY_EXCHANGE = 1, 2, 11, 12
_TLS13: Final = 0x0304


def recognise(head: bytes, client: bool, ports: tuple[int, int]) -> bool | None:
    """Tell whether a stream that begins so is TLS."""
    if len(head) < 6:
        return None if b"\x16\x03".startswith(head[:2]) else False
    first = _CLIENT_HELLO if client else _SERVER_HELLO
    return head[0] == _HANDSHAKE and head[1] == 3 and head[2] <= 4 and head[5] == first


def converse(tools: Tools) -> Conversation:
    """Return the conversation of a TLS connection."""
    return _Tls(tools)


@dataclass(slots=True)
class _Side:
    records: bytes = b""
    messages: bytearray = field(default_factory=bytearray)
    hello: Hello | None = None
    chain: tuple[bytes, ...] = ()
    curve: int = 0
    encrypted: bool = False
    finished: bool = False


class _Tls:
    name = "tls"

    def __init__(self, tools: Tools) -> None:
        self.done = False
        self.became: Conversation | None = None
        self._tools = tools
        self._sides = {True: _Side(), False: _Side()}
        self._time = -1
        self._established = False

    def feed(self, client: bool, data: bytes, time: int) -> None:
        if self._time < 0:
            self._time = time
        side = self._sides[client]
        data = side.records + data
        position = 0
        while position + 5 <= len(data) and not self.done:
            size = data[position + 3] << 8 | data[position + 4]
            end = position + 5 + size
            if data[position + 1] != 3 or not _CHANGE <= data[position] <= 24 or size > 0x4800:
                self.done = True
                break
            if end > len(data):
                break
            self._record(side, client, data[position], data[position + 5 : end])
            position = end
        side.records = data[position:]

    def gap(self, client: bool, size: int, time: int) -> None:
        self.done = True

    def close(self, client: bool, time: int) -> None:
        pass

    def finish(self, time: int) -> None:
        self.done = True
        client, server = self._sides[True], self._sides[False]
        if self._time >= 0 and (client.hello or server.hello):
            fields = self._negotiated()
            if hello := client.hello:
                fields |= _offered(hello)
            fields |= _certificates("tls.client", client.chain)
            fields |= _certificates("tls.server", server.chain)
            self._tools.emit("tls", self._time, fields)
        self._time = -1

    def _record(self, side: _Side, client: bool, kind: int, data: bytes) -> None:
        if kind == _HANDSHAKE and not side.encrypted:
            side.messages += data
            self._messages(side, client)
        elif kind == _CHANGE:
            # In TLS 1.3 it means nothing (RFC 8446, D.4); what is encrypted comes as data.
            side.encrypted = not self._is_tls13()
        elif kind == _HANDSHAKE:
            side.finished = True
        elif kind == _DATA:
            side.finished = True
            if not self._is_tls13():
                self._sides[not client].finished = True
        if self._sides[True].finished and self._sides[False].finished:
            self._established = self.done = True

    def _is_tls13(self) -> bool:
        hello = self._sides[False].hello
        return hello is not None and hello.version >= _TLS13

    def _messages(self, side: _Side, client: bool) -> None:
        data, position = side.messages, 0
        while position + 4 <= len(data):
            kind, size = data[position], int.from_bytes(data[position + 1 : position + 4], "big")
            if size > MAX_HANDSHAKE:
                self.done = True
                return
            end = position + 4 + size
            if end > len(data):
                break
            try:
                self._message(side, client, kind, bytes(data[position + 4 : end]))
            except ValueError:  # this message says nothing; the next one may
                self.done = self.done or kind in (_CLIENT_HELLO, _SERVER_HELLO)
            position = end
        del data[:position]

    def _message(self, side: _Side, client: bool, kind: int, data: bytes) -> None:
        if kind == _CLIENT_HELLO and client and side.hello is None:
            side.hello = client_hello(data)
        elif kind == _SERVER_HELLO and not client:
            hello = server_hello(data)
            if side.hello is None or side.hello.retry:
                side.hello = hello
        elif kind == _CERTIFICATE and not side.chain:
            side.chain = _chain(data)
        elif kind == _KEY_EXCHANGE and data[:1] == b"\x03" and len(data) > 3:  # a named curve
            side.curve = data[1] << 8 | data[2]

    def _negotiated(self) -> Fields:
        fields: Fields = {"tls.established": self._established}
        hello = self._sides[False].hello
        if hello is None:
            offered = self._sides[True].hello
            if offered is not None:  # nobody answered: the version that was asked for
                fields["tls.version_protocol"], fields["tls.version"] = _version(offered)
            return fields
        fields["tls.version_protocol"], fields["tls.version"] = _version(hello)
        fields["tls.cipher"] = cipher(hello.ciphers[0])
        fields["tls.server.ja3s"] = hello.ja3s()
        if hello.alpn:
            fields["tls.next_protocol"] = hello.alpn[0].decode("utf-8", "backslashreplace")
        if curve := hello.curve or self._sides[False].curve:
            fields["tls.curve"] = CURVES.get(curve, str(curve))
        offered = self._sides[True].hello
        if offered is not None and not self._is_tls13():
            same = bool(hello.session) and hello.session == offered.session
            fields["tls.resumed"] = not self._sides[False].chain and (same or self._established)
        return fields


def _version(hello: Hello) -> tuple[str, str]:
    return VERSIONS.get(hello.version, ("tls", f"0x{hello.version:04x}"))


Side = Literal["tls.client", "tls.server"]


def _offered(hello: Hello) -> Fields:
    fields: Fields = {
        "tls.client.ja3": hello.ja3(),
        "tls.client.ja4": hello.ja4(),
        "tls.client.supported_ciphers": list(map(cipher, hello.ciphers[:MAX_OFFERED])),
    }
    if hello.server_name:
        fields["tls.client.server_name"] = hello.server_name
    if hello.alpn:
        names = [name.decode("utf-8", "backslashreplace") for name in hello.alpn[:MAX_OFFERED]]
        fields["tls.client.alpn"] = names
    return fields


def _certificates(side: Side, chain: tuple[bytes, ...]) -> Fields:
    """Return what the first certificate says; its digests even when it cannot be read."""
    if not chain:
        return {}
    first = chain[0]
    fields: Fields = {
        f"{side}.hash.md5": md5(first, usedforsecurity=False).hexdigest().upper(),
        f"{side}.hash.sha1": sha1(first, usedforsecurity=False).hexdigest().upper(),
        f"{side}.hash.sha256": sha256(first).hexdigest().upper(),
    }
    try:
        found = certificate(first)
    except ValueError:
        return fields
    fields[f"{side}.subject"] = found.subject
    fields[f"{side}.issuer"] = found.issuer
    fields[f"{side}.not_before"] = iso(found.not_before)
    fields[f"{side}.not_after"] = iso(found.not_after)
    fields[f"{side}.x509.serial_number"] = found.serial
    if found.common_names:
        fields[f"{side}.x509.subject.common_name"] = list(found.common_names)
    if found.alternative_names:
        fields[f"{side}.x509.alternative_names"] = list(found.alternative_names)
    return fields


def _chain(data: bytes) -> tuple[bytes, ...]:
    """Return the certificates of a Certificate message (TLS 1.2 and before)."""
    if len(data) < 3:
        raise ValueError("short certificate message")
    found: list[bytes] = []
    position = 3
    while position + 3 <= len(data) and len(found) < 16:
        size = int.from_bytes(data[position : position + 3], "big")
        if position + 3 + size > len(data):
            raise ValueError("certificate beyond its message")
        found.append(data[position + 3 : position + 3 + size])
        position += 3 + size
    return tuple(found)
