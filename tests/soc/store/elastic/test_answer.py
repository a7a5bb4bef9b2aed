"""Answers that quote documents which are JSON to the server and to nobody else."""

import orjson
import pytest
from elastic_transport import SerializationError

from soc.store.elastic.answer import Serializer

DEEP = "[" * 240 + "]" * 240


@pytest.mark.parametrize(
    ("quoted", "read"),
    [
        (rb'"a\ud800b"', "a\ufffdb"),
        (rb'"\ude00\ud83d\ude00\uD83D"', "\ufffd\U0001f600\ufffd"),
        (
            rb'"\\ud800 /* no comment */ // \ud800\" 1e999"',
            '\\ud800 /* no comment */ // \ufffd" 1e999',
        ),
        (b'"a\xed\xa0\x80b"', "a\ufffd\ufffd\ufffdb"),
        (b'/* "x */ 1 // y\n', 1),
        (b"\xef\xbb\xbf1", 1),
        (b"1e400", "1e400"),
        (b"-" + b"9" * 5000, "-" + "9" * 5000),
        (b"[1e400, 1.5, -2, 18446744073709551616]", ["1e400", 1.5, -2, 18446744073709551616.0]),
    ],
)
def test_one_document_does_not_spoil_its_page(quoted: bytes, read: object) -> None:
    answer = b'{"hits":[{"_source":{"a":%s}},{"_source":%s}]}' % (quoted, DEEP.encode())
    hits = Serializer().loads(answer)["hits"]
    assert hits[0] == {"_source": {"a": read}}
    assert orjson.dumps(hits[1]).decode() == f'{{"_source":{DEEP}}}'


@pytest.mark.parametrize("cut", [b"", b"{", b'{"a":"', b'{"a":1.2.3}', b"<html>", b'"\xff'])
def test_what_is_no_json_is_an_error_of_the_transport(cut: bytes) -> None:
    with pytest.raises(SerializationError):
        Serializer().loads(cut)
