"""Hostile captures: bounded memory, no crash, every frame counted as decoded, other or refused."""

import gzip
import random
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import pytest

from collectors.packets.capture import Cutter
from collectors.packets.carve import Carver
from collectors.packets.dissect import Dissector
from collectors.packets.flow import Limits
from soc.files import FileStore
from soc.files import Limits as FileLimits
from tests.collectors.packets.build import (
    CLIENT,
    SERVER,
    START,
    SYN,
    Talk,
    dissect,
    ethernet,
    ip,
    of,
    request,
    response,
    tcp,
    udp,
)
from tests.data import archive

MUTANTS = 200


def _seeds() -> list[bytes]:
    folder = archive("zeek-half") / "Traces"
    names = (
        "http/pipelined-requests.pcap",
        "tls/ecdhe.pcap",
        "tls/tls13_wolfssl.pcap",
        "dns/tkey.pcap",
        "dnssec/rrsig.pcap",
        "tunnels/Teredo.pcap",
        "tunnels/vxlan-encapsulated-http.pcap",
        "tunnels/gre-within-gre.pcap",
        "mixed-vlan-mpls.pcap",
        "http/x-gzip.pcap",
    )
    return [(folder / name).read_bytes()[:60_000] for name in names]


def _mutated(data: bytes, chance: random.Random) -> bytes:
    found = bytearray(data)
    for _ in range(chance.randint(1, 60)):
        at = chance.randrange(24, len(found))
        action = chance.randrange(4)
        if action == 0:
            found[at] = chance.randrange(256)
        elif action == 1:
            found[at : at + 2] = chance.choice((b"\xff\xff", b"\0\0", b"\x7f\xff"))
        elif action == 2:
            end = min(at + chance.randint(1, 64), len(found))
            found[at:end] = chance.randbytes(end - at)
        else:
            found[at] ^= 1 << chance.randrange(8)
    return bytes(found[: chance.randint(len(found) // 2, len(found))])


def test_two_hundred_mutated_captures_are_survived_and_accounted_for() -> None:
    chance = random.Random(20261123)
    seeds = _seeds()
    decoded = 0
    for number in range(MUTANTS):
        cutter, dissector = Cutter(), Dissector()
        frames = cutter.feed(_mutated(seeds[number % len(seeds)], chance))
        for time, link, data, length in frames:
            dissector.feed(time, link, data, length)
        dissector.finish()
        counters = dissector.counters
        assert counters.bugs == 0, (number, counters.reasons)
        assert counters.frames == len(frames)
        assert counters.frames == counters.decoded + counters.other + counters.refused
        assert len(dissector.table) == 0
        assert dissector.memory.held == 0
        decoded += counters.decoded
    assert decoded > 1000


def test_frames_mutated_one_by_one_never_reach_a_bug() -> None:
    chance = random.Random(7)
    for seed in _seeds():
        dissector = Dissector()
        for time, link, data, length in Cutter().feed(seed):
            frame = bytearray(data)
            for _ in range(chance.randint(0, 4)):
                if frame:
                    frame[chance.randrange(len(frame))] = chance.randrange(256)
            dissector.feed(time, link, bytes(frame[: chance.randint(0, len(frame))]), length)
        dissector.finish()
        assert dissector.counters.bugs == 0, dissector.counters.reasons


def test_flood_of_flows_stays_within_the_table_and_every_flow_is_told() -> None:
    dissector = Dissector(limits=Limits(flows=1000))
    records = []
    tracemalloc.start()
    for number in range(10_000):
        source = f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}"
        frame = ethernet(ip(source, SERVER, 6, tcp(1024 + number % 60_000, 80, number, 0, SYN)))
        records += len(dissector.feed(START + number, 1, frame)) * [None]
        assert len(dissector.table) <= 1000
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    records += len(dissector.finish()) * [None]
    assert len(records) == dissector.counters.flows == 10_000
    assert dissector.table.evicted >= 9000
    assert peak < 16 << 20


def test_stream_without_end_is_read_in_constant_memory() -> None:
    dissector = Dissector()
    talk = Talk().open().ask(request("/endless"))
    talk.answer(b"HTTP/1.1 200 OK\r\n\r\n")
    for time, frame in talk.frames:
        dissector.feed(time, 1, frame)
    piece = bytes(range(256)) * 5
    tracemalloc.start()
    for _ in range(5_000):
        talk.frames.clear()
        talk.answer(piece)
        assert dissector.feed(START, 1, talk.frames[0][1]) == []
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1 << 20
    (found,) = of(dissector.finish(), "http")
    assert found["http.response.body.bytes"] == 5_000 * len(piece)


def test_stream_that_never_makes_sense_is_dropped() -> None:
    dissector = Dissector()
    talk = Talk(port=4444).open()
    for _ in range(100):
        talk.ask(b"\x01\x02\x03" * 400)
    (flow,) = dissect(talk.frames, dissector)
    assert flow["soc.flow.source.payload_bytes"] == 100 * 1200
    assert dissector.memory.held == 0


def test_segments_far_ahead_are_held_back_only_within_limits() -> None:
    dissector = Dissector()
    talk = Talk().open().ask(request("/hole"))
    answer = response(b"x" * 4_000_000)
    talk.sent[False] += 1  # the first byte is lost
    talk.answer(answer[1:])
    for time, frame in talk.frames:
        dissector.feed(time, 1, frame)
        assert dissector.memory.held <= 2 << 20
    dissector.finish()
    assert dissector.memory.held == 0


def test_gzip_bomb_stops_at_the_ratio_and_is_said_to_be_cut(tmp_path: Path) -> None:
    bomb = gzip.compress(bytes(64 << 20))
    store = FileStore(tmp_path / "files")
    dissector = Dissector(carver=Carver(store))
    talk = Talk().open().ask(request("/bomb"))
    talk.answer(response(bomb, fields="Content-Encoding: gzip\r\n")).close()
    tracemalloc.start()
    records = dissect(talk.frames, dissector)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    (file,) = of(records, "file")
    assert file["soc.file.state"] == "truncated"
    assert "file.hash.sha256" not in file
    assert file["file.size"] < 32 << 20
    assert peak < 8 << 20
    assert of(records, "http")[0]["http.response.body.bytes"] == len(bomb)


def test_store_that_is_full_or_gone_costs_the_file_and_not_the_event(tmp_path: Path) -> None:
    store = FileStore(tmp_path / "files", FileLimits(files=1))
    carver = Carver(store)
    talk = Talk().open()
    for number in range(3):
        talk.ask(request(f"/{number}")).answer(response(b"content %d" % number))
    files = of(dissect(talk.frames, Dissector(carver=carver)), "file")
    assert [("soc.file.stored" in f) for f in files] == [True, False, False]
    assert all("file.hash.sha256" in f for f in files)
    blocked = tmp_path / "blocked"
    blocked.write_text("not a folder")
    carver = Carver(FileStore(blocked))
    (file,) = of(
        dissect(
            Talk().open().ask(request()).answer(response(b"abc")).frames, Dissector(carver=carver)
        ),
        "file",
    )
    assert "soc.file.stored" not in file
    assert carver.failed == 1


def _fragments(chance: random.Random) -> Iterator[bytes]:
    for number in range(3_000):
        payload = chance.randbytes(64)
        head = bytearray(ip(CLIENT, SERVER, 17, payload, 0x2000 | chance.randrange(8000)))
        head[4:6] = (number % 65536).to_bytes(2, "big")
        yield ethernet(bytes(head))


def test_fragments_that_never_become_whole_are_given_up() -> None:
    dissector = Dissector()
    for number, frame in enumerate(_fragments(random.Random(1))):
        dissector.feed(START + number, 1, frame)
        assert len(dissector.fragments) <= 1024
    dissector.finish()
    assert dissector.fragments.expired == dissector.counters.decoded


@pytest.mark.parametrize("depth", [20, 200])
def test_headers_nested_without_end_are_refused(depth: int) -> None:
    dissector = Dissector()
    vlan = ethernet(b"\0\x01\x81\0" * depth, 0x8100)
    six = ip("2001:db8::1", "2001:db8::2", 0, b"\0\0" + bytes(6) + (b"\0\0" + bytes(6)) * depth)
    inner = udp(1, 2, b"")
    for _ in range(depth):
        inner = ip(CLIENT, SERVER, 4, inner) if len(inner) < 60_000 else inner
    for frame in (vlan, ethernet(six, 0x86DD), ethernet(ip(CLIENT, SERVER, 4, inner))):
        dissector.feed(START, 1, frame)
    assert dissector.counters.refused == 2
    assert dissector.counters.reasons["in a tunnel: too many tunnels"] == 1
    assert dissector.counters.bugs == 0
