"""DNS: names, records and flags as an analyst reads them; hostile messages are refused."""

from struct import pack

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collectors.packets.dns import message
from tests.collectors.packets.build import (
    CLIENT,
    SERVER,
    START,
    Talk,
    dissect,
    ethernet,
    ip,
    of,
    udp,
)


def name(text: str) -> bytes:
    return b"".join(bytes([len(p)]) + p.encode() for p in text.split(".") if p) + b"\0"


def query(text: str = "www.portal.example", kind: int = 1, flags: int = 0x0100) -> bytes:
    return pack("!6H", 7, flags, 1, 0, 0, 0) + name(text) + pack("!HH", kind, 1)


def answer(*records: tuple[int, bytes], flags: int = 0x8180, text: str = "a.example") -> bytes:
    parts = [pack("!6H", 7, flags, 1, len(records), 0, 0) + name(text) + pack("!HH", 1, 1)]
    for kind, data in records:
        parts.append(b"\xc0\x0c" + pack("!HHIH", kind, 1, 60, len(data)) + data)
    return b"".join(parts)


def test_query_and_answer_are_two_records_of_one_flow() -> None:
    there = ethernet(ip(CLIENT, SERVER, 17, udp(5353 + 1, 53, query("a.example"))))
    back = ethernet(ip(SERVER, CLIENT, 17, udp(53, 5353 + 1, answer((1, b"\x0a\0\0\x09")))))
    asked, answered, flow = dissect([(START, there), (START + 5, back)])
    assert (asked["dns.type"], answered["dns.type"]) == ("query", "answer")
    assert asked["dns.question.name"] == answered["dns.question.name"] == "a.example"
    assert (asked["source.ip"], answered["source.ip"]) == (CLIENT, SERVER)
    assert answered["dns.resolved_ip"] == ["10.0.0.9"]
    assert answered["dns.response_code"] == "NOERROR"
    assert answered["dns.header_flags"] == ["RD", "RA"]
    assert flow["network.protocol"] == "dns"
    assert flow["soc.flow.connection"] == "SF"


@pytest.mark.parametrize(
    ("kind", "data", "text"),
    [
        (1, b"\x0a\0\0\x01", "10.0.0.1"),
        (28, bytes(15) + b"\x01", "::1"),
        (5, b"\x03www\xc0\x0c", "www.a.example"),
        (15, b"\0\x0a" + b"\xc0\x0c", "10 a.example"),
        (33, pack("!HHH", 1, 2, 443) + b"\xc0\x0c", "1 2 443 a.example"),
        (6, b"\xc0\x0c\xc0\x0c" + pack("!5I", 1, 2, 3, 4, 5), "a.example a.example 1 2 3 4 5"),
        (1, b"\x0a\0\0", "0a0000"),
        (65280, b"\x01\x02", "0102"),
        (5, b"\xc0\xff", "c0ff"),
    ],
)
def test_record_data_is_text(kind: int, data: bytes, text: str) -> None:
    assert message(answer((kind, data)))["dns.answers"][0]["data"] == text


def test_every_string_of_a_text_record_is_an_answer() -> None:
    found = message(answer((16, b"\x02ab\x03c\x00\xff")))["dns.answers"]
    assert [a["data"] for a in found] == ["ab", "c\\000\\255"]


def test_label_with_a_dot_in_it_is_not_two_labels() -> None:
    data = pack("!6H", 1, 0x100, 1, 0, 0, 0) + b"\x03a.b\x02vn\0" + pack("!HH", 1, 1)
    assert message(data)["dns.question.name"] == "a\\046b.vn"


def test_error_of_the_server_and_the_extended_code_are_named() -> None:
    assert message(answer(flags=0x8183))["dns.response_code"] == "NXDOMAIN"
    opt = b"\0" + pack("!HHIH", 41, 4096, 1 << 24, 0)
    data = pack("!6H", 1, 0x8180, 0, 0, 0, 1) + opt
    with pytest.raises(ValueError, match="not DNS"):
        message(data)
    data = pack("!6H", 1, 0x8180, 1, 0, 0, 1) + name("x.vn") + pack("!HH", 1, 1) + opt
    assert message(data)["dns.response_code"] == "BADVERS"


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\0" * 12,
        pack("!6H", 1, 0x100, 1, 0, 0, 0) + b"\xc0\x0c" + pack("!HH", 1, 1),
        pack("!6H", 1, 0x100, 1, 0, 0, 0) + b"\xc0\x40" + bytes(80),
        pack("!6H", 1, 0x100, 1, 0, 0, 0) + b"\x3f" + b"a" * 63 + b"\xc0\x0c",
        pack("!6H", 1, 0x100, 1, 0, 0, 0) + (b"\x3f" + b"a" * 63) * 6 + b"\0" + pack("!HH", 1, 1),
        pack("!6H", 1, 0x100, 60000, 0, 0, 0) + bytes(100),
    ],
)
def test_hostile_message_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        message(data)


def test_answer_that_is_cut_off_keeps_its_question() -> None:
    whole = answer((1, b"\x0a\0\0\x09"), (16, b"\x04text"))
    found = message(whole[:-3])
    assert found["dns.question.name"] == "a.example"


@given(st.binary(max_size=600))
def test_any_bytes_behind_a_header_end_in_fields_or_a_value_error(data: bytes) -> None:
    head = pack("!6H", 1, 0x8180, 2, 3, 3, 3)
    try:
        found = message(head + data)
    except ValueError:
        return
    assert found["dns.type"] == "answer"


@given(st.integers(1, 60))
def test_messages_over_tcp_may_be_cut_anywhere(size: int) -> None:
    asked, answered = query("t.example"), answer((1, b"\x0a\0\0\x09"), text="t.example")
    talk = Talk(port=53).open().ask(pack("!H", len(asked)) + asked, size)
    talk.answer(pack("!H", len(answered)) + answered, size).close()
    found = of(dissect(talk.frames), "dns")
    assert [f["dns.type"] for f in found] == ["query", "answer"]
