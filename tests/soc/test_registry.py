"""A file is a plugin; listing imports nothing; what is broken hurts only itself."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from soc import registry
from soc.errors import ContentError
from soc.registry import plugins


@pytest.fixture
def kind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A package `zoo.animals` that lies in a folder of its own."""
    folder = tmp_path / "zoo" / "animals"
    folder.mkdir(parents=True)
    (tmp_path / "zoo" / "__init__.py").write_text("")
    (folder / "__init__.py").write_text("")
    (folder / "cat.py").write_text('"""Says miau.\n\nAt night."""\nSOUND = "miau"\n')
    monkeypatch.syspath_prepend(tmp_path)
    plugins.cache_clear()
    yield folder
    plugins.cache_clear()
    for name in [name for name in sys.modules if name.partition(".")[0] in ("zoo", "farm")]:
        del sys.modules[name]


def third_party(folder: Path, entry: str) -> None:
    """Install a distribution that declares an entry point."""
    info = folder / "farm-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: farm\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[metrosoc.zoo.animals]\n{entry}\n")


def test_a_file_is_a_plugin_and_listing_does_not_import_it(kind: Path) -> None:
    (kind / "bomb.py").write_text("raise SystemExit('imported')")
    (kind / "_private.py").write_text("")
    (kind / ".#cat.py").write_text("an editor's lock")
    assert list(plugins("zoo.animals")) == ["bomb", "cat"]
    assert plugins("zoo.animals")["cat"].summary() == "Says miau."
    assert "zoo.animals.cat" not in sys.modules


def test_a_plugin_is_loaded_when_asked_for(kind: Path) -> None:
    assert plugins("zoo.animals")["cat"].load().SOUND == "miau"


def test_a_plugin_that_does_not_load_says_which_and_why(kind: Path) -> None:
    (kind / "dog.py").write_text("import no_such_thing")
    with pytest.raises(ContentError, match=r"plugin dog does not load.*no_such_thing") as caught:
        plugins("zoo.animals")["dog"].load()
    assert caught.value.where == "zoo.animals.dog"


@pytest.mark.parametrize(
    "content", [b"def (", b"\xff\xfe", b"", b'"""no end', b"x = 1\n", b"'single'"]
)
def test_the_summary_of_a_broken_file_breaks_nothing(kind: Path, content: bytes) -> None:
    (kind / "odd.py").write_bytes(content)
    assert plugins("zoo.animals")["odd"].summary() in ("", "no end", "single")


def test_third_parties_add_plugins_by_entry_point(kind: Path) -> None:
    (kind.parents[1] / "farm.py").write_text('"""Says muh."""\n')
    third_party(kind.parents[1], "cow = farm")
    assert list(plugins("zoo.animals")) == ["cat", "cow"]
    assert plugins("zoo.animals")["cow"].summary() == "Says muh."


def test_third_parties_cannot_take_the_place_of_a_shipped_plugin(kind: Path) -> None:
    third_party(kind.parents[1], "cat = farm")
    assert plugins("zoo.animals")["cat"].module == "zoo.animals.cat"


def test_an_entry_point_to_nowhere_is_listed_and_fails_only_when_loaded(kind: Path) -> None:
    third_party(kind.parents[1], "ghost = no.such.module")
    ghost = plugins("zoo.animals")["ghost"]
    assert ghost.summary() == ""
    with pytest.raises(ContentError, match="ghost"):
        ghost.load()


def test_a_kind_that_does_not_exist_has_no_plugins() -> None:
    registry.plugins.cache_clear()
    assert plugins("soc.no_such_kind") == {}
