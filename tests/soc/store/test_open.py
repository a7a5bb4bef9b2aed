"""Opening a store by its place."""

from pathlib import Path

import pytest

from soc.errors import ContentError, StoreError
from soc.store.open import open_store


def test_a_folder_or_a_url_opens_sqlite(tmp_path: Path) -> None:
    for place in (tmp_path / "a" / "b", str(tmp_path / "c"), f"sqlite:{tmp_path}/d"):
        store = open_store(place)
        assert store.info().kind == "sqlite"
        assert Path(store.info().place).is_dir()
        store.close()


@pytest.mark.parametrize("place", ["ftp://localhost:9200", "elastic:x", "", "sqlite:"])
def test_other_places_are_refused_with_a_hint(place: str) -> None:
    with pytest.raises(ContentError) as caught:
        open_store(place)
    assert "sqlite:" in caught.value.hint


def test_a_file_is_no_store(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(StoreError) as caught:
        open_store(tmp_path / "file")
    assert caught.value.hint
