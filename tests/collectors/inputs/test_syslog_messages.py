"""Cutting a TCP stream into messages: whatever the framing, and however it is cut into pieces."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collectors.inputs.syslog_messages import MessageCutter


def cut(stream: bytes, *, most: int = 1 << 20, pieces: int = 0) -> tuple[list[bytes], list[int]]:
    """Return messages and the indexes of those cut, fed in pieces of this size (0: at once)."""
    cutter, raws, truncated = MessageCutter(), [], []
    step = pieces or max(len(stream), 1)
    fed = [cutter.feed(stream[at : at + step], most) for at in range(0, len(stream), step)]
    for found in (*fed, cutter.rest(most)):
        truncated += [len(raws) + index for index in found.truncated]
        raws += found.raws
    assert cutter.held == 0
    return raws, truncated


def counted(message: bytes) -> bytes:
    return b"%d %s" % (len(message), message)


ONE, TWO, THREE = b"<13>1 - one", b"<14>Nov 22 08:00:00 h p: two", b"<15>three 57 times"


@pytest.mark.parametrize("pieces", [0, 1, 2, 7])
@pytest.mark.parametrize(
    ("stream", "messages"),
    [
        (b"", []),
        (ONE + b"\n" + TWO + b"\n", [ONE, TWO]),
        (ONE + b"\r\n" + TWO, [ONE, TWO]),
        (b"\n\n" + ONE + b"\n\n", [ONE]),
        (counted(ONE) + counted(TWO), [ONE, TWO]),
        (counted(ONE + b"\n") + counted(TWO + b"\n"), [ONE, TWO]),
        (counted(ONE) + b"\n" + counted(TWO) + b"\n", [ONE, TWO]),
        (counted(ONE) + TWO + b"\n" + counted(THREE) + ONE, [ONE, TWO, THREE, ONE]),
        (counted(ONE + b"\nsecond line") + counted(TWO), [ONE + b"\nsecond line", TWO]),
        (b"2026-11-22 no pri\n12 monkeys\n" + ONE, [b"2026-11-22 no pri", b"12 monkeys", ONE]),
        (b"<1>\0\xff\xfe\n" + counted(b"<2>\0\n\xff"), [b"<1>\0\xff\xfe", b"<2>\0\n\xff"]),
        (b"999999999999 <13>x\n" + ONE + b"\n", [b"999999999999 <13>x", ONE]),
        (b"007 <13>x\n" + ONE, [b"007 <13>x", ONE]),
    ],
)
def test_framings(stream: bytes, messages: list[bytes], pieces: int) -> None:
    assert cut(stream, pieces=pieces) == (messages, [])


@pytest.mark.parametrize("pieces", [0, 1, 50])
def test_an_oversize_message_is_cut_and_flagged_and_the_next_is_whole(pieces: int) -> None:
    long = b"<13>" + b"x" * 500
    for stream in (long + b"\n" + ONE + b"\n", counted(long) + counted(ONE), long + b"\n" + ONE):
        assert cut(stream, most=100, pieces=pieces) == ([long[:100], ONE], [0])
    assert cut(ONE + b"\n" + long, most=100, pieces=pieces) == ([ONE, long[:100]], [1])


@pytest.mark.parametrize("wrong", [1, 3, 10, 12, 20, 35, 100, 5_000, 1_000_000, 5_000_000])
@pytest.mark.parametrize("pieces", [0, 1000])
def test_a_wrong_length_costs_one_message_at_most(wrong: int, pieces: int) -> None:
    others = [b"<14>1 - message number %d" % number for number in range(200)]
    bad = b"%d <13>1 - the message with the wrong length" % wrong
    stream = b"".join(map(counted, others[:3])) + bad + b"".join(map(counted, others[3:]))
    raws, _truncated = cut(stream, pieces=pieces)
    missing = [one for one in others if one not in raws]
    assert len(missing) <= 1
    assert len(raws) <= len(others) + 2


def test_a_length_and_then_too_little_is_kept_and_flagged() -> None:
    assert cut(b"500 <13>short") == ([b"<13>short"], [0])
    assert cut(counted(ONE) + b"12") == ([ONE, b"12"], [])


@pytest.mark.parametrize("many", [3, 20_000])
def test_a_forged_length_among_lines_hides_none_of_them(many: int) -> None:
    lines = [b"<38>Nov 27 10:00:00 web sshd[1]: message %05d of web" % n for n in range(many)]
    forged = [b"<13>app: what a user typed", b"60000000 <13>app: and a second line"]
    raws, truncated = cut(b"\n".join([*forged, *lines, b""]), pieces=4096)
    assert raws[-many:] == lines
    assert truncated == []


def test_an_unfinished_message_that_grows_byte_by_byte_costs_no_more_than_itself() -> None:
    import time

    for start in (b"<13>", b"900000 <13>"):
        cutter = MessageCutter()
        cutter.feed(start + b"x" * 500_000)
        began = time.process_time()
        for _byte in range(20_000):
            cutter.feed(b"y")
        assert time.process_time() - began < 1.0


@given(st.lists(st.binary(), max_size=20), st.integers(1, 64))
def test_any_bytes_in_any_pieces_never_fail_and_hold_no_more_than_allowed(
    parts: list[bytes], most: int
) -> None:
    cutter, kept = MessageCutter(), 0
    for part in parts:
        found = cutter.feed(part, most)
        assert all(0 < len(raw) <= most for raw in found.raws)
        kept += sum(map(len, found.raws))
        assert cutter.held <= max(most, 12) + 12
    assert kept <= sum(map(len, parts))
    cutter.rest(most)


@given(st.lists(st.tuples(st.binary(max_size=40), st.booleans()), max_size=20), st.randoms())
def test_well_framed_messages_come_out_as_they_went_in(
    given_messages: list[tuple[bytes, bool]], rng: random.Random
) -> None:
    stream, wanted = b"", []
    for content, octets in given_messages:
        message = b"<13>" + (content if octets else content.replace(b"\n", b" "))
        stream += counted(message) if octets else message + b"\n"
        wanted.append(message.rstrip(b"\r\n"))
    cutter, raws, at = MessageCutter(), [], 0
    while at < len(stream):
        step = rng.randint(1, 60)
        raws += cutter.feed(stream[at : at + step]).raws
        at += step
    assert raws + cutter.rest().raws == wanted
