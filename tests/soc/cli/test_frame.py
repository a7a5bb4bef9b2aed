"""The frame of the command line: what is listed, how failures end, how fast help is."""

import os
import re
import stat
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command

from soc.cli.main import FLOW, KIND, app, build, listing, titles
from soc.errors import Conflict, ContentError, InputError, Refused, StoreError, UsageError
from soc.registry import plugins
from soc.text import safe
from tests.command import soc

BUDGET = 0.25
"""Seconds in which `soc --help` answers."""
CI_FACTOR = 4
"""Machines of CI are busy: only a gross breach fails there; the figure is printed."""

COMMANDS = '''"""Ends badly in many ways."""
import typer
from soc.errors import *
app = typer.Typer(no_args_is_help=True)
class Odd(Exception): pass

@app.command()
def fail(kind: str, text: str = "it went wrong", where: str = "x.yml:3") -> None:
    """Fail.

    Example: soc boom fail
    """
    raise globals()[kind](text, where=where, hint="do it")

@app.command()
def bug(text: str = "canary") -> None:
    """Fail by a bug."""
    raise Odd(text)

@app.command()
def file(path: str) -> None:
    """Read a file."""
    open(path).read()

@app.command()
def interrupt() -> None:
    """Be interrupted."""
    raise KeyboardInterrupt

@app.command()
def found() -> None:
    """Find something."""
    raise typer.Exit(Exit.FINDINGS)
'''


@pytest.fixture
def boom(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A third party's command `soc boom`, and `soc broken` that does not load."""
    info = tmp_path / "boom-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: boom\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(
        f"[metrosoc.{KIND}]\nboom = boomcommand\nbroken = brokencommand\n"
    )
    (tmp_path / "boomcommand.py").write_text(COMMANDS)
    (tmp_path / "brokencommand.py").write_text('"""Does not load."""\nimport nothing_such')
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("SOC_PATHS__STATE", str(tmp_path / "state"))
    plugins.cache_clear()
    yield tmp_path
    plugins.cache_clear()
    sys.modules.pop("boomcommand", None)


def run(*arguments: str) -> int:
    code = get_command(app).main(list(arguments), prog_name="soc", standalone_mode=False)
    assert isinstance(code, int)
    return code


@pytest.mark.parametrize(
    ("kind", "code"),
    [
        (UsageError, 2),
        (ContentError, 3),
        (InputError, 4),
        (StoreError, 5),
        (Conflict, 6),
        (Refused, 6),
    ],
)
@pytest.mark.usefixtures("boom")
def test_an_error_says_what_where_and_what_next(
    kind: type, code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("boom", "fail", kind.__name__) == code
    out, err = capsys.readouterr()
    assert out == ""
    assert err == "error: it went wrong\n  at x.yml:3\n  try: do it\n"


@pytest.mark.usefixtures("boom")
def test_nothing_in_an_error_acts_on_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    hostile = "".join(map(chr, [*range(0x2070), 0xFEFF, 0xE0041])) + "[/red][link=x]"
    assert run("boom", "fail", "InputError", "--text", hostile, "--where", hostile) == 4
    err = capsys.readouterr().err
    assert err.splitlines() == [
        f"error: {safe(hostile)}",
        f"  at {safe(hostile)}",
        "  try: do it",
    ]


def test_a_bug_ends_with_a_log_file_and_never_with_a_traceback(
    boom: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("boom", "bug") == 70
    err = capsys.readouterr().err
    assert "Traceback" not in err
    assert "canary" not in err
    (log,) = (boom / "state" / "log").iterdir()
    assert f"at {log}" in err
    assert "Odd: canary" in log.read_text()
    assert stat.S_IMODE(log.stat().st_mode) == 0o600


def test_a_bug_is_kept_even_where_the_state_folder_cannot_be_written(
    boom: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (boom / "state").write_text("in the way")
    assert run("boom", "bug") == 70
    place = Path(re.search(r"at (\S+\.log)", capsys.readouterr().err)[1])  # type: ignore[index]
    assert "Odd: canary" in place.read_text()
    place.unlink()


@pytest.mark.usefixtures("boom")
def test_a_file_that_cannot_be_read_is_bad_input_not_a_bug(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run("boom", "file", "/no/such\x1b[31m") == 4
    assert capsys.readouterr().err == ("error: No such file or directory\n  at /no/such\\x1b[31m\n")


@pytest.mark.usefixtures("boom")
def test_an_interruption_says_what_was_kept(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("boom", "interrupt") == 130
    assert "stored" in capsys.readouterr().err


@pytest.mark.usefixtures("boom")
def test_a_command_may_end_with_findings(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("boom", "found") == 1
    assert capsys.readouterr().err == ""


@pytest.mark.usefixtures("boom")
def test_a_command_that_does_not_load_hurts_only_itself(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run("--help") == 0
    assert "broken" in capsys.readouterr().out
    assert run("broken") == 3
    assert "nothing_such" in capsys.readouterr().err
    assert run("boom", "found") == 1


@pytest.mark.usefixtures("boom")
def test_commands_of_third_parties_are_listed_last(capsys: pytest.CaptureFixture[str]) -> None:
    run("--help")
    help = capsys.readouterr().out
    assert help.index("More:") > help.index("Keep:")
    assert re.search(r"boom +Ends badly in many ways\.", help)


def test_commands_are_listed_in_flow_order_and_each_has_its_place() -> None:
    assert "More" not in listing()
    order = [plugin.name for group in listing().values() for plugin in group]
    assert order == [name for names in FLOW.values() for name in names if name in order]
    assert {"init", "doctor", "config", "collect", "detect", "alerts"} <= set(order)
    assert set(titles()) == {*FLOW, "More"}


def helps() -> Iterator[tuple[list[str], Any]]:
    for name, plugin in plugins(KIND).items():
        stack = [([name], build(plugin))]
        while stack:
            path, command = stack.pop()
            yield path, command
            stack += [
                ([*path, sub], child) for sub, child in getattr(command, "commands", {}).items()
            ]


def test_every_command_has_a_help_that_ends_in_an_example() -> None:
    for path, command in helps():
        words = " ".join(path)
        first, *_rest = command.help.splitlines()
        assert first.endswith("."), words
        if not getattr(command, "commands", None):
            assert f"soc {words}" in command.help, f"soc {words}: no example"


def test_every_option_is_explained() -> None:
    for path, command in helps():
        for option in command.params:
            assert getattr(option, "help", None), f"soc {' '.join(path)}: {option.name}"


@pytest.mark.parametrize("arguments", [[], ["config"]])
def test_without_arguments_the_help_is_shown(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(*arguments) == 2
    assert "Usage: soc" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["confg"], "there is no command 'confg'\n  try: soc config\n"),
        (["\x1b[31m"], "there is no command '\\x1b[31m'\n  try: soc --help\n"),
        (["config", "shw"], "No such command 'shw'"),
        (["config", "show", "--orign"], "No such option: --orign"),
        (["config", "show", "-f", "\x1b]0;x\x07"], "'\\x1b]0;x\\x07' is not one of"),
        (["config", "show", "--json", "-f", "csv"], "contradict each other"),
    ],
)
def test_a_wrong_command_line_is_usage(
    arguments: list[str], says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(*arguments) == 2
    err = capsys.readouterr().err
    assert says in err
    assert "\x1b" not in err


def test_version(tmp_path: Path) -> None:
    ran = soc("--version", home=tmp_path)
    assert (ran.code, ran.err) == (0, "")
    assert re.fullmatch(r"soc \d+\.\d+\.\d+\n", ran.out)


def test_a_reader_that_has_seen_enough_is_no_error(tmp_path: Path) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "wb") as closed:
        ran = subprocess.run(
            [sys.executable, "-m", "soc", "config", "show"],
            stdout=closed,
            stderr=subprocess.PIPE,
            cwd=tmp_path,
            check=False,
        )
    assert (ran.returncode, ran.stderr) == (0, b"")


@pytest.mark.parametrize("words", ["config show", "config --help", "--help"])
def test_a_full_disk_is_told_and_is_no_bug(tmp_path: Path, words: str) -> None:
    ran = by_shell(f"{words} >/dev/full", tmp_path)
    assert ran.returncode == 4
    assert ran.stderr.splitlines()[0] == (
        "error: there is no room for what is written: No space left on device"
    )
    assert "Traceback" not in ran.stderr
    assert not (tmp_path / "state" / "log").exists()


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_closed_streams_are_no_bug(tmp_path: Path, closed: str) -> None:
    assert by_shell(f"detect -q - {closed}", tmp_path).returncode == 0
    assert not (tmp_path / "state" / "log").exists()


def by_shell(words: str, home: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["sh", "-c", f"exec {sys.executable} -m soc {words}"],
        cwd=home,
        env=os.environ | {"SOC_PATHS__STATE": str(home / "state"), "SOC_LANG": "en"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize(
    ("words", "at", "wanted"),
    [
        ("soc doc", 1, "doctor"),
        ("soc config sh", 2, "show"),
        ("soc config show --ori", 3, "--origin"),
    ],
)
def test_the_shell_completes(tmp_path: Path, words: str, at: int, wanted: str) -> None:
    environ = {"_SOC_COMPLETE": "complete_bash", "COMP_WORDS": words, "COMP_CWORD": str(at)}
    assert soc(home=tmp_path, environ=environ).out.split() == [wanted]


def test_help_imports_nothing_heavy() -> None:
    code = (
        "import sys\nfrom typer.main import get_command\nfrom soc.cli.main import app\n"
        "get_command(app).main(['--help'], prog_name='soc', standalone_mode=False)\n"
        "print(*sys.modules, file=sys.stderr)"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    heavy = {"pydantic", "rich", "orjson", "yaml", "luqum", "evtx", "re2", "sqlite3", "soc.store"}
    assert not heavy.intersection(ran.stderr.split())


def test_help_answers_at_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    times = []
    for _round in range(10):
        began = time.perf_counter()
        assert soc("--help", home=tmp_path).code == 0
        times.append(time.perf_counter() - began)
    median = statistics.median(times)
    with capsys.disabled():
        print(f" [soc --help: median {median:.3f} s of {BUDGET} s]", end="")
    assert median < BUDGET * CI_FACTOR
