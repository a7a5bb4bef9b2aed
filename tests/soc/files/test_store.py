"""The file store: content under its SHA-256, whole or not at all, nothing outside its folder."""

import hashlib
import io
import stat
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from soc.errors import InputError, StoreError
from soc.files import FileStore, Limits


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


@pytest.mark.parametrize("size", [0, 1, 1 << 16, (1 << 16) + 1, 300_000])
def test_content_comes_back_and_only_its_owner_reads_it(size: int, tmp_path: Path) -> None:
    store, content = FileStore(tmp_path / "files"), b"x" * size
    stored = store.put(io.BytesIO(content))
    assert stored is not None
    assert stored.sha256 == hashlib.sha256(content).hexdigest()
    assert (stored.size, stored.new, stored.truncated) == (size, True, False)
    assert store.path(stored.sha256) == stored.path
    assert stored.path.read_bytes() == content
    assert stat.S_IMODE(stored.path.stat().st_mode) == 0o600
    assert stat.S_IMODE(store.folder.stat().st_mode) == 0o700
    assert list(store) == [stored.sha256]


def test_same_content_is_stored_once(tmp_path: Path) -> None:
    store = FileStore(tmp_path)
    first, second = (store.put(io.BytesIO(b"same")) for _ in range(2))
    assert first is not None
    assert second is not None
    assert (first.new, second.new, store.files) == (True, False, 1)
    assert len(_files(tmp_path)) == 1


def test_content_beyond_the_limit_is_cut_and_said_to_be(tmp_path: Path) -> None:
    store = FileStore(tmp_path, Limits(size=100_000))
    stored = store.put(io.BytesIO(b"y" * 1_000_000))
    assert stored is not None
    assert (stored.size, stored.truncated) == (100_000, True)


@pytest.mark.parametrize("limits", [Limits(files=2), Limits(total=20)])
def test_full_store_takes_nothing_new_and_leaves_nothing_behind(
    limits: Limits, tmp_path: Path
) -> None:
    store = FileStore(tmp_path, limits)
    found = [store.put(io.BytesIO(b"%d" % n * 10)) for n in range(4)]
    assert [f is not None for f in found] == [True, True, False, False]
    assert store.put(io.BytesIO(b"0" * 10)) is not None  # known content is not new
    assert len(_files(tmp_path)) == 2


def test_writer_that_is_given_up_leaves_nothing_behind(tmp_path: Path) -> None:
    store = FileStore(tmp_path)
    with store.open() as writer:
        writer.write(b"z" * 200_000)
        assert len(_files(tmp_path)) == 1
    assert _files(tmp_path) == []


@given(st.text(max_size=80))
def test_only_a_digest_finds_anything(name: str) -> None:
    store = FileStore(Path("nowhere"))
    if len(name) != 64:
        with pytest.raises(InputError, match="not a SHA-256"):
            store.path(name)


def test_folder_that_cannot_be_written_is_an_error_with_a_hint(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("in the way")
    with pytest.raises(StoreError, match="file store cannot be written") as error:
        FileStore(blocked).put(io.BytesIO(b"content"))
    assert error.value.hint
