"""Finding files: every regular file, no link, nothing that hangs, nothing silently left out."""

import os
from pathlib import Path

import pytest

from detectors.yara.walk import open_files
from soc.errors import InputError
from tests.detectors.yara.making import scan


def names(paths: list[Path], problems: list[InputError]) -> list[str]:
    return [Path(file.path).name for file in open_files(paths, problems.append)]


def test_files_come_in_order_at_any_depth(tmp_path: Path) -> None:
    for name in ("b", "a", "d/z", "c/y/x"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    assert names([tmp_path], []) == ["a", "b", "x", "z"]


def test_links_pipes_and_devices_in_a_folder_are_passed_over(tmp_path: Path) -> None:
    (tmp_path / "a").touch()
    (tmp_path / "link").symlink_to("/etc/passwd")
    (tmp_path / "folder").symlink_to("/etc")
    os.mkfifo(tmp_path / "pipe")
    problems: list[InputError] = []
    assert names([tmp_path], problems) == ["a"]
    assert problems == []


def test_a_link_that_is_named_is_refused(tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to("/etc/passwd")
    problems: list[InputError] = []
    assert names([link], problems) == []
    assert "symbolic link is not followed" in problems[0].message


def test_a_pipe_that_is_named_is_refused_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    problems: list[InputError] = []
    assert names([tmp_path / "pipe"], problems) == []
    assert problems[0].message == "not a regular file"


def test_what_is_gone_is_told_and_the_rest_is_found(tmp_path: Path) -> None:
    for name in "abc":
        (tmp_path / name).touch()
    problems: list[InputError] = []
    found = []
    for file in open_files([tmp_path], problems.append):
        found.append(Path(file.path).name)
        (tmp_path / "b").unlink(missing_ok=True)
    assert found == ["a", "c"]
    assert [(Path(one.where).name, one.message[:12]) for one in problems] == [("b", "no such file")]


def test_a_file_swapped_for_a_link_is_not_followed(tmp_path: Path) -> None:
    for name in "ab":
        (tmp_path / name).touch()
    problems: list[InputError] = []
    found = []
    for file in open_files([tmp_path], problems.append):
        found.append(Path(file.path).name)
        (tmp_path / "b").unlink(missing_ok=True)
        (tmp_path / "b").symlink_to("/etc/passwd")
    assert found == ["a"]
    assert "symbolic link" in problems[0].message


def test_a_folder_swapped_for_another_is_not_entered(tmp_path: Path) -> None:
    inner, other = tmp_path / "scan" / "b", tmp_path / "other"
    inner.mkdir(parents=True)
    other.mkdir()
    (tmp_path / "scan" / "a").touch()
    (other / "secret").touch()
    problems: list[InputError] = []
    found = []
    for file in open_files([tmp_path / "scan"], problems.append):
        found.append(Path(file.path).name)
        inner.rename(tmp_path / "away")
        other.rename(inner)
    assert found == ["a"]
    assert len(problems) == 1


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_without_permission_is_told(tmp_path: Path) -> None:
    (tmp_path / "a").touch(mode=0)
    problems: list[InputError] = []
    assert names([tmp_path], problems) == []
    assert "Permission denied" in problems[0].message


def test_no_permission_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a").touch()
    real = os.open

    def refuse(path: str, flags: int, mode: int = 0o777, *, dir_fd: int | None = None) -> int:
        if path == "a":
            raise PermissionError(13, "Permission denied")
        return real(path, flags, mode, dir_fd=dir_fd)

    monkeypatch.setattr(os, "open", refuse)
    problems: list[InputError] = []
    assert names([tmp_path], problems) == []
    assert problems[0].message == "cannot be read: Permission denied"
    assert problems[0].where == str(tmp_path / "a")


def test_depth_uses_up_neither_descriptors_nor_the_stack(tmp_path: Path) -> None:
    places = [tmp_path]
    for _ in range(1200):
        places.append(places[-1] / "d")
        places[-1].mkdir()
    last = places[-1] / "a"
    last.touch()
    problems: list[InputError] = []
    assert names([tmp_path], problems) == ["a"]
    assert problems == []
    last.unlink()
    for place in reversed(places[1:]):  # shutil recurses
        place.rmdir()


def test_descriptors_are_closed(tmp_path: Path) -> None:
    for n in range(50):
        (tmp_path / str(n)).touch()
    before = len(os.listdir("/proc/self/fd"))
    for file in open_files([tmp_path], pytest.fail):
        assert file.descriptor > 2
        break
    assert len(os.listdir("/proc/self/fd")) <= before + 2
    names([tmp_path], [])
    assert len(os.listdir("/proc/self/fd")) == before


def test_a_file_that_shrinks_meanwhile_is_scanned_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "f").mkdir()
    (tmp_path / "f" / "a").write_bytes(b"needle" * 1000)
    os.truncate(tmp_path / "f" / "a", 10)
    assert scan(tmp_path, [tmp_path / "f"]).results["a"].size == 10
