"""Archives: opened within limits that count what comes out; names are only names."""

import gzip
import io
import random
import struct
import tarfile
import zipfile
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from detectors.yara.archives import Member, members
from detectors.yara.limits import Limits
from detectors.yara.samples import assemble
from detectors.yara.vba import unpack


def inside(data: bytes, limits: Limits | None = None) -> tuple[list[Member], list[str]]:
    notes: list[str] = []
    return list(members(data, limits or Limits(), notes.append)), notes


def zipped(files: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return buffer.getvalue()


def tarred(files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.GNU_FORMAT) as archive:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return buffer.getvalue()


@pytest.mark.parametrize("pack", [zipped, tarred])
def test_members_come_with_their_names(pack: object) -> None:
    files = {"a.txt": b"one", "b/" + "long" * 60 + ".txt": b"two" * 1000}
    found, notes = inside(pack(files))  # type: ignore[operator]
    assert [(m.names, m.data) for m in found] == [((k.encode(),), v) for k, v in files.items()]
    assert notes == []


@given(
    st.dictionaries(
        st.text(st.characters(codec="utf-8", exclude_characters="/\0\\"), min_size=1),
        st.binary(max_size=300),
    )
)
def test_what_zipfile_wrote_is_read(files: dict[str, bytes]) -> None:
    found, _ = inside(zipped(files))
    top = [m for m in found if len(m.names) == 1]
    assert [m.data for m in top] == [data for data in files.values() if data]


@given(st.lists(st.binary(max_size=2000), max_size=4))
def test_what_gzip_wrote_is_read(parts: list[bytes]) -> None:
    packed = b"".join(gzip.compress(part) for part in parts)
    found, _ = inside(packed)
    assert b"".join(m.data for m in found if len(m.names) == 1) == b"".join(parts)


def test_an_archive_in_an_archive_is_opened() -> None:
    data = zipped({"a.tar": tarred({"b.gz": gzip.compress(b"deep down")})})
    found, _ = inside(data)
    assert found[-1].names == (b"a.tar", b"b.gz", b"content")
    assert found[-1].data == b"deep down"


def test_nesting_ends_at_a_depth() -> None:
    data = b"bottom"
    for _ in range(200):
        data = zipped({"n": data}, zipfile.ZIP_STORED)
    found, notes = inside(data, Limits(depth=5))
    assert len(found) == 5
    assert notes == ["n > n > n > n > n: not opened, it lies 5 deep"]


def test_a_bomb_stops_at_the_ratio() -> None:
    bomb = zipped({f"{n}": bytes(50 << 20) for n in range(4)})
    found, notes = inside(bomb)
    assert sum(len(m.data) for m in found) <= max(8 << 20, 300 * len(bomb))
    assert "unpacking stopped at" in notes[-1]


def test_a_member_is_cut_at_the_size_and_the_next_is_read() -> None:
    data = zipped({"big": random.Random(1).randbytes(5000), "small": b"x"}, zipfile.ZIP_STORED)
    found, notes = inside(data, Limits(size=1000))
    assert [(len(m.data), m.cut) for m in found] == [(1000, True), (1, False)]
    assert notes == ["big: only its beginning was looked at"]


def test_members_are_counted() -> None:
    found, notes = inside(zipped({str(n): b"x" for n in range(50)}), Limits(members=10))
    assert len(found) == 10
    assert notes == ["unpacking stopped at 10 members"]


def test_overlapping_members_count_each_time() -> None:
    """A zip bomb without nesting: many names for the same bytes."""
    one = zipped({"a": bytes(1 << 20)})
    end = one.rfind(b"PK\5\6")
    start = struct.unpack_from("<L", one, end + 16)[0]
    entry = one[start:end]
    many = one[:start] + entry * 500
    tail = struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, 500, 500, len(entry) * 500, start, 0)
    found, notes = inside(many + tail, Limits(ratio=20))
    assert sum(len(m.data) for m in found) <= 8 << 20
    assert "unpacking stopped" in notes[-1]


@pytest.mark.parametrize("name", ["../../etc/passwd", "/etc/passwd", "a\\..\\b", "..", "\x1b[31m"])
def test_names_are_data(name: str) -> None:
    found, _ = inside(tarred({name: b"x"}))
    assert found[0].names == (name.encode(),)


def test_a_comment_does_not_hide_what_is_in_a_zip() -> None:
    data = zipped({"a.php": b"x"})
    fake = b"PK\5\6" + bytes(18)
    data = data[:-2] + len(fake).to_bytes(2, "little") + fake
    found, _ = inside(data)
    assert [m.data for m in found] == [b"x"]


def test_an_encrypted_member_is_told() -> None:
    data = bytearray(zipped({"a": b"x", "b": b"y"}))
    data[data.find(b"PK\1\2") + 8] |= 1
    found, notes = inside(bytes(data))
    assert [m.data for m in found] == [b"y"]
    assert notes == ["a: encrypted"]


def test_what_is_readable_of_a_damaged_archive_is_read() -> None:
    packed = gzip.compress(random.Random(2).randbytes(100_000))
    found, notes = inside(packed[:50_000])
    assert len(found[0].data) > 40_000
    assert notes == ["content: cut off"]


def test_something_may_stand_before_a_zip() -> None:
    found, _ = inside(b"GIF89a" + bytes(100) + zipped({"a.php": b"x"}))
    assert [(m.names, m.data) for m in found] == [((b"a.php",), b"x")]


@given(st.binary(max_size=400), st.integers(0, 3), st.data())
def test_no_bytes_break_it(noise: bytes, kind: int, data: st.DataObject) -> None:
    whole = [zipped({"a": noise, "b": b"x"}), tarred({"a": noise}), gzip.compress(noise)]
    whole.append(assemble({"vba": "Sub X()\r\n"}) + noise)
    broken = bytearray(whole[kind])
    for _ in range(data.draw(st.integers(1, 8))):
        broken[data.draw(st.integers(0, len(broken) - 1))] = data.draw(st.integers(0, 255))
    found, _ = inside(bytes(broken))
    assert sum(len(m.data) for m in found) <= 8 << 20


def test_deflate_that_pours_out_of_its_last_bytes_is_whole() -> None:
    body = zlib.compress(bytes(3 << 20), 9, wbits=31)
    found, notes = inside(body)
    assert len(found[0].data) == 3 << 20
    assert notes == []


def test_a_macro_is_unpacked_from_a_document() -> None:
    document = assemble([{"hex": "d0cf11e0a1b11ae1"}, {"vba": "Sub AutoOpen()\r\nEnd Sub\r\n"}])
    found, _ = inside(document)
    assert found[0].names == (b"macros",)
    assert found[0].data.startswith(b'Attribute VB_Name = "M"\r\nSub AutoOpen()')


def test_a_macro_with_repeats_is_unpacked() -> None:
    """[MS-OVBA] 3.2.2: the specification's example of a packed text with copies."""
    packed = bytes.fromhex(
        "012fb000236161616263646582660070616768696a013808616b6c00306d6e6f70"
        "0671027004107273747576107778797a003c"
    )
    text = b"#aaabcdefaaaaghijaaaaaklaaamnopqaaaaaaaaaaaarstuvwxyzaaa"
    assert b"".join(unpack(packed, 0)) == text
