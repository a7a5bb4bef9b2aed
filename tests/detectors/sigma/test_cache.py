"""The cache of loaded rules: the same report, and never anything but data."""

from pathlib import Path

import msgspec
import pytest

from detectors.sigma import cache
from detectors.sigma.cache import load_cached
from detectors.sigma.load import load
from tests.data import ROOT, archive
from tests.detectors.sigma.sigma_rules import load_text, rule

DETECTION = "a: {F|cidr: 10.0.0.0/8, G|windash|contains: ' -x*y', H|re|i: 'a+', I: null}"
BAD = "title: B\nid: x\n"


@pytest.fixture
def rules(tmp_path: Path) -> Path:
    folder = tmp_path / "rules"
    folder.mkdir()
    load_text(folder, rule(f"{DETECTION}\ncondition: a"), BAD)
    return folder


def test_the_second_load_is_the_same_and_reads_no_rule(
    rules: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = load_cached([rules], tmp_path / "cache")
    assert first == load([rules])
    monkeypatch.setattr(cache, "load", None)
    assert load_cached([rules], tmp_path / "cache") == first
    assert (tmp_path / "cache").stat().st_mode & 0o777 == 0o700


def test_our_own_rules_come_back_as_they_were(tmp_path: Path) -> None:
    paths = [ROOT / "rules" / "sigma"]
    assert load_cached(paths, tmp_path) == load_cached(paths, tmp_path) == load(paths)
    assert len(list(tmp_path.iterdir())) == 1


@pytest.mark.slow
def test_the_corpus_comes_back_as_it_was(tmp_path: Path) -> None:
    paths = [archive("sigmahq-rules")]
    assert load_cached(paths, tmp_path) == load_cached(paths, tmp_path) == load(paths)
    assert len(list(tmp_path.iterdir())) == 1


def test_a_change_of_anything_is_seen(rules: Path, tmp_path: Path) -> None:
    folder = tmp_path / "cache"
    load_cached([rules], folder)
    changed = (rules / "r0.yml").read_text("utf-8").replace("Rule 1", "Rule 7")
    (rules / "r0.yml").write_text(changed, "utf-8")
    assert load_cached([rules], folder).rules[0].info.title == "Rule 7"
    expand = rule("a: {F|expand: '%names%'}\ncondition: a", number=5)
    (rules / "r5.yml").write_text(expand, "utf-8")
    assert len(load_cached([rules], folder).rules) == 1
    assert len(load_cached([rules], folder, placeholders={"names": ["x"]}).rules) == 2
    for number in range(10):
        (rules / "r9.yml").write_text(rule(f"a: {{F: {number}}}\ncondition: a", number=9), "utf-8")
        load_cached([rules], folder)
    assert len(list(folder.iterdir())) == cache.KEPT


@pytest.mark.parametrize(
    "data",
    [b"", b"\xc1", b"\x93\x00", msgspec.msgpack.encode([99, 1]), msgspec.msgpack.encode([4, 1])],
    ids=["empty", "invalid", "cut", "unknown class", "too few parts"],
)
def test_a_damaged_file_is_as_good_as_none(rules: Path, tmp_path: Path, data: bytes) -> None:
    wanted = load_cached([rules], tmp_path / "cache")
    (place,) = (tmp_path / "cache").iterdir()
    place.write_bytes(data)
    assert load_cached([rules], tmp_path / "cache") == wanted
    assert place.read_bytes() != data


def test_a_folder_that_cannot_be_written_costs_only_time(rules: Path, tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("x", "utf-8")
    assert load_cached([rules], blocked) == load([rules])
