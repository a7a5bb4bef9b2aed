"""`soc init` writes a configuration that holds, and never touches what is there."""

import stat
from pathlib import Path

import pytest

from soc.run.starting import starter
from tests.command import soc


def test_the_first_run_writes_and_shows_a_valid_file_and_makes_the_state_folder(
    tmp_path: Path,
) -> None:
    ran = soc("init", home=tmp_path)
    assert ran.code == 0
    assert ran.out == (tmp_path / "soc.toml").read_text() == starter()
    assert stat.S_IMODE((tmp_path / "state").stat().st_mode) == 0o700
    assert f"written: {tmp_path / 'soc.toml'}" in ran.err
    assert soc("config", "check", home=tmp_path).code == 0


@pytest.mark.parametrize("words", ["detect -q -", "demo", "contain list", "hunt *"])
def test_whichever_command_comes_first_the_state_folder_is_its_owners(
    tmp_path: Path, words: str
) -> None:
    state = tmp_path / "of" / "soc"
    ran = soc(*words.split(), home=tmp_path, environ={"SOC_PATHS__STATE": str(state)})
    assert ran.code == 0, ran.err
    found = [path for path in (state.parent, *state.parent.rglob("*")) if path.is_dir()]
    assert {stat.S_IMODE(path.stat().st_mode) for path in found} <= {0o700}


def test_a_second_run_changes_nothing(tmp_path: Path) -> None:
    soc("init", home=tmp_path)
    (tmp_path / "soc.toml").write_text("# mine \u202e\n", "utf-8")
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    ran = soc("init", home=tmp_path)
    assert ran.code == 0
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == before
    assert ran.out == "# mine \\u202e\n"
    assert ran.err.count("unchanged") == 2


def test_a_broken_file_that_is_there_is_named_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "soc.toml").write_text("[[[")
    ran = soc("init", home=tmp_path)
    assert ran.code == 3
    assert f"{tmp_path / 'soc.toml'}:1" in ran.err
    assert (tmp_path / "soc.toml").read_text() == "[[["
