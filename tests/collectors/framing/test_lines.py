"""Lines: every byte is accounted for, wherever the stream is cut; a long line costs no memory."""

import io
import re
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collectors.frame import MAX_RECORD, Frame
from collectors.framing.lines import LineCutter, frames

PIECES = st.lists(
    st.sampled_from([b"a", b"\n", b"\r", b"bc", b"\0", bytes(9), b"\xff"]), max_size=60
)


def test_line_ends_and_empty_lines() -> None:
    found = list(frames(io.BytesIO(b"one\r\n\n\r\ntwo\nlast")))
    assert found == [Frame(b"one", "0", 0), Frame(b"two", "8", 8), Frame(b"last", "12", 12)]


@given(PIECES, st.data())
def test_frames_are_the_same_however_the_stream_is_cut(
    pieces: list[bytes], data: st.DataObject
) -> None:
    whole = b"".join(pieces)
    cutter, found, rest = LineCutter(), [], whole
    while rest:
        size = data.draw(st.integers(1, len(rest)))
        found += cutter.feed(rest[:size])
        rest = rest[size:]
    last = cutter.rest()
    assert cutter.rest() == last
    found += [last] if last else []
    assert found == list(frames(io.BytesIO(whole)))
    lines = [re.sub(rb"^\0{16,}", b"", line) for line in whole.split(b"\n")]
    expected = [line.rstrip(b"\r") for line in lines]
    assert [frame.raw for frame in found] == [line for line in expected if line]
    assert all(whole[f.offset or 0 :].lstrip(b"\0").startswith(f.raw.lstrip(b"\0")) for f in found)


def test_a_cutter_goes_on_where_another_stopped() -> None:
    first = LineCutter()
    first.feed(b"one\ntw")
    assert first.offset == 4
    assert LineCutter(first.offset).feed(b"two\n") == [Frame(b"two", "4", 4)]


def test_a_line_of_20_mb_is_cut_and_flagged_in_bounded_memory() -> None:
    class Endless(io.RawIOBase):
        left = 20 << 20

        def readable(self) -> bool:
            return True

        def read(self, size: int = -1) -> bytes:
            size = min(size, self.left)
            self.left -= size
            return b"x" * size if size else b""

    tracemalloc.start()
    [long_line] = frames(Endless())  # type: ignore[arg-type]
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert (len(long_line.raw), long_line.truncated) == (MAX_RECORD, True)
    assert peak < 6 * MAX_RECORD


def test_the_line_behind_a_long_one_is_whole() -> None:
    data = b"x" * (MAX_RECORD + 1) + b"\nnext\n"
    long_line, after = frames(io.BytesIO(data))
    assert long_line.truncated
    assert after == Frame(b"next", str(MAX_RECORD + 2), MAX_RECORD + 2)


@pytest.mark.parametrize("size", [16, 1000, 3 * MAX_RECORD])
@pytest.mark.parametrize("step", [7, 1 << 18])
def test_a_hole_before_a_line_is_no_part_of_it(size: int, step: int) -> None:
    data = (
        b"one\n" + bytes(size) + b"two\n\0\0three\n" + bytes(size) + b"\n" + bytes(size) + b"four"
    )
    if step < 100 and size > 1000:
        step = 1001
    cutter, found = LineCutter(), []
    for at in range(0, len(data), step):
        found += cutter.feed(data[at : at + step])
    if last := cutter.rest():
        found.append(last)
    assert [frame.raw for frame in found] == [b"one", b"two", b"\0\0three", b"four"]
    assert [frame.offset for frame in found] == [0, 4, size + 8, 2 * size + 17]
    assert not any(frame.truncated for frame in found)
