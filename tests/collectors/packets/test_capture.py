"""Capture files: every format, in pieces of any size, whole or broken."""

import gzip
from collections.abc import Iterator
from pathlib import Path
from struct import pack

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collectors.frame import Source
from collectors.packets.capture import Captured, Cutter
from collectors.packets.dissect import Dissector
from collectors.packets.reading import is_capture_file, read_capture, read_capture_stream
from soc.errors import InputError
from soc.model.ecs import check
from soc.model.time import parse_iso
from tests.collectors.packets.build import START, Talk, pcap, request, response
from tests.data import archive

NOW = parse_iso("2026-11-23T00:00:00Z")
FRAMES = [(START + n, bytes([n]) * (n % 7 + 1)) for n in range(20)]


def _cut(data: bytes, size: int = 1 << 16) -> tuple[list[Captured], str]:
    cutter, found = Cutter(), []
    for at in range(0, len(data), size):
        found += cutter.feed(data[at : at + size])
    cutter.finish()
    return found, cutter.problem


def _block(kind: int, body: bytes, order: str = "<") -> bytes:
    body += bytes(-len(body) % 4)
    size = pack(order + "I", len(body) + 12)
    return pack(order + "I", kind) + size + body + size


def _pcapng(order: str = "<") -> bytes:
    section = _block(0x0A0D0D0A, pack(order + "IHHq", 0x1A2B3C4D, 1, 0, -1), order)
    resolution = pack(order + "HH", 9, 1) + b"\x09\0\0\0"  # nanoseconds
    parts = [section, _block(1, pack(order + "HHI", 1, 0, 0) + resolution, order)]
    parts.append(_block(5, b"statistics that nobody needs", order))
    for micros, data in FRAMES:
        ticks = micros * 1000
        head = pack(order + "IIIII", 0, ticks >> 32, ticks & 0xFFFFFFFF, len(data), len(data))
        parts.append(_block(6, head + data, order))
    return b"".join(parts)


@given(size=st.integers(1, 200), kind=st.sampled_from(["pcap", "pcapng <", "pcapng >"]))
def test_frames_do_not_depend_on_how_the_bytes_come(size: int, kind: str) -> None:
    data = pcap(FRAMES) if kind == "pcap" else _pcapng(kind[-1])
    found, problem = _cut(data, size)
    assert [(time, frame) for time, _, frame, _ in found] == FRAMES
    assert problem == ""


def test_nanoseconds_and_the_other_byte_order_are_understood() -> None:
    head = pack(">IHHiIII", 0xA1B23C4D, 2, 4, 0, 0, 65535, 101)
    (frame,), problem = _cut(head + pack(">IIII", 7, 123_456_789, 3, 9) + b"abc")
    assert frame == (7_123_456, 101, b"abc", 9)
    assert not problem


@pytest.mark.parametrize("keep", [25, 60, 200])
def test_file_that_is_cut_off_gives_its_whole_frames_and_says_so(keep: int, tmp_path: Path) -> None:
    data = pcap(Talk().open().ask(request()).answer(response()).frames)[:keep]
    path = tmp_path / "cut.pcap"
    path.write_bytes(data)
    dissector = Dissector()
    with pytest.raises(InputError, match="unfinished record"):
        list(read_capture(path, received=NOW, dissector=dissector))
    assert dissector.counters.frames == (keep - 24) // 70


def test_record_of_impossible_length_ends_the_file_there() -> None:
    good = pcap(FRAMES[:3])
    found, problem = _cut(good + pack("<IIII", 1, 1, 1 << 31, 1) + bytes(100))
    assert len(found) == 3
    assert "frame of 2147483648 bytes" in problem


def test_events_are_whole_ecs_events_with_ids_that_repeat(tmp_path: Path) -> None:
    talk = Talk().open().ask(request("/a.php")).answer(response(b"<html>")).close()
    plain, packed = tmp_path / "a.pcap", tmp_path / "b.pcap.gz"
    plain.write_bytes(pcap(talk.frames))
    assert is_capture_file(plain)
    packed.write_bytes(gzip.compress(pcap(talk.frames)))
    assert is_capture_file(packed)
    assert not is_capture_file(Path(__file__))
    events = list(read_capture(plain, received=NOW, observer="node1", unit="Port"))
    assert [e["event.dataset"] for e in events] == ["file", "http", "flow"]
    for event in events:
        assert check(event) == []
        assert event["observer.name"] == "node1"
        assert event["organization.unit"] == "Port"
    again = [e["event.id"] for e in read_capture(packed, received=NOW)]
    assert [e["event.id"] for e in events] == again
    assert len(set(again)) == 3


def test_a_growing_capture_gives_its_events_as_they_come() -> None:
    data = pcap(Talk().open().ask(request()).answer(response()).close().frames)
    given: list[int] = []

    def pieces() -> Iterator[bytes]:
        for at in range(0, len(data), 50):
            given.append(at)
            yield data[at : at + 50]

    events = read_capture_stream(pieces(), Source(b"key", "live"), clock=lambda: NOW)
    assert next(events)["event.dataset"] == "http"
    assert len(given) * 50 < len(data)
    assert [e["event.dataset"] for e in events] == ["flow"]


@pytest.mark.parametrize("trace", ["tls/tls13_wolfssl.pcap", "dnssec/rrsig.pcap", "q-in-q.pcap"])
def test_events_of_real_traffic_are_ecs(trace: str) -> None:
    path = archive("zeek-half") / "Traces" / trace
    problems = [problem for e in read_capture(path, received=NOW) for problem in check(e)]
    assert problems == []
