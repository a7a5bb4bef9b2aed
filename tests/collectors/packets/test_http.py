"""HTTP: requests and responses paired, bodies carved, whatever servers and attackers send."""

import gzip
import hashlib
import zlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collectors.packets.carve import Carver
from collectors.packets.dissect import Dissector
from collectors.packets.reading import read_capture
from collectors.packets.talk import Fields
from soc.files import FileStore
from soc.model.time import parse_iso
from tests.collectors.packets.build import Talk, dissect, of, pcap, request, response

NOW = parse_iso("2026-11-23T00:00:00Z")
SHELL = b"<?php echo 'a made up page'; ?>"


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def exchange(asked: bytes, answered: bytes = b"") -> list[Fields]:
    return dissect(Talk().open().ask(asked).answer(answered).close().frames)


def test_exchange_is_one_record_with_its_url_and_status() -> None:
    fields = "User-Agent: probe/1\r\nReferer: http://a.example/\r\n"
    records = exchange(request("/a/b.php?x=1&y=2", fields=fields), response(b"<html>", status=404))
    (http,) = of(records, "http")
    assert http["http.request.method"] == "GET"
    assert http["url.original"] == "/a/b.php?x=1&y=2"
    assert (http["url.path"], http["url.query"]) == ("/a/b.php", "x=1&y=2")
    assert http["url.full"] == "http://portal.example/a/b.php?x=1&y=2"
    assert (http["url.domain"], http["url.port"], http["url.extension"]) == (
        "portal.example",
        80,
        "php",
    )
    assert http["user_agent.original"] == "probe/1"
    assert http["http.request.referrer"] == "http://a.example/"
    assert (http["http.version"], http["http.response.status_code"]) == ("1.1", 404)
    assert http["http.response.body.bytes"] == 6


def test_pipelined_requests_are_paired_in_order() -> None:
    asked = b"".join(request(f"/{n}") for n in range(5))
    answered = b"".join(response(b"x" * n, status=200 + n) for n in range(5))
    found = of(exchange(asked, answered), "http")
    assert [(r["url.original"], r["http.response.status_code"]) for r in found] == [
        (f"/{n}", 200 + n) for n in range(5)
    ]


@given(st.lists(st.binary(min_size=1, max_size=300), max_size=6), st.integers(1, 100))
def test_chunks_of_any_size_give_the_body(parts: list[bytes], size: int) -> None:
    chunks = b"".join(b"%x;note=1\r\n%b\r\n" % (len(p), p) for p in parts)
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    talk = Talk().open().ask(request()).answer(head + chunks + b"0\r\nX: y\r\n\r\n", size)
    records = dissect(talk.ask(request("/next")).answer(response()).close().frames)
    assert [r["url.original"] for r in of(records, "http")] == ["/", "/next"]
    body = b"".join(parts)
    assert [f["file.hash.sha256"] for f in of(records, "file")] == ([sha256(body)] if body else [])


@pytest.mark.parametrize(
    ("coding", "packed"),
    [
        ("gzip", gzip.compress(SHELL, mtime=0)),
        ("x-gzip", gzip.compress(SHELL[:9], mtime=0) + gzip.compress(SHELL[9:], mtime=0)),
        ("deflate", zlib.compress(SHELL)),
        ("deflate", zlib.compress(SHELL)[2:-4]),
        ("gzip", SHELL),
    ],
)
def test_content_coding_is_undone(coding: str, packed: bytes) -> None:
    records = exchange(request(), response(packed, fields=f"Content-Encoding: {coding}\r\n"))
    (file,) = of(records, "file")
    assert file["file.hash.sha256"] == sha256(SHELL)
    assert file["file.mime_type"] == "text/x-php"


def test_damaged_gzip_is_said_to_be_damaged() -> None:
    packed = bytearray(gzip.compress(SHELL * 50))
    packed[15] ^= 0xFF
    records = exchange(request(), response(bytes(packed), fields="Content-Encoding: gzip\r\n"))
    assert all(f["soc.file.state"] == "damaged" for f in of(records, "file"))


@given(st.integers(1, 200), st.binary(max_size=400))
def test_upload_in_a_form_is_carved_part_by_part(size: int, content: bytes) -> None:
    boundary = b"----b0undary"
    body = b"".join(
        (
            b"preamble\r\n--"
            + boundary
            + b'\r\nContent-Disposition: form-data; name="q"\r\n\r\nno',
            b"\r\n--" + boundary + b'\r\nContent-Disposition: form-data; name="f"; ',
            b'filename="../../x.php"\r\n\r\n' + content,
            b"\r\n--" + boundary + b"--\r\n",
        )
    )
    kind = f"Content-Type: multipart/form-data; boundary={boundary.decode()}\r\n"
    asked = request("/up", method="POST", body=body, fields=kind)
    records = dissect(Talk().open().ask(asked, size).answer(response()).close().frames)
    files = of(records, "file")
    if boundary in content or not content:
        return
    assert [(f["file.hash.sha256"], f["file.path"]) for f in files] == [
        (sha256(content), "../../x.php")
    ]
    assert files[0]["file.name"] == "x.php"
    assert files[0]["source.ip"] == "10.0.0.7"


def test_carved_content_lies_in_the_store_under_its_digest(tmp_path: Path) -> None:
    store = FileStore(tmp_path / "files")
    name = 'Content-Disposition: attachment; filename="/etc/cron.d/evil"\r\n'
    talk = Talk().open().ask(request("/get")).answer(response(SHELL, fields=name)).close()
    (file,) = of(dissect(talk.frames, Dissector(carver=Carver(store))), "file")
    path = store.path(file["soc.file.stored"])
    assert path is not None
    assert path.read_bytes() == SHELL
    assert file["file.path"] == "/etc/cron.d/evil"
    assert [p.name for p in tmp_path.rglob("*") if p.is_file()] == [sha256(SHELL)]
    assert (file["source.ip"], file["destination.ip"]) == ("192.0.2.80", "10.0.0.7")


def test_store_given_to_the_reader_is_used(tmp_path: Path) -> None:
    capture, store = tmp_path / "x.pcap", FileStore(tmp_path / "files")
    capture.write_bytes(pcap(Talk().open().ask(request()).answer(response(SHELL)).close().frames))
    dissector = Dissector()
    events = list(read_capture(capture, received=NOW, files=store, dissector=dissector))
    assert list(store) == [events[0]["soc.file.stored"]] == [sha256(SHELL)]
    assert (dissector.carver.files, dissector.carver.stored) == (1, 1)


def test_request_that_nobody_answers_is_told() -> None:
    talk = Talk().open().ask(request("/silence")).ask(b"GET /half HTTP/1.1\r\nHost: a")
    found = of(dissect(talk.frames), "http")
    assert [r["url.original"] for r in found] == ["/silence", "/half"]


def test_continue_head_and_not_modified_have_no_body() -> None:
    asked = (
        request("/a", method="POST", body=b"z" * 10) + request("/b", method="HEAD") + request("/c")
    )
    answered = (
        b"HTTP/1.1 100 Continue\r\n\r\n"
        + response(b"ok")
        + b"HTTP/1.1 200 OK\r\nContent-Length: 999\r\n\r\n"
        + b"HTTP/1.1 304 Not Modified\r\nContent-Length: 999\r\n\r\n"
    )
    found = of(exchange(asked, answered), "http")
    assert [(r["http.request.method"], r["http.response.status_code"]) for r in found] == [
        ("POST", 200),
        ("HEAD", 200),
        ("GET", 304),
    ]
    assert found[0]["http.request.body.bytes"] == 10


def test_body_that_ends_with_the_connection_is_whole() -> None:
    (file,) = of(exchange(request(), b"HTTP/1.0 200 OK\r\n\r\n" + SHELL), "file")
    assert file["file.hash.sha256"] == sha256(SHELL)


def test_http_on_another_port_is_found() -> None:
    talk = Talk(port=8081).open().ask(request("/odd")).answer(response()).close()
    assert of(dissect(talk.frames), "http")[0]["url.port"] == 8081


@pytest.mark.parametrize(
    "cruft",
    [
        b"\0" * 3000,
        b"GET " + b"a" * 70_000,
        b"GET / HTTP/1.1\r\n" + b"a: b\r\n" * 5000 + b"\r\n",
        b"GET / HTTP/1.1\r\nContent-Length: 99999999999999999999999\r\n\r\n",
        b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n",
        b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n-5\r\n",
        b"OPTIONS sip:a@b SIP/2.0\r\n\r\n",
    ],
)
def test_cruft_is_survived(cruft: bytes) -> None:
    exchange(cruft, cruft)
    exchange(request() + cruft, response() + cruft)
