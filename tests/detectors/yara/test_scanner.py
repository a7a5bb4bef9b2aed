"""The scanner against hostile files: what one file costs is bounded, the rest is scanned."""

import gzip
import os
import resource
import signal
import time
from hashlib import sha1
from pathlib import Path
from threading import Timer

import psutil
import pytest

from detectors.yara.limits import Limits
from detectors.yara.load import load
from detectors.yara.scanner import Scanner
from detectors.yara.walk import open_files
from tests.detectors.yara.making import NEEDLE, rule, scan

# Ends at once on an empty file, so that the loader lets it pass; never on one with the word.
ENDLESS = rule(
    "endless",
    "$a and for all i in (0..9000000000) : (i < 9000000001)",
    strings='$a = "forever"',
    n=1,
)


@pytest.fixture
def files(tmp_path: Path) -> Path:
    folder = tmp_path / "files"
    folder.mkdir()
    return folder


def test_a_match_tells_the_string_its_place_and_the_digests(tmp_path: Path, files: Path) -> None:
    (files / "a").write_bytes(b"hay needle")
    (files / "b").write_bytes(b"hay")
    scanned = scan(tmp_path, [files])
    (match,) = scanned.results["a"].matches
    (string,) = match.strings
    assert (string.identifier, string.offset, string.length) == ("$a", 4, 6)
    assert string.data == "needle"
    assert scanned.results["a"].digests["sha1"] == sha1(b"hay needle").hexdigest()
    assert scanned.found("b") == []


def test_an_endless_rule_is_stopped_and_the_others_judge(tmp_path: Path, files: Path) -> None:
    (files / "a").write_bytes(b"needle forever")
    (files / "b").write_bytes(b"needle")
    start = time.monotonic()
    scanned = scan(tmp_path, [files], NEEDLE, ENDLESS, limits=Limits(seconds=3))
    assert time.monotonic() - start < 8
    assert scanned.found("a") == scanned.found("b") == [("needle",)]
    (problem,) = scanned.results["a"].problems
    assert "1.yar did not end" in problem
    assert scanned.results["b"].problems == ()
    assert scanned.restarts == 0


def test_a_scanner_that_dies_in_mid_scan_costs_that_file(tmp_path: Path, files: Path) -> None:
    for name, text in (("a", b"needle"), ("b", b"needle forever"), ("c", b"needle")):
        (files / name).write_bytes(text)
    for name, text in (("n.yar", NEEDLE), ("e.yar", ENDLESS)):
        (tmp_path / name).write_text(text, "utf-8")
    told: dict[str, tuple[str, ...]] = {}
    with Scanner(load([tmp_path / "n.yar", tmp_path / "e.yar"])) as scanner:
        for file in open_files([files], pytest.fail):
            name = Path(file.path).name
            killer = Timer(0.3, os.kill, (scanner.pid, signal.SIGKILL))
            if name == "b":
                killer.start()
            result = scanner.scan(file)
            told[name] = result.problems or tuple(match.rule.name for match in result.matches)
        assert scanner.restarts == 1
    assert told["a"] == told["c"] == ("needle",)
    assert "signal 9" in told["b"][0]


def test_a_scanner_that_hangs_is_killed_in_time(
    tmp_path: Path, files: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("detectors.yara.scanner.GRACE", 0.2)
    for name in "ab":
        (files / name).write_bytes(b"needle")
    rules = tmp_path / "n.yar"
    rules.write_text(NEEDLE, "utf-8")
    with Scanner(load([rules]), Limits(seconds=1)) as scanner:
        hung = scanner.pid
        os.kill(hung, signal.SIGSTOP)
        first, second = (scanner.scan(file) for file in open_files([files], pytest.fail))
    assert "did not end within 1 s" in first.problems[0]
    assert [match.rule.name for match in second.matches] == ["needle"]
    assert not psutil.pid_exists(hung)


def test_no_process_stays_behind(tmp_path: Path) -> None:
    rules = tmp_path / "n.yar"
    rules.write_text(NEEDLE, "utf-8")
    with Scanner(load([rules])) as scanner:
        child = scanner.pid
        assert psutil.pid_exists(child)
    assert not psutil.pid_exists(child)


def test_the_child_can_open_nothing_and_take_no_more_memory(tmp_path: Path) -> None:
    rules = tmp_path / "n.yar"
    rules.write_text(NEEDLE, "utf-8")
    with Scanner(load([rules]), Limits(memory=1 << 29)) as scanner:
        child = psutil.Process(scanner.pid)
        assert child.rlimit(resource.RLIMIT_AS) == (1 << 29, 1 << 29)
        assert child.rlimit(resource.RLIMIT_NOFILE) == (4, 4)
        assert child.rlimit(resource.RLIMIT_FSIZE) == (0, 0)
        assert child.num_fds() == 3
        assert child.cwd() == "/"
        assert set(child.environ()) <= {"PYTHONPATH", "LC_CTYPE"}


def test_a_sparse_gigabyte_is_looked_at_in_part(tmp_path: Path, files: Path) -> None:
    with (files / "a").open("wb") as file:
        file.write(b"needle")
        file.truncate(1 << 30)
        file.seek(-9, os.SEEK_END)
        file.write(b"needle!!!")
    start = time.monotonic()
    scanned = scan(tmp_path, [files], rule("ends", "#a == 2", strings='$a = "needle"'))
    assert time.monotonic() - start < 10
    result = scanned.results["a"]
    assert result.size == 1 << 30
    assert result.digests == {}
    assert [s.offset for s in result.matches[0].strings] == [0, (1 << 30) - 9]
    assert "only 67108864 of 1073741824 bytes" in result.notes[0]


@pytest.mark.slow
def test_memory_stays_bounded_over_large_files_and_bombs(tmp_path: Path, files: Path) -> None:
    (files / "zeros").write_bytes(bytes(32 << 20))
    (files / "bomb.gz").write_bytes(gzip.compress(bytes(300 << 20), 1))
    often = rule("often", "#a > 5", strings="$a = { 00 00 00 00 }")
    rules = tmp_path / "n.yar"
    rules.write_text(often, "utf-8")
    with Scanner(load([rules])) as scanner:
        for file in open_files([files] * 2, pytest.fail):
            result = scanner.scan(file)
            assert any("often" in note or "beginning" in note for note in result.notes)
            assert all(len(match.strings) <= 20 for match in result.matches)
        peak = psutil.Process(scanner.pid).memory_info().rss
        assert scanner.restarts == 0
    assert peak < 1 << 30


def test_too_little_memory_costs_the_file(tmp_path: Path, files: Path) -> None:
    (files / "a").write_bytes(bytes(40 << 20) + b"needle")
    (files / "b").write_bytes(b"needle")
    scanned = scan(tmp_path, [files], limits=Limits(memory=90 << 20))
    assert scanned.results["a"].problems
    assert scanned.found("b") == [("needle",)]


def test_matches_are_capped(tmp_path: Path, files: Path) -> None:
    (files / "a").write_bytes(b"needle")
    many = [rule(f"r{n}", "$a", n=n, strings='$a = "needle"') for n in range(9)]
    scanned = scan(tmp_path, [files], *many, limits=Limits(matches=5))
    assert len(scanned.results["a"].matches) == 5
    assert "more than 5 matches" in scanned.results["a"].notes[0]


def test_strings_are_shown_short_and_without_control_characters(
    tmp_path: Path, files: Path
) -> None:
    (files / "a").write_bytes(b"needle\x1b[31m\xe2\x80\xae\xff" + b"x" * 500)
    text = rule("needle", "$a", strings="$a = /needle.{1,400}/s")
    (string,) = scan(tmp_path, [files], text).results["a"].matches[0].strings
    assert string.data.startswith("needle\\x1b[31m\\u202e\\xff")
    assert string.length == 406
    assert len(string.data) < 200


def test_utf16_is_shown_as_text(tmp_path: Path, files: Path) -> None:
    (files / "a").write_bytes("a needle".encode("utf-16-le"))
    (string,) = (
        scan(tmp_path, [files], rule("needle", "$a", strings='$a = "needle" wide'))
        .results["a"]
        .matches[0]
        .strings
    )
    assert string.data == "needle"


def test_a_rejected_rule_in_a_good_file_says_nothing(tmp_path: Path, files: Path) -> None:
    (files / "a").write_bytes(b"needle")
    bad = rule("bad", "true", n=1, level="no")
    assert scan(tmp_path, [files], NEEDLE + bad).found("a") == [("needle",)]


def test_an_empty_file_is_judged(tmp_path: Path, files: Path) -> None:
    (files / "a").touch()
    assert scan(tmp_path, [files], rule("empty", "filesize == 0")).found("a") == [("empty",)]
