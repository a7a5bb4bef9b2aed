"""TLS hellos (RFC 8446, 5246) and what is told from them: JA3, JA3S, JA4 of the client.

JA3 and JA3S: https://github.com/salesforce/ja3 (BSD-3). JA4: https://github.com/FoxIO-LLC/ja4,
the client part only, which is BSD-3.
"""

from dataclasses import dataclass, field
from hashlib import md5, sha256
from typing import Final

_SNI: Final = 0
_GROUPS: Final = 10
_FORMATS: Final = 11
_SIGNATURES: Final = 13
_ALPN: Final = 16
_VERSIONS: Final = 43
_KEY_SHARE: Final = 51
GREASE: Final = frozenset(n << 8 | n for n in range(0x0A, 0x100, 0x10))

VERSIONS: Final = {
    0x0002: ("ssl", "2.0"),
    0x0300: ("ssl", "3.0"),
    0x0301: ("tls", "1.0"),
    0x0302: ("tls", "1.1"),
    0x0303: ("tls", "1.2"),
    0x0304: ("tls", "1.3"),
}
_RETRY: Final = bytes.fromhex("cf21ad74e59a6111be1d8c021e65b891c2a211167abb8c5e079e09e2c8a8339c")


@dataclass(slots=True)
class Hello:
    """A ClientHello or ServerHello. `version` is the one negotiated, or the highest offered."""

    legacy: int
    version: int
    session: bytes
    ciphers: list[int]
    extensions: list[int] = field(default_factory=list)
    groups: list[int] = field(default_factory=list)
    formats: list[int] = field(default_factory=list)
    signatures: list[int] = field(default_factory=list)
    alpn: list[bytes] = field(default_factory=list)
    server_name: str = ""
    curve: int = 0
    retry: bool = False

    def ja3(self) -> str:
        """Return the MD5 of the client's choices."""
        lists = (self.ciphers, self.extensions, self.groups)
        parts = ["-".join(str(n) for n in numbers if n not in GREASE) for numbers in lists]
        return _md5(",".join((str(self.legacy), *parts, "-".join(map(str, self.formats)))))

    def ja3s(self) -> str:
        """Return the MD5 of the server's choices."""
        return _md5(f"{self.legacy},{self.ciphers[0]},{'-'.join(map(str, self.extensions))}")

    def ja4(self, transport: str = "t") -> str:
        """Return the JA4 of a ClientHello; `transport` is t, q (QUIC) or d (DTLS)."""
        ciphers = sorted(f"{n:04x}" for n in self.ciphers if n not in GREASE)
        extensions = [n for n in self.extensions if n not in GREASE]
        hashed = sorted(f"{n:04x}" for n in extensions if n not in (_SNI, _ALPN))
        signatures = ",".join(f"{n:04x}" for n in self.signatures if n not in GREASE)
        tail = ",".join(hashed) + (f"_{signatures}" if signatures else "")
        version = _JA4_VERSIONS.get(self.version, "00")
        name = "d" if _SNI in extensions else "i"
        counts = f"{min(len(ciphers), 99):02}{min(len(extensions), 99):02}"
        first = f"{transport}{version}{name}{counts}{_ja4_alpn(self.alpn)}"
        return f"{first}_{_ja4_hash(','.join(ciphers))}_{_ja4_hash(tail if hashed else '')}"


_JA4_VERSIONS: Final = {2: "s2", 0x300: "s3", 0x301: "10", 0x302: "11", 0x303: "12", 0x304: "13"}


def _md5(text: str) -> str:
    return md5(text.encode(), usedforsecurity=False).hexdigest()


def _ja4_hash(text: str) -> str:
    return sha256(text.encode()).hexdigest()[:12] if text else "0" * 12


def _ja4_alpn(protocols: list[bytes]) -> str:
    first = next((p for p in protocols[:1] if p), b"")
    if not first:
        return "00"
    ends = first[:1] + first[-1:]
    if ends.isalnum():
        return ends.decode()
    return first.hex()[0] + first.hex()[-1]


class _Reader:
    """Reads numbers and lists; raises ValueError at the end of the data."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.position = 0

    def take(self, size: int) -> bytes:
        end = self.position + size
        if end > len(self.data):
            raise ValueError("hello is cut off")
        taken = self.data[self.position : end]
        self.position = end
        return taken

    def number(self, size: int) -> int:
        return int.from_bytes(self.take(size), "big")

    def vector(self, size: int) -> bytes:
        return self.take(self.number(size))

    def more(self) -> bool:
        return self.position < len(self.data)


def _pairs(data: bytes) -> list[int]:
    return [data[at] << 8 | data[at + 1] for at in range(0, len(data) - 1, 2)]


def client_hello(data: bytes) -> Hello:
    """Return a ClientHello from a handshake message's body; raise ValueError."""
    reader = _Reader(data)
    legacy = reader.number(2)
    reader.take(32)
    session = reader.vector(1)
    ciphers = _pairs(reader.vector(2))
    reader.vector(1)
    hello = Hello(legacy, legacy, session, ciphers)
    for kind, content in _extensions(reader):
        hello.extensions.append(kind)
        _client_extension(hello, kind, _Reader(content))
    return hello


def server_hello(data: bytes) -> Hello:
    """Return a ServerHello from a handshake message's body; raise ValueError."""
    reader = _Reader(data)
    legacy = reader.number(2)
    random = reader.take(32)
    session = reader.vector(1)
    hello = Hello(legacy, legacy, session, [reader.number(2)], retry=random == _RETRY)
    reader.take(1)
    for kind, content in _extensions(reader):
        hello.extensions.append(kind)
        if kind == _VERSIONS and len(content) == 2:
            hello.version = int.from_bytes(content, "big")
        elif kind == _ALPN:
            hello.alpn = _protocols(_Reader(content))
        elif kind == _KEY_SHARE and len(content) >= 2:
            hello.curve = int.from_bytes(content[:2], "big")
    return hello


def _extensions(reader: _Reader) -> list[tuple[int, bytes]]:
    if not reader.more():
        return []
    inner = _Reader(reader.vector(2))
    found = []
    while inner.more():
        found.append((inner.number(2), inner.vector(2)))
    return found


def _client_extension(hello: Hello, kind: int, reader: _Reader) -> None:
    """Take what an extension says; a broken one says nothing."""
    try:
        if kind == _SNI and reader.more():
            names = _Reader(reader.vector(2))
            if names.number(1) == 0:
                hello.server_name = names.vector(2).decode("utf-8", "backslashreplace")
        elif kind == _GROUPS:
            hello.groups = _pairs(reader.vector(2))
        elif kind == _FORMATS:
            hello.formats = list(reader.vector(1))
        elif kind == _SIGNATURES:
            hello.signatures = _pairs(reader.vector(2))
        elif kind == _ALPN:
            hello.alpn = _protocols(reader)
        elif kind == _VERSIONS:
            offered = [n for n in _pairs(reader.vector(1)) if n not in GREASE]
            hello.version = max(offered, default=hello.version)
    except ValueError:
        pass


def _protocols(reader: _Reader) -> list[bytes]:
    inner = _Reader(reader.vector(2))
    found = []
    while inner.more():
        found.append(inner.vector(1))
    return found
