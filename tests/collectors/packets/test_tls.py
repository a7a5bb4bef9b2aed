"""TLS: names, versions, fingerprints and certificates of handshakes, in any segmentation."""

import hashlib
from pathlib import Path
from struct import pack

from hypothesis import given
from hypothesis import strategies as st

from collectors.packets.reading import read_capture
from collectors.packets.tls_hello import client_hello
from soc.model.time import parse_iso
from tests.collectors.packets.build import Talk, dissect, of, request, response
from tests.data import archive

NOW = parse_iso("2026-11-23T00:00:00Z")


def vector(size: int, data: bytes) -> bytes:
    return len(data).to_bytes(size, "big") + data


def extension(kind: int, data: bytes) -> bytes:
    return pack("!H", kind) + vector(2, data)


def handshake(kind: int, body: bytes) -> bytes:
    return bytes([kind]) + vector(3, body)


def record(kind: int, data: bytes, size: int = 1 << 14) -> bytes:
    parts = [data[at : at + size] for at in range(0, len(data), size)]
    return b"".join(bytes([kind, 3, 3]) + vector(2, part) for part in parts)


def hello(host: str = "c2.example", *, tls13: bool = False) -> bytes:
    parts = [
        extension(0x2A2A, b""),  # GREASE
        extension(0, vector(2, b"\0" + vector(2, host.encode()))),
        extension(10, vector(2, pack("!HHH", 0x3A3A, 29, 23))),
        extension(11, vector(1, b"\0")),
        extension(13, vector(2, pack("!HH", 0x0403, 0x0804))),
        extension(16, vector(2, vector(1, b"h2") + vector(1, b"http/1.1"))),
    ]
    if tls13:
        parts.append(extension(43, vector(1, pack("!HHH", 0x4A4A, 0x0304, 0x0303))))
    ciphers = pack("!HHHH", 0x1A1A, 0x1301, 0xC02F, 0x00FF)
    body = b"\x03\x03" + bytes(32) + vector(1, b"s" * 32) + vector(2, ciphers) + vector(1, b"\0")
    return body + vector(2, b"".join(parts))


def server_hello(cipher: int, *extensions: bytes) -> bytes:
    body = b"\x03\x03" + bytes(range(32)) + vector(1, b"") + pack("!HB", cipher, 0)
    return body + vector(2, b"".join(extensions))


def der(tag: int, *parts: bytes) -> bytes:
    data = b"".join(parts)
    size = bytes([len(data)]) if len(data) < 128 else b"\x82" + pack("!H", len(data))
    return bytes([tag]) + size + data


def certificate(subject: str, issuer: str) -> bytes:
    def called(text: str) -> bytes:
        return der(0x30, der(0x31, der(0x30, der(6, b"\x55\x04\x03"), der(0x0C, text.encode()))))

    algorithm = der(0x30, der(6, b"\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0b"), der(5))
    dates = der(0x30, der(0x17, b"260101000000Z"), der(0x18, b"20510101000000Z"))
    alternative = der(0x30, der(0x82, b"alt.example"))
    extensions = der(0xA3, der(0x30, der(0x30, der(6, b"\x55\x1d\x11"), der(4, alternative))))
    version, serial = der(0xA0, der(2, b"\x02")), der(2, b"\x0a\xbc")
    key = der(0x30, algorithm, der(3, b"\0key"))
    inside = (version, serial, algorithm, called(issuer), dates, called(subject), key, extensions)
    return der(0x30, der(0x30, *inside), algorithm, der(3, b"\0signature"))


def connection(size: int = 1400, fragment: int = 1 << 14) -> Talk:
    """Return a whole handshake of TLS 1.2."""
    cert = certificate("c2.example", "Made Up CA")
    chain = vector(3, vector(3, cert))
    talk = Talk(port=443).open().ask(record(22, handshake(1, hello()), fragment), size)
    first = handshake(2, server_hello(0xC02F, extension(16, vector(2, vector(1, b"h2")))))
    first += handshake(11, chain) + handshake(12, b"\x03\0\x1d" + bytes(40)) + handshake(14, b"")
    talk.answer(record(22, first, fragment), size)
    last = record(20, b"\1") + record(22, b"\xff" * 40)
    return talk.ask(record(22, handshake(16, bytes(33))) + last, size).answer(last, size)


@given(st.integers(1, 300), st.integers(5, 300))
def test_handshake_is_read_in_any_segmentation(size: int, fragment: int) -> None:
    (tls,) = of(dissect(connection(size, fragment).frames), "tls")
    assert tls["tls.client.server_name"] == "c2.example"
    assert (tls["tls.version"], tls["tls.version_protocol"]) == ("1.2", "tls")
    assert tls["tls.cipher"] == "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256"
    assert tls["tls.curve"] == "x25519"
    assert tls["tls.next_protocol"] == "h2"
    assert tls["tls.client.alpn"] == ["h2", "http/1.1"]
    assert tls["tls.established"] is True
    assert tls["tls.resumed"] is False
    assert tls["tls.server.subject"] == "CN=c2.example"
    assert tls["tls.server.issuer"] == "CN=Made Up CA"
    assert tls["tls.server.not_before"] == "2026-01-01T00:00:00.000000Z"
    assert tls["tls.server.not_after"] == "2051-01-01T00:00:00.000000Z"
    assert tls["tls.server.x509.serial_number"] == "0ABC"
    assert tls["tls.server.x509.alternative_names"] == ["alt.example"]
    digest = hashlib.sha256(certificate("c2.example", "Made Up CA")).hexdigest().upper()
    assert tls["tls.server.hash.sha256"] == digest


def test_ja3_is_what_its_definition_says() -> None:
    text = "771,4865-49199-255,0-10-11-13-16,29-23,0"
    expected = hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()
    assert client_hello(hello()).ja3() == expected


def test_ja4_is_what_its_definition_says() -> None:
    ciphers = hashlib.sha256(b"00ff,1301,c02f").hexdigest()[:12]
    rest = hashlib.sha256(b"000a,000b,000d,002b_0403,0804").hexdigest()[:12]
    assert client_hello(hello(tls13=True)).ja4() == f"t13d0306h2_{ciphers}_{rest}"


def test_ja3s_and_version_of_tls13_come_from_the_extensions() -> None:
    chosen = (extension(43, b"\x03\x04"), extension(51, pack("!HH", 29, 0)))
    talk = Talk(port=8443).open().ask(record(22, handshake(1, hello(tls13=True))))
    talk.answer(record(22, handshake(2, server_hello(0x1301, *chosen))) + record(23, bytes(99)))
    (tls,) = of(dissect(talk.ask(record(20, b"\1") + record(23, bytes(60))).frames), "tls")
    expected = hashlib.md5(b"771,4865,43-51", usedforsecurity=False).hexdigest()
    assert tls["tls.server.ja3s"] == expected
    assert (tls["tls.version"], tls["tls.curve"]) == ("1.3", "x25519")
    assert tls["tls.established"] is True


def test_tls_inside_a_proxy_tunnel_and_after_starttls_is_found() -> None:
    opening = request("c2.example:443", method="CONNECT")
    talk = Talk(port=3128).open().ask(opening).answer(b"HTTP/1.1 200 OK\r\n\r\n")
    records = dissect(talk.ask(record(22, handshake(1, hello()))).frames)
    assert of(records, "http")[0]["http.request.method"] == "CONNECT"
    assert of(records, "tls")[0]["tls.client.server_name"] == "c2.example"
    talk = Talk(port=25).open().answer(b"220 mail\r\n").ask(b"STARTTLS\r\n").answer(b"220 go\r\n")
    records = dissect(talk.ask(record(22, handshake(1, hello("mail.example")))).frames)
    assert of(records, "tls")[0]["tls.client.server_name"] == "mail.example"


@given(st.binary(max_size=400), st.binary(max_size=400))
def test_any_bytes_in_a_handshake_are_survived(first: bytes, second: bytes) -> None:
    talk = Talk(port=443).open().ask(record(22, handshake(1, first) + second) + second)
    talk.answer(record(22, handshake(2, server_hello(1)) + handshake(11, second)) + first)
    dissect(talk.ask(record(22, hello())).answer(response()).close().frames)


def test_handshakes_of_real_traffic_agree_with_the_baseline() -> None:
    trace = Path(archive("zeek-half")) / "Traces" / "tls" / "ecdhe.pcap"
    (tls,) = (e for e in read_capture(trace, received=NOW) if e["event.dataset"] == "tls")
    assert tls["tls.client.ja3"] == "29d8afc9e0a4d38d138ec2643966815f"
