"""Decoders: what tshark, scapy and our own summary say, and what stops them."""

import os
import random
import re
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from struct import pack

import pytest

from collectors.packets.tools import sandbox, scapy, tshark
from collectors.packets.tools.captures import Pcap, Pcapng
from collectors.packets.tools.conversation import Frame, Looker
from collectors.packets.tools.decoding import Decoded, batches
from collectors.packets.tools.sandbox import Limits, jailed, run
from collectors.packets.tools.summary import describe, fields_of
from soc.errors import InputError
from tests.collectors.packets.build import (
    CLIENT,
    SERVER,
    START,
    Talk,
    ethernet,
    ip,
    request,
    response,
    udp,
)


def need(why: str) -> None:
    """Skip where a tool is missing; fail where CI says it must be there."""
    if why:
        if os.environ.get("CI") == "true":
            pytest.fail(why)
        pytest.skip(why)


def talk() -> list[Frame]:
    found = Talk().open().ask(request("/login")).answer(response(b"hello")).close().frames
    return [Frame(n, micros, 1, data, len(data)) for n, (micros, data) in enumerate(found, 1)]


def dns_query(host: bytes = b"portal") -> bytes:
    question = bytes([len(host)]) + host + b"\x07example\0" + pack("!HH", 1, 1)
    return ethernet(
        ip(CLIENT, SERVER, 17, udp(5353, 53, pack("!6H", 9, 0x100, 1, 0, 0, 0) + question))
    )


def lone(data: bytes, link: int = 1) -> Frame:
    return Frame(1, START, link, data, len(data))


def own(frame: Frame) -> Decoded:
    return describe(frame, Looker().look(frame))


def test_tshark_names_the_protocols() -> None:
    need(tshark.missing())
    rows, problem = tshark.decode([*talk(), lone(dns_query())])
    assert problem == ""
    assert [row.protocol for row in rows[:5]] == ["TCP", "TCP", "TCP", "HTTP", "HTTP"]
    assert rows[3].info.startswith("GET /login HTTP/1.1")
    assert rows[-1].protocol == "DNS"
    assert "A portal.example" in rows[-1].info


def test_scapy_names_the_protocols() -> None:
    need(scapy.missing())
    rows, problem = scapy.decode([*talk(), lone(dns_query()), lone(b"\x45" * 3, 4711)])
    assert problem == ""
    assert len(rows) == len(talk()) + 2
    assert rows[0].protocol == "TCP"
    assert SERVER in rows[0].info
    assert rows[-2].protocol == "DNSQR" or "portal.example" in rows[-2].info


def test_our_own_summary_needs_nobody() -> None:
    said = [own(frame) for frame in talk()]
    assert [row.protocol for row in said[:5]] == ["tcp", "tcp", "tcp", "http", "http"]
    assert said[0].info == "40000 > 80 [SYN] seq 1000 ack 5000 length 0"
    assert said[3].info.startswith("GET /login HTTP/1.1; 40000 > 80 [PSH,ACK]")
    assert own(lone(dns_query())) == Decoded("dns", "query A portal.example")
    assert own(lone(ethernet(b"\0\1", 0x0806))).protocol == "ARP"
    assert own(lone(b"")).protocol == "broken"
    assert own(lone(b"x", 9999)) == Decoded("link type 9999", "no IP")
    ping = ethernet(ip(CLIENT, SERVER, 1, b"\x08\0\0\0\0\1\0\1"))
    assert own(lone(ping)) == Decoded("icmp", "type 8 code 0")


def test_fields_of_a_frame() -> None:
    tagged = ethernet(pack("!HH", 12, 0x0800) + ip(CLIENT, SERVER, 17, udp(1, 2, b"")), 0x8100)
    fields = fields_of(lone(tagged), Looker().look(lone(tagged)))
    assert fields["source.ip"] == CLIENT
    assert fields["destination.port"] == 2
    assert fields["network.vlan.id"] == "12"
    assert fields["network.community_id"].startswith("1:")
    arp = fields_of(lone(ethernet(b"", 0x0806)), Looker().look(lone(ethernet(b"", 0x0806))))
    assert arp["source.address"] == "02:00:00:00:00:02"
    assert "source.ip" not in arp


def test_a_capture_of_several_link_types_needs_pcapng() -> None:
    raw = lone(ip(CLIENT, SERVER, 17, udp(5555, 9999, b"x")), 101)
    pcap, late = Pcap(), lone(dns_query())._replace(micros=2**32 * 10**6)
    pcap.add(raw)
    with pytest.raises(InputError, match="link types 101 and 1"):
        pcap.add(lone(dns_query()))
    with pytest.raises(InputError, match="2106"):
        Pcap().add(late)
    need(tshark.missing())
    rows, problem = tshark.decode([raw, late, raw])
    assert (problem, [row.protocol for row in rows]) == ("", ["UDP", "DNS", "UDP"])
    assert Pcapng().add(late)


def test_no_plugin_and_no_script_is_loaded_and_the_slow_dissectors_are_off() -> None:
    need(tshark.missing())
    line = tshark.command("/usr/bin/tshark")
    plugins = run(
        jailed([line[0], "-G", "plugins"], Limits(20, 2 << 30, 1 << 20), tshark._ENVIRON),
        b"",
        Limits(20, 2 << 30, 1 << 20),
    )
    assert not re.search(rb"dissector|lua|\.so", plugins.data)
    json = b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 7\r\n\r\n{"a":1}'
    spoken = Talk().open().ask(request()).answer(json).frames
    frames = [Frame(n, at, 1, data, len(data)) for n, (at, data) in enumerate(spoken, 1)]
    rows, problem = tshark.decode(frames)
    assert problem == ""
    assert [row.protocol for row in rows if "JSON" in row.protocol] == []


def test_lines_of_tshark_that_are_not_next_are_left_out() -> None:
    said = b"noise\n1\tTCP\ta\tb\n7\tX\tforged\n1\tX\tagain\n2\tUDP\tb\xff\n3\tDNS\tcut"
    assert tshark.parsed(said, 9) == [Decoded("TCP", "a\tb"), Decoded("UDP", "b\\xff")]
    assert tshark.parsed(said, 1) == [Decoded("TCP", "a\tb")]


def test_lines_of_scapy_that_make_no_sense_end_it() -> None:
    assert scapy.parsed(b'["TCP", "x"]\n["UDP", "y"]\n{}\n["A", "B"]\n', 9) == [
        Decoded("TCP", "x"),
        Decoded("UDP", "y"),
    ]


def test_batches_are_bounded_by_number_and_bytes() -> None:
    small = [lone(b"x")] * 20_001
    assert [len(batch) for batch in batches(small)] == [10_000, 10_000, 1]
    large = [lone(bytes(1 << 20))] * 40
    assert [len(batch) for batch in batches(large)] == [32, 8]


@pytest.fixture
def stub(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder whose `tshark` is found first; tests write it."""
    need(sandbox.works())
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        monkeypatch.setenv("PATH", folder + os.pathsep + os.environ["PATH"])
        yield Path(folder) / "tshark"


def write(stub: Path, text: str) -> None:
    stub.write_text("#!/bin/bash\n" + text)
    stub.chmod(0o755)


def test_a_tshark_that_hangs_keeps_what_it_said(
    stub: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tshark, "limits_for", lambda frames: Limits(0.7, 1 << 30, 1 << 20))
    write(stub, "trap '' TERM\nprintf '1\\tTCP\\tfirst\\n'\nsleep 7263")
    began = time.monotonic()
    rows, problem = tshark.decode(talk())
    assert rows == [Decoded("TCP", "first")]
    assert "took more than" in problem
    assert time.monotonic() - began < 5


def test_a_tshark_that_never_stops_talking_is_stopped(stub: Path) -> None:
    write(stub, "printf '1\\tTCP\\tfirst\\n'\nyes $'2\\tTCP'")
    rows, problem = tshark.decode(talk())
    assert rows == [Decoded("TCP", "first")]
    assert "said more than" in problem


def test_a_tshark_that_crashes_says_so(stub: Path) -> None:
    write(stub, "echo assertion failed >&2; exit 1")
    assert tshark.decode(talk()) == ([], "it ended with code 1: assertion failed")


def test_scapy_runs_out_of_memory_or_time_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    need(scapy.missing())
    monkeypatch.setattr(scapy, "limits_for", lambda frames: Limits(30, 1 << 20, 1 << 20))
    rows, problem = scapy.decode(talk())
    assert rows == []
    assert problem
    monkeypatch.setattr(scapy, "limits_for", lambda frames: Limits(0.01, 1 << 30, 1 << 20))
    assert "took more than" in scapy.decode(talk()).problem


def mutated(count: int, seed: int) -> list[Frame]:
    """Return frames of a talk and of DNS with bytes flipped, cut and doubled."""
    chance = random.Random(seed)
    sources = [frame.data for frame in talk()] + [dns_query()]
    found = []
    for number in range(1, count + 1):
        data = bytearray(chance.choice(sources))
        for _ in range(chance.randint(1, 6)):
            data[chance.randrange(len(data))] = chance.choice((0, 0xFF, chance.randrange(256)))
        if chance.random() < 0.3:
            data = data[: chance.randrange(len(data))]
        link = chance.choice((1, 1, 1, 0, 101, 113, 127, 105, 228, 276))
        found.append(Frame(number, START + number, link, bytes(data), len(data)))
    return found


def test_mutated_frames_get_a_line_each() -> None:
    frames = mutated(3000, 1)
    looker = Looker()
    for frame in frames:
        look = looker.look(frame)
        assert "bug" not in look.stopped
        assert describe(frame, look).protocol
        assert fields_of(frame, look)["network.bytes"] == frame.length
    for engine in (tshark, scapy):
        if not engine.missing():
            rows, problem = engine.decode(frames[:400])
            assert (len(rows), problem) == (400, "")
