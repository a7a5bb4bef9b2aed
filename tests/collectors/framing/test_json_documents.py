"""JSON documents: found by their brackets, whatever stands in texts and wherever it is cut."""

import io
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from collectors.framing.json_documents import MAX_DOCUMENT, DocumentCutter, frames
from soc.errors import InputError

OBJECTS = st.dictionaries(
    st.text('a"\\{}[]', max_size=4),
    st.recursive(
        st.text('b"\\{}[],\n', max_size=6) | st.integers(0, 9) | st.none(),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(st.text("k", max_size=2), inner, max_size=2)
        ),
        max_leaves=4,
    ),
    max_size=3,
)


@given(st.lists(OBJECTS, max_size=5), st.booleans(), st.data())
def test_every_object_is_one_frame(objects: list[Any], array: bool, data: st.DataObject) -> None:
    texts = [orjson.dumps(o, option=orjson.OPT_INDENT_2) for o in objects]
    whole = b" [" + b",\n".join(texts) + b"]\n" if array else b"\n".join(texts)
    assert [orjson.loads(f.raw) for f in frames(io.BytesIO(whole))] == objects
    cutter, found, rest = DocumentCutter(), [], whole
    while rest:
        size = data.draw(st.integers(1, len(rest)))
        found += cutter.feed(rest[:size])
        rest = rest[size:]
    assert [orjson.loads(f.raw) for f in found] == objects
    assert all(whole[f.offset or 0 :].startswith(f.raw) for f in found)


@given(st.binary(max_size=200) | st.text('{}[]"\\ ,a', max_size=60).map(str.encode))
def test_no_byte_is_lost(data: bytes) -> None:
    covered = bytearray(len(data))
    for frame in frames(io.BytesIO(data)):
        start = int(frame.position)
        assert data[start : start + len(frame.raw)] == frame.raw
        covered[start : start + len(frame.raw)] = b"\1" * len(frame.raw)
    left = bytes(byte for byte, seen in zip(data, covered, strict=True) if not seen)
    assert left.strip(b" \t\r\n,[]\x1e\xef\xbb\xbf") == b""


def test_an_endless_document_is_refused_where_it_begins() -> None:
    data = b'{"a":1}' + b'{"b":"' + b"x" * MAX_DOCUMENT
    stream = frames(io.BytesIO(data))
    assert next(stream).raw == b'{"a":1}'
    with pytest.raises(InputError) as caught:
        next(stream)
    assert caught.value.where == "byte 7"


def test_a_bomb_of_brackets_costs_no_recursion() -> None:
    [frame] = frames(io.BytesIO(b"{" + b"[" * 100_000))
    assert len(frame.raw) == 100_001
