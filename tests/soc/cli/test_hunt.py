"""`soc hunt` says when it does not show all that it found, and refuses what it cannot count."""

from pathlib import Path

import pytest

from tests.command import soc

MORE = "there are more; narrow it with --since or a query, or raise --limit\n"


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A home whose store has three events, of two programs."""
    lines = (b"a[1]: x", b"a[1]: y", b"b[1]: z")
    records = b"".join(b"Nov 22 08:15:30 web7 " + line + b"\n" for line in lines)
    stored = soc(
        "collect", "stdin", "--parser", "syslog", "--to-store", home=tmp_path, input=records
    )
    assert stored.code == 0, stored.err
    return tmp_path


@pytest.mark.parametrize(
    ("options", "count", "told"),
    [
        (["-n", "2"], 2, MORE),
        (["-n", "3"], 3, ""),
        (["--count-by", "process.name", "-n", "1"], 1, MORE),
        (["--count-by", "process.name", "-n", "2"], 2, ""),
        (["--every", "1d", "-n", "1"], 1, ""),
    ],
)
def test_what_is_not_shown_is_told(home: Path, options: list[str], count: int, told: str) -> None:
    ran = soc("hunt", "*", *options, home=home)
    assert (ran.code, len(ran.documents), ran.err) == (0, count, told)


@pytest.mark.parametrize(
    "options", [["-n", "9" * 30], ["--every", "9" * 30 + "d"], ["--every", "99999d"]]
)
def test_numbers_beyond_all_measure_are_usage(tmp_path: Path, options: list[str]) -> None:
    assert soc("hunt", "*", *options, home=tmp_path).code == 2


@pytest.mark.parametrize("kind", ["", "sqlite:"])
def test_a_store_that_is_not_there_is_told_and_not_made(tmp_path: Path, kind: str) -> None:
    for words in (("hunt", "*"), ("alerts", "list"), ("store", "status")):
        ran = soc(*words, "--store", f"{kind}{tmp_path}/tsore", home=tmp_path)
        assert ran.code == 5
        assert ran.err.startswith(f"error: there is no store\n  at {tmp_path}/tsore\n  try: ")
        assert not (tmp_path / "tsore").exists()


def test_a_store_may_be_named_from_the_home_folder(home: Path) -> None:
    ran = soc("hunt", "*", "--store", "sqlite:~/state/store", home=home)
    assert (ran.code, len(ran.documents)) == (0, 3)


def test_the_kind_of_a_store_is_no_name_of_a_folder(tmp_path: Path) -> None:
    ran = soc("hunt", "*", "--store", "HTTPS://es1.soc.example:9200", home=tmp_path)
    assert ran.code == 3
    assert "no store is called 'HTTPS'" in ran.err


@pytest.mark.parametrize("words", [("hunt", "*"), ("alerts", "list")])
def test_a_time_that_ends_before_it_begins_is_usage(tmp_path: Path, words: tuple[str, ...]) -> None:
    ran = soc(*words, "--since", "2h", "--until", "3h", home=tmp_path)
    assert ran.code == 2
    assert ran.err == "error: --since must lie before --until\n  try: exchange them\n"
