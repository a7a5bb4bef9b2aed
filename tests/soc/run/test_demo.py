"""The demo tells the truth: the story is what the rules make of the samples, each time."""

from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from soc.run.demo import ZONE
from tests.collectors.packets.build import START, Talk, pcap, request
from tests.command import soc
from tests.data import ROOT

CAPTURE = ROOT / "soc" / "demo" / "samples" / "portal-upload.pcap"
UPLOAD = datetime(2026, 11, 20, 21, 46, 31, 112_000, ZONE)


def upload() -> bytes:
    """Return the capture of the story: the form that brings the 'portrait', and its answer."""
    portrait = b"GIF89a\x01\x00\x01\x00\x80\x00\x00<?php include('khung-anh.inc'); ?>"
    parts = [
        b'Content-Disposition: form-data; name="cau-hoi"\r\n\r\nXin hoi ve thu tuc.\r\n',
        b'Content-Disposition: form-data; name="anh"; filename="anh-dai-dien.php"\r\n'
        b"Content-Type: image/gif\r\n\r\n" + portrait + b"\r\n",
    ]
    body = b"".join(b"--khung\r\n" + part for part in parts) + b"--khung--\r\n"
    asked = request(
        "/hoi-dap/gui-tep",
        method="POST",
        host="portal.city.example",
        body=body,
        fields="Content-Type: multipart/form-data; boundary=khung\r\n"
        "User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0\r\n",
    )
    talk = Talk(client="203.0.113.77", client_port=50122, server="10.20.4.11")
    talk.open().ask(asked).answer(
        b"HTTP/1.1 302 Found\r\nLocation: /hoi-dap\r\nContent-Length: 0\r\n\r\n"
    ).close()
    late = int(UPLOAD.timestamp() * 1_000_000) - START
    return pcap([(micros + late, frame) for micros, frame in talk.frames])


def test_the_capture_is_made_here(golden_update: bool) -> None:
    if golden_update:
        CAPTURE.write_bytes(upload())
    assert CAPTURE.read_bytes() == upload()


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    import orjson

    home = tmp_path_factory.mktemp("demo")
    ran = soc("demo", "--json", home=home, timeout=30)
    assert ran.code == 0, ran.err
    return home, orjson.loads(ran.out)


def test_every_step_has_the_alerts_it_tells_of(played: tuple[Path, dict[str, Any]]) -> None:
    _, told = played
    assert told["missing"] == []
    assert told["alerts"] == sum(len(step["alerts"]) for step in told["steps"])


def test_the_upload_is_seen_on_the_wire_carved_and_hit(
    played: tuple[Path, dict[str, Any]],
) -> None:
    home, told = played
    (alert,) = [
        alert
        for step in told["steps"]
        for alert in step["alerts"]
        if alert["rule"]["name"] == "Picture With PHP Code In It"
    ]
    assert alert["source"]["ip"] == "203.0.113.77"
    assert alert["file"]["name"] == "anh-dai-dien.php"
    digest = alert["file"]["hash"]["sha256"]
    assert (home / "state" / "demo" / "files" / digest[:2] / digest).read_bytes()[:6] == b"GIF89a"


def test_the_commands_it_names_work(played: tuple[Path, dict[str, Any]]) -> None:
    import shlex

    home, told = played
    assert len(told["try"]) >= 3
    for command in told["try"]:
        name, *arguments = shlex.split(command)
        assert name == "soc"
        ran = soc(*arguments, home=home)
        assert ran.code == 0, f"{command}: {ran.err}"
        assert ran.out


def test_a_second_run_changes_nothing(played: tuple[Path, dict[str, Any]]) -> None:
    home, told = played
    again = soc("demo", "--json", home=home, timeout=30)
    import orjson

    assert orjson.loads(again.out) == told


def test_it_speaks_vietnamese(played: tuple[Path, dict[str, Any]]) -> None:
    home, _ = played
    ran = soc("demo", "-o", "-", home=home, environ={"SOC_LANG": "vi"})
    assert "Một buổi tối trên cổng thông tin thành phố" in ran.out
