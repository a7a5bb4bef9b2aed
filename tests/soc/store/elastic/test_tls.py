"""What is wrong with a server's TLS is said in words; the servers are real, on loopback."""

import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from soc.errors import Refused, UsageError
from soc.store.base import Silent
from soc.store.elastic import ElasticStore, bounded, client
from soc.store.elastic.certs import authority, certificate
from soc.store.open import Access
from tests.command import Ran, soc


@contextmanager
def serving(folder: Path | None, name: str = "") -> Iterator[int]:
    """Listen with a certificate, or without TLS, and hang up on whoever got through."""
    context = None
    if folder is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(folder / f"{name}.crt", folder / f"{name}.key")
    listener = socket.create_server(("127.0.0.1", 0))
    ended = threading.Event()

    def serve() -> None:
        while not ended.is_set():
            try:
                peer, _ = listener.accept()
            except OSError:
                return
            with peer:
                peer.settimeout(5)
                try:
                    if context is not None:
                        context.wrap_socket(peer, server_side=True).close()
                    else:
                        peer.recv(100)
                        peer.sendall(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
                except OSError:
                    continue

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield listener.getsockname()[1]
    finally:
        ended.set()
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join(10)


@pytest.fixture
def ca(tmp_path: Path) -> Path:
    """A folder with a CA and a certificate for 127.0.0.1."""
    folder = tmp_path / "ca"
    authority(folder)
    certificate(folder, "node", hosts=["127.0.0.1"], days=1)
    return folder


def status(port: int, ca: Path, home: Path) -> Ran:
    url = {"SOC_STORE__URL": f"https://127.0.0.1:{port}", "SOC_STORE__CA": str(ca / "ca.crt")}
    return soc("store", "status", home=home, environ=url)


def said(ran: Ran, words: str) -> None:
    assert ran.code == 5, ran.err
    assert words in ran.err
    assert "Traceback" not in ran.err


def test_the_ca_of_somebody_else(ca: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    authority(other)
    with serving(ca, "node") as port:
        said(status(port, other, tmp_path), "certificate is not trusted")


def test_an_expired_certificate(ca: Path, tmp_path: Path) -> None:
    (ca / "old.ext").write_text("subjectAltName=IP:127.0.0.1\n")
    new = "openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -noenc -keyout old.key"
    sign = "openssl x509 -req -in old.csr -CA ca.crt -CAkey ca.key -days -1 -extfile old.ext"
    for command in (
        [*new.split(), "-out", "old.csr", "-subj", "/CN=old"],
        [*sign.split(), "-out", "old.crt"],
    ):
        subprocess.run(command, cwd=ca, check=True, capture_output=True, timeout=60)
    with serving(ca, "old") as port:
        ran = status(port, ca, tmp_path)
    said(ran, "certificate has expired")
    assert "soc store certs" in ran.err


def test_another_name(ca: Path, tmp_path: Path) -> None:
    certificate(ca, "es1", hosts=["es1.soc.example", "10.1.2.3"], days=1)
    with serving(ca, "es1") as port:
        said(status(port, ca, tmp_path), "for another name")


def test_a_port_without_tls(ca: Path, tmp_path: Path) -> None:
    with serving(None) as port:
        said(status(port, ca, tmp_path), "does not speak TLS")


def test_certs_are_made_once_and_for_their_owner_only(tmp_path: Path) -> None:
    def run(*names: str) -> Ran:
        return soc("store", "certs", "ca", *names, home=tmp_path)

    made = run("es1.soc.example,10.1.2.1", "es2.soc.example,::1")
    assert made.code == 0, made.err
    for line in ("xpack.security.http.ssl.key: es2.soc.example.key", "ca.crt", "[store] url"):
        assert line in made.err
    files = sorted((tmp_path / "ca").iterdir())
    assert len(files) == 6
    known = {path: path.read_bytes() for path in files}
    for path in files:
        assert path.stat().st_mode & 0o777 == 0o600, path
    again = run("es1.soc.example")
    assert again.code == 6
    assert "es1.soc.example" in again.err
    assert run("es3.soc.example").code == 0
    assert known == {path: path.read_bytes() for path in files}
    checked = subprocess.run(
        ["openssl", "verify", "-purpose", "sslserver", "-CAfile", "ca.crt", "es3.soc.example.crt"],
        cwd=tmp_path / "ca",
        capture_output=True,
        text=True,
        check=False,
    )
    assert checked.returncode == 0, checked.stderr


@pytest.mark.parametrize("name", ["ca", "../up", "a b", "", "x\ny", "-out", "*.example"])
def test_no_name_leads_outside_of_the_folder(tmp_path: Path, name: str) -> None:
    authority(tmp_path / "ca")
    with pytest.raises(UsageError):
        certificate(tmp_path / "ca", name, hosts=["127.0.0.1"], days=1)
    assert sorted(path.name for path in (tmp_path / "ca").iterdir()) == ["ca.crt", "ca.key"]


@pytest.mark.parametrize("host", ["a,DNS:b", "a b", "", "x\ny", "DNS:evil"])
def test_no_host_name_adds_another(tmp_path: Path, host: str) -> None:
    authority(tmp_path / "ca")
    with pytest.raises(UsageError):
        certificate(tmp_path / "ca", "node", hosts=[host], days=1)


def test_half_of_a_ca_is_not_replaced(tmp_path: Path) -> None:
    authority(tmp_path)
    (tmp_path / "ca.key").unlink()
    with pytest.raises(Refused):
        authority(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["ca.crt"]


@contextmanager
def half_open(kind: str) -> Iterator[int]:
    """Listen and never come to TLS: silent, a byte at a time, or with no place for a connection."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=0 if kind == "full" else 100)
    port, ended = listener.getsockname()[1], threading.Event()
    filling = [socket.socket() for _ in range(4 if kind == "full" else 0)]

    def drip() -> None:
        listener.settimeout(0.05)
        while not ended.is_set():
            with suppress(OSError):
                peer, _ = listener.accept()
                with peer:
                    for one in bytes([22, 3, 3, 0, 250, 2, 0, 0, 246]) + bytes(200):
                        if ended.wait(0.02):
                            break
                        peer.sendall(bytes([one]))

    for one in filling:
        one.setblocking(False)
        one.connect_ex(("127.0.0.1", port))
    thread = threading.Thread(target=drip if kind == "dripping" else ended.wait, daemon=True)
    thread.start()
    try:
        yield port
    finally:
        ended.set()
        thread.join(10)
        for one in (listener, *filling):
            one.close()


@pytest.mark.parametrize("kind", ["silent", "dripping", "full"])
@pytest.mark.parametrize(("connect", "whole"), [(0.8, 30.0), (30.0, 0.8)])
def test_a_connection_that_is_not_made_ends_by_whichever_time_is_over_first(
    kind: str, connect: float, whole: float, ca: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """That of connecting and of TLS, ten seconds each, or the minute of the request."""
    monkeypatch.setattr(bounded, "CONNECT", connect)
    monkeypatch.setattr(client, "SECONDS", whole)
    with half_open(kind) as port:
        store = ElasticStore(f"https://127.0.0.1:{port}", Access(ca=ca / "ca.crt"))
        began = time.monotonic()
        with pytest.raises(Silent):
            store.checkpoint("x")
        took = time.monotonic() - began
        store.close()
    assert 0.7 < took < 3, took
