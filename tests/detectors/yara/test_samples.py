"""Samples described as data."""

import gzip
import io
import tarfile
import zipfile
from typing import Any

import pytest

from detectors.yara.samples import assemble


@pytest.mark.parametrize(
    ("sample", "data"),
    [
        ("nhà", b"nh\xc3\xa0"),
        (["a", {"hex": "00 ff"}, "b"], b"a\0\xffb"),
        ({"utf16": "ab"}, b"a\0b\0"),
        ({"base64": "aGk="}, b"hi"),
        ({"repeat": ["a", "b"], "times": 3}, b"ababab"),
    ],
)
def test_pieces_are_joined(sample: Any, data: bytes) -> None:
    assert assemble(sample) == data


def test_containers_hold_samples() -> None:
    assert gzip.decompress(assemble({"gzip": ["a", "b"]})) == b"ab"
    with zipfile.ZipFile(io.BytesIO(assemble({"zip": {"../x": "a"}}))) as archive:
        assert archive.read("../x") == b"a"
    with tarfile.open(fileobj=io.BytesIO(assemble({"tar": {"x": "a"}}))) as archive_:
        assert archive_.getnames() == ["x"]


def test_the_same_sample_is_the_same_bytes() -> None:
    sample = {"zip": {"a": {"gzip": "x"}}}
    assert assemble(sample) == assemble(sample)


@pytest.mark.parametrize(
    "sample",
    [
        7,
        {"hex": "xyz"},
        {"base64": "?"},
        {"repeat": "a"},
        {"repeat": "a", "times": 1 << 60},
        {"hex": "00", "text": "a"},
        {"file": "/etc/passwd"},
        {"zip": "a"},
        {"vba": {"repeat": "a", "times": 5000}},
    ],
)
def test_what_makes_no_sense_is_refused(sample: Any) -> None:
    with pytest.raises(ValueError, match=r"."):
        assemble(sample)


def test_samples_are_bounded_in_depth() -> None:
    sample: Any = "a"
    for _ in range(5000):
        sample = [sample]
    with pytest.raises(ValueError, match="nested"):
        assemble(sample)
