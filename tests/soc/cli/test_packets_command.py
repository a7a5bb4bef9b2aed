"""soc packets: captures shown packet by packet, conversations cut out as evidence."""

import gzip
import hashlib
import os
import random
import subprocess
import sys
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from collectors.packets.tools import scapy, tshark
from collectors.packets.tools.decoding import Decoded
from collectors.packets.tools.selection import Wanted
from soc.cli.commands.packets import COLUMNS
from soc.errors import InputError, SocError
from soc.run import packets
from soc.run.packets import Show, frames_of, show_capture
from tests.collectors.packets.build import Talk, ethernet, pcap, request, response
from tests.command import Ran, soc
from tests.data import ROOT, archive

EACH = 8
"""Packets of a conversation of ours."""
SMALL = 20_000
"""Bytes of a real capture that is mutated."""


@pytest.fixture
def capture(tmp_path: Path) -> Path:
    """Return a capture of two conversations, one with an escape sequence in its request."""
    first = Talk(client_port=1001).open().ask(request("/a\x1b[31mb")).answer(response()).close()
    second = Talk(client_port=1002).open().ask(request("/other")).answer(response()).close()
    path = tmp_path / "two.pcap"
    mixed = [frame for pair in zip(first.frames, second.frames, strict=True) for frame in pair]
    path.write_bytes(pcap(mixed))
    return path


def identifiers(path: Path) -> list[str]:
    rows = Show("own", None, _refuse).rows(frames_of([path], _fail))
    return list(dict.fromkeys(row["network.community_id"] for row in rows))


def slice_of(path: Path, out: str, *options: str, home: Path) -> Ran:
    return soc("packets", "slice", path, "-o", out, *options, home=home)


def test_show_has_a_row_for_every_packet(capture: Path, tmp_path: Path) -> None:
    ran = soc("packets", "show", capture, home=tmp_path)
    assert ran.code == 0, ran.err
    rows = ran.documents
    assert [row["soc"]["packets"]["frame"] for row in rows] == list(range(1, EACH * 2 + 1))
    assert rows[0]["source"] == {"address": "10.0.0.7", "ip": "10.0.0.7", "port": 1001}
    assert rows[0]["network"]["bytes"] == 54
    assert "192.0.2.80" in rows[7]["message"] or "/other" in rows[7]["message"]
    assert "\x1b" not in ran.out


def test_show_as_a_table_is_safe_and_limited(capture: Path, tmp_path: Path) -> None:
    ran = soc("packets", "show", capture, "-f", "table", "--limit", "7", "--full", home=tmp_path)
    assert ran.code == 0
    lines = ran.out.splitlines()
    assert len(lines) == 8
    assert all(column.title in lines[0] for column in COLUMNS)
    assert "\x1b" not in ran.out
    assert "only the first 7 packets are shown" in ran.err


def test_show_one_conversation(capture: Path, tmp_path: Path) -> None:
    wanted = identifiers(capture)[1]
    rows = soc("packets", "show", capture, "--community-id", wanted, home=tmp_path).documents
    assert [row["soc"]["packets"]["frame"] for row in rows] == list(range(2, EACH * 2 + 1, 2))
    assert {row["network"]["community_id"] for row in rows} == {wanted}


def test_show_works_without_tshark(capture: Path, tmp_path: Path) -> None:
    why = scapy.missing()
    ran = soc("packets", "show", capture, home=tmp_path, environ={"PATH": "/nonexistent"})
    assert ran.code == 0, ran.err
    assert len(ran.documents) == EACH * 2
    decoders = {row["soc"]["packets"]["decoder"] for row in ran.documents}
    assert decoders == ({"built-in"} if why else {"scapy"})
    assert "tshark is not installed" in ran.err


def test_show_works_with_nothing_installed(capture: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tshark, "missing", lambda: "bubblewrap is not installed")
    monkeypatch.setattr(scapy, "missing", lambda: "scapy is not installed")
    told: list[str] = []
    rows = list(show_capture(capture, None, 100, problem=_fail, tell=told.append))
    assert len(rows) == EACH * 2
    assert rows[7]["network.protocol"] == "http"
    assert rows[7]["message"].startswith("GET /other HTTP/1.1")
    assert "bubblewrap is not installed" in told[0]


def _fail(error: SocError) -> None:
    raise error


def test_a_decoder_that_fails_costs_its_words_only(capture: Path) -> None:
    told: list[str] = []
    asked = []

    def broken(frames: Any) -> Any:
        asked.append(len(frames))
        return [Decoded("X", "said")], "it ended by signal 11"

    show = Show("tshark", broken, told.append)
    rows = list(show.rows(frames_of([capture, capture], _fail)))
    assert [row["soc.packets.decoder"] for row in rows] == ["tshark"] + ["built-in"] * (
        EACH * 4 - 1
    )
    assert "tshark stopped at packet 2" in told[0]
    assert asked == [EACH * 4]


@pytest.mark.parametrize("ending", ["pcap", "pcapng"])
def test_slice_is_read_back_by_others(capture: Path, tmp_path: Path, ending: str) -> None:
    wanted = identifiers(capture)[0]
    ran = slice_of(capture, f"out.{ending}", "--community-id", wanted, home=tmp_path)
    assert ran.code == 0, ran.err
    (said,) = ran.documents
    out = tmp_path / f"out.{ending}"
    assert said["network"]["packets"] == EACH
    assert said["file"]["size"] == out.stat().st_size
    assert said["file"]["hash"]["sha256"] == hashlib.sha256(out.read_bytes()).hexdigest()
    assert said["event"]["start"] == "2026-11-18T11:06:40.000000Z"
    original = [f for f in frames_of([capture], _fail) if f.number % 2]
    again = list(frames_of([out], _fail))
    assert [f[1:] for f in again] == [f[1:] for f in original]
    assert times_by_tshark(out) in ([], [f"{f.micros / 10**6:.6f}" for f in original])
    if not scapy.missing():
        from scapy.utils import PcapNgReader, PcapReader

        reader = PcapReader if ending == "pcap" else PcapNgReader
        with reader(str(out)) as packets_in:
            assert [bytes(packet) for packet in packets_in] == [f.data for f in original]


def times_by_tshark(path: Path) -> list[str]:
    if tshark.missing():
        return []
    line = ["tshark", "-r", str(path), "-T", "fields", "-e", "frame.time_epoch"]
    said = subprocess.run(line, capture_output=True, check=True).stdout.decode().split()
    return [text[:-3] for text in said]


def test_slice_by_addresses_and_port(capture: Path, tmp_path: Path) -> None:
    by_port = slice_of(capture, "a.pcap", "--source", "192.0.2.80", "--port", "1002", home=tmp_path)
    assert by_port.documents[0]["network"]["packets"] == EACH
    ends = ("--source", "192.0.2.80", "--destination", "10.0.0.7")
    both = slice_of(capture, "b.pcap", *ends, home=tmp_path)
    assert both.documents[0]["network"]["packets"] == EACH * 2
    window = ("--since", "2026-11-18T11:06:40.005Z", "--until", "2026-11-18T11:06:40.008Z")
    part = slice_of(capture, "c.pcap", *ends, *window, home=tmp_path)
    assert part.documents[0]["network"]["packets"] == 6


def test_slice_out_of_several_files_and_gzip(capture: Path, tmp_path: Path) -> None:
    packed = tmp_path / "ring.pcap.gz"
    packed.write_bytes(gzip.compress(capture.read_bytes()))
    ran = soc("packets", "slice", capture, packed, "--port", "1001", "-o", "o.pcap", home=tmp_path)
    assert ran.documents[0]["network"]["packets"] == EACH * 2


def test_slice_does_not_overwrite_other_evidence(capture: Path, tmp_path: Path) -> None:
    again = [slice_of(capture, "o.pcap", "--port", "1001", home=tmp_path) for _ in range(2)]
    assert [ran.code for ran in again] == [0, 0]
    assert "there already" in again[1].err
    before = (tmp_path / "o.pcap").read_bytes()
    other = slice_of(capture, "o.pcap", "--port", "1002", home=tmp_path)
    assert other.code == 6
    assert other.out == ""
    assert (tmp_path / "o.pcap").read_bytes() == before
    source = slice_of(capture, str(capture), "--port", "1002", home=tmp_path)
    assert source.code == 6
    assert sorted(os.listdir(tmp_path)) == ["o.pcap", "two.pcap"]
    assert (tmp_path / "o.pcap").stat().st_mode & 0o77 == 0


def test_slice_finds_nothing_and_says_what_is_there(capture: Path, tmp_path: Path) -> None:
    ran = slice_of(capture, "o.pcap", "--source", "10.9.9.9", home=tmp_path)
    assert (ran.code, ran.out) == (4, "")
    for flow in identifiers(capture):
        assert flow in ran.err
    assert "10.0.0.7:1001 > 192.0.2.80:80, 8 packets" in ran.err
    late = slice_of(capture, "o.pcap", "--port", "1001", "--since", "2027-01-01", home=tmp_path)
    assert late.code == 4
    assert "it was seen from 2026-11-18T11:06:40.000000Z" in late.err
    assert not (tmp_path / "o.pcap").exists()
    gone = "1:" + "A" * 27 + "="
    shown = soc("packets", "show", capture, "--community-id", gone, home=tmp_path)
    assert (shown.code, shown.out) == (4, "")


@pytest.mark.parametrize(
    "options",
    [
        (),
        ("--since", "2h"),
        ("--community-id", "1:tooshort"),
        ("--source", "no-address"),
        ("--port", "70000"),
        ("--port", "80", "--since", "yesterday"),
        ("--port", "80", "-o", "-"),
    ],
)
def test_slice_refuses_what_makes_no_sense(
    capture: Path, tmp_path: Path, options: tuple[str, ...]
) -> None:
    assert slice_of(capture, "o.pcap", *options, home=tmp_path).code == 2


def test_a_truncated_capture_gives_what_it_has(capture: Path, tmp_path: Path) -> None:
    capture.write_bytes(capture.read_bytes()[:-20])
    shown = soc("packets", "show", capture, home=tmp_path)
    assert (shown.code, len(shown.documents)) == (4, EACH * 2 - 1)
    assert "unfinished record" in shown.err
    cut = slice_of(capture, "o.pcap", "--port", "1002", home=tmp_path)
    assert cut.code == 4
    assert cut.documents[0]["network"]["packets"] == EACH - 1
    assert (tmp_path / "o.pcap").is_file()


def test_a_file_that_is_no_capture(tmp_path: Path) -> None:
    (tmp_path / "log").write_text("Nov 22 08:15:00 host sshd[1]: hello, this is not a capture\n")
    for arguments in (("show", "log"), ("slice", "log", "--port", "1", "-o", "o.pcap")):
        ran = soc("packets", *arguments, home=tmp_path)
        assert ran.code == 4
        assert "not a capture" in ran.err
    assert soc("packets", "show", "absent", home=tmp_path).code == 4


def test_an_empty_capture_has_no_packets(tmp_path: Path) -> None:
    (tmp_path / "none.pcap").write_bytes(pcap([]))
    ran = soc("packets", "show", "none.pcap", home=tmp_path)
    assert (ran.code, ran.out) == (0, "")


def test_slices_of_real_captures_hold_their_conversation(tmp_path: Path) -> None:
    paths = sorted(archive("suricata-verify-half").rglob("*.pcap"))[::40]
    cut = 0
    for path in paths:
        told: list[SocError] = []
        rows = list(Show("own", None, lambda text: None).rows(frames_of([path], told.append)))
        flows = {row.get("network.community_id") for row in rows} - {None}
        for flow in sorted(map(str, flows))[:2]:
            out = tmp_path / f"{cut}.pcap"
            wanted = Wanted(flow)
            sliced = packets.slice_captures([path], wanted, out, problem=told.append)
            assert sliced.packets >= sum(r.get("network.community_id") == flow for r in rows)
            again = list(frames_of([out], _fail))
            assert len(again) == sliced.packets
            cut += 1
    assert cut > 8


def mutations(paths: Iterable[Path], count: int, seed: int) -> list[bytes]:
    chance = random.Random(seed)
    sources = [path.read_bytes() for path in paths]
    found = []
    for _ in range(count):
        data = bytearray(chance.choice(sources))
        for _ in range(chance.randint(1, 40)):
            data[chance.randrange(24, len(data))] = chance.choice((0, 255, chance.randrange(256)))
        if chance.random() < 0.3:
            del data[chance.randrange(24, len(data)) :]
        found.append(bytes(data))
    return found


def hostile(tmp_path: Path, count: int, look: Callable[[Path], None]) -> None:
    """Hand mutated captures to a function, which must end well or say InputError."""
    real = sorted(archive("suricata-verify-half").rglob("*.pcap"))
    small = [path for path in real if path.stat().st_size < SMALL][::20]
    assert len(small) > 5
    path = tmp_path / "mutated.pcap"
    for data in mutations(small, count, 4):
        path.write_bytes(data)
        with suppress(InputError):  # none of its packets can be read
            look(path)


@pytest.mark.timeout(60)
def test_mutated_captures_are_shown_and_cut_by_ourselves(tmp_path: Path) -> None:
    seen = 0

    def look(path: Path) -> None:
        nonlocal seen
        rows = list(Show("own", None, _refuse).rows(frames_of([path], lambda error: None)))
        assert not [row for row in rows if "bug: " in row["message"].partition("inside")[2]]
        flows = [row["network.community_id"] for row in rows if "network.community_id" in row]
        for flow in flows[:1]:
            out = path.with_name(f"{seen}.pcap")
            wanted = Wanted(flow)
            made = packets.slice_captures([path], wanted, out, problem=lambda error: None)
            assert len(list(frames_of([out], _fail))) == made.packets
        seen += len(rows)

    hostile(tmp_path, 200, look)
    assert seen > 1000


def _refuse(text: str) -> None:
    raise AssertionError(text)


@pytest.mark.slow
@pytest.mark.timeout(240)
@pytest.mark.parametrize("engine", ["tshark", "scapy"])
def test_mutated_captures_are_shown(
    tmp_path: Path, engine: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    tool = tshark if engine == "tshark" else scapy
    if why := tool.missing():
        pytest.skip(why)
    if engine == "scapy":
        monkeypatch.setattr(tshark, "missing", lambda: "not wanted here")
    seen = 0

    def look(path: Path) -> None:
        nonlocal seen
        told: list[str] = []
        rows = list(show_capture(path, None, 50, problem=lambda error: None, tell=told.append))
        assert not [text for text in told if "stopped" in text], told
        seen += len(rows)

    hostile(tmp_path, 200 if engine == "tshark" else 40, look)
    assert seen > 250


def test_the_pipeline_never_imports_what_is_on_demand() -> None:
    code = (
        "import sys, soc.cli.main, soc.run.collecting, collectors.packets.reading\n"
        "print([name for name in sys.modules if 'scapy' in name or 'packets.tools' in name])"
    )
    line = [sys.executable, "-c", code]
    said = subprocess.run(line, capture_output=True, check=True, cwd=ROOT).stdout
    assert said == b"[]\n"


def test_a_frame_without_ip_is_shown_by_its_stations(tmp_path: Path) -> None:
    (tmp_path / "arp.pcap").write_bytes(pcap([(0, ethernet(bytes(28), 0x0806))]))
    (row,) = soc("packets", "show", "arp.pcap", home=tmp_path).documents
    assert row["source"] == {"address": "02:00:00:00:00:02"}
    assert row["network"]["protocol"] == "arp"
