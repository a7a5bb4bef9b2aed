"""Lines: every byte is accounted for, wherever the stream is cut; a long line costs no memory."""

import io
import tracemalloc

from hypothesis import given
from hypothesis import strategies as st

from collectors.frame import MAX_RECORD, Frame
from collectors.framing.lines import LineCutter, frames

PIECES = st.lists(st.sampled_from([b"a", b"\n", b"\r", b"bc", b"\0", b"\xff"]), max_size=60)


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
    expected = [line.rstrip(b"\r") for line in whole.split(b"\n")]
    assert [frame.raw for frame in found] == [line for line in expected if line]
    assert all(whole[f.offset or 0 :].startswith(f.raw) for f in found)


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
