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
