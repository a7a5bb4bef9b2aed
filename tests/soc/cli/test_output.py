"""Results leave by one way: four formats, whole files, and nothing that acts on a terminal."""

import csv
import io
import json
import os
import re
import threading
import unicodedata
from pathlib import Path
from typing import Any

import pytest

from soc.cli import table
from soc.cli.output import Column, Format, choose, json_text, results
from soc.cli.table import level_column
from soc.cli.terminal import note, progress
from soc.errors import InputError, UsageError
from soc.text import safe
from tests.terminal import on_terminal

COLUMNS = (Column("user.name", "User"), Column("source.ip", "Source"), level_column())
EVENT = {"user.name": "an", "source.ip": "10.0.0.7", "rule.level": "high", "process.pid": 7}
PLANES = range(0, 0x110000, 0x10000)


def printed(capsys: pytest.CaptureFixture[str], *documents: Any, **options: Any) -> str:
    columns = options.pop("columns", COLUMNS)
    with results(columns, **options) as write:
        for document in documents:
            write(document)
    return capsys.readouterr().out


def acting(text: str) -> set[str]:
    kinds = ("Cc", "Cf", "Cs", "Zl", "Zp")
    return {char for char in text if unicodedata.category(char) in kinds} - {"\n"}


def test_ndjson_is_nested_ecs_a_line_each(capsys: pytest.CaptureFixture[str]) -> None:
    lines = printed(capsys, EVENT, EVENT).splitlines()
    assert len(lines) == 2
    assert json.loads(lines[0]) == {
        "user": {"name": "an"},
        "source": {"ip": "10.0.0.7"},
        "rule": {"level": "high"},
        "process": {"pid": 7},
    }


def test_what_is_nested_already_stays_nested(capsys: pytest.CaptureFixture[str]) -> None:
    document = {"rule": {"id": "r"}, "reason": {"kind": "and", "children": [{"kind": "field"}]}}
    assert json.loads(printed(capsys, document)) == document


@pytest.mark.parametrize("count", [0, 1, 3])
def test_json_is_one_document(capsys: pytest.CaptureFixture[str], count: int) -> None:
    assert len(json.loads(printed(capsys, *[EVENT] * count, json=True))) == count


def test_csv_has_the_columns_as_fields(capsys: pytest.CaptureFixture[str]) -> None:
    event = {"user.name": '=cmd|"x"!A1', "source.ip": ["10.0.0.7", "10.0.0.8"], "rule.level": -5}
    rows = list(csv.reader(io.StringIO(printed(capsys, event, format=Format.CSV))))
    assert rows == [
        ["user.name", "source.ip", "rule.level"],
        ['\'=cmd|"x"!A1', "10.0.0.7, 10.0.0.8", "-5"],
    ]


def test_a_table_shows_titles_values_and_short_levels(capsys: pytest.CaptureFixture[str]) -> None:
    title, row = printed(capsys, EVENT, format=Format.TABLE).splitlines()
    assert title.split() == ["User", "Source", "Level"]
    assert row.split() == ["an", "10.0.0.7", "high"]


def test_an_empty_table_says_so_beside_the_data(capsys: pytest.CaptureFixture[str]) -> None:
    with results(COLUMNS, Format.TABLE):
        pass
    assert capsys.readouterr() == ("", "nothing found\n")


def test_fields_choose_what_is_printed_in_their_order(capsys: pytest.CaptureFixture[str]) -> None:
    assert json.loads(printed(capsys, EVENT, fields="process.pid, user")) == {
        "process": {"pid": 7},
        "user": {"name": "an"},
    }
    rows = printed(capsys, EVENT, fields="process.pid,user.name", format=Format.CSV).splitlines()
    assert rows == ["process.pid,user.name", "7,an"]
    title, row = printed(
        capsys, EVENT, fields="process.pid,user.name", format=Format.TABLE
    ).splitlines()
    assert title.split() == ["process.pid", "User"]
    assert row.split() == ["7", "an"]


def test_cells_are_shortened_unless_full_is_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    event = {"user.name": "x" * 300}
    assert "…" in printed(capsys, event, format=Format.TABLE)
    assert "x" * 300 in printed(capsys, event, format=Format.TABLE, full=True)


def test_a_long_table_keeps_its_widths_and_its_memory(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(table, "CHUNK", 3)
    events = [{"user.name": "x" * size, "source.ip": "10.0.0.7"} for size in (1, 5, 2, 30, 1, 4, 2)]
    lines = printed(capsys, *events, format=Format.TABLE).splitlines()
    assert len(lines) == 8
    assert {line.index("10.0.0.7") for line in lines[1:]} == {lines[0].index("Source")}


def test_values_of_every_kind_fit_in_a_cell(capsys: pytest.CaptureFixture[str]) -> None:
    values = [None, True, 0, 1.5, [], ["a", 7], {"b": {"c": 1}}, [{"d": 1}]]
    columns = [Column(f"f{number}", "") for number in range(len(values))]
    document = {f"f{number}": value for number, value in enumerate(values)}
    with results(columns, Format.CSV) as write:
        write({name: value for name, value in document.items() if name != "f6"})
    row = capsys.readouterr().out.splitlines()[1]
    assert row == ',true,0,1.5,,"a, 7",,"[{""d"":1}]"'


@pytest.mark.parametrize("plane", PLANES)
@pytest.mark.parametrize("format", list(Format))
def test_no_code_point_acts_on_the_terminal_in_any_format(
    capsys: pytest.CaptureFixture[str], plane: int, format: Format
) -> None:
    starts = range(plane, plane + 0x10000, 0x400)
    texts = ["".join(map(chr, range(start, start + 0x400))) for start in starts]
    columns = [Column("user.name", texts[0])]
    documents = [{"user.name": text} for text in texts]
    assert not acting(printed(capsys, *documents, columns=columns, format=format, full=True))


def test_no_code_point_in_a_note_acts_on_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    note("".join(map(chr, range(0x110000))))
    assert not acting(capsys.readouterr().err)


@pytest.mark.parametrize("text", ["[/red]", "[link=http://x]y[/link]", ":smile:", "\\[bold]"])
def test_markup_is_text(capsys: pytest.CaptureFixture[str], text: str) -> None:
    columns = [Column("user.name", text)]
    title, row = printed(
        capsys, {"user.name": text}, columns=columns, format=Format.TABLE
    ).splitlines()
    assert title.rstrip() == text
    assert row.rstrip() == text


def test_json_is_read_back_as_it_was() -> None:
    value = "\x1b]0;x\x07\u202e\u200b\U000e0041\x7f\x9b Sở"
    line = json_text({"user.name": value})
    assert line.isprintable()
    assert json.loads(line) == {"user": {"name": value}}


@pytest.mark.parametrize("value", ["\ud800", 2**70, {1: 2}])
def test_what_the_fast_encoder_refuses_is_printed_all_the_same(value: object) -> None:
    assert json.loads(json_text({"a.b": value, "c": 1}))["c"] == 1


def test_a_record_that_cannot_be_printed_costs_only_itself(
    capsys: pytest.CaptureFixture[str],
) -> None:
    deep: list[Any] = []
    for _level in range(5_000):
        deep = [deep]
    bad, good = map(json.loads, printed(capsys, {"a": deep}, EVENT).splitlines())
    assert "cannot be printed" in bad["error"]["message"]
    assert good["user"] == {"name": "an"}
    assert printed(capsys, {"user.name": deep}, format=Format.TABLE)


def test_a_file_appears_whole(tmp_path: Path) -> None:
    path = tmp_path / "out.json"
    with results(COLUMNS, output=path) as write:
        write(EVENT)
        assert not path.exists()
    assert len(json.loads(path.read_text())) == 1
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_that_is_there_stays_when_something_goes_wrong(tmp_path: Path) -> None:
    path = tmp_path / "out.ndjson"
    path.write_text("old")

    def interrupted() -> None:
        with results(COLUMNS, output=path) as write:
            write(EVENT)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_that_cannot_be_made_is_named_as_it_was_given(tmp_path: Path) -> None:
    place = tmp_path / "none" / "out.csv"
    with pytest.raises(InputError, match="No such file") as caught, results(COLUMNS, output=place):
        pytest.fail("nothing is to be written")
    assert caught.value.where == str(place)
    assert caught.value.hint


def test_a_symbolic_link_is_written_through(tmp_path: Path) -> None:
    (tmp_path / "link.csv").symlink_to("real.csv")
    with results(COLUMNS, output=tmp_path / "link.csv") as write:
        write(EVENT)
    assert (tmp_path / "real.csv").read_text().startswith("user.name,")
    assert (tmp_path / "link.csv").is_symlink()


def test_a_named_pipe_is_written_not_replaced(tmp_path: Path) -> None:
    path = tmp_path / "pipe"
    os.mkfifo(path)
    read: list[str] = []
    reader = threading.Thread(target=lambda: read.append(path.read_text()))
    reader.start()
    with results(COLUMNS, output=path) as write:
        write(EVENT)
    reader.join(10)
    assert json.loads(read[0])["user"] == {"name": "an"}
    assert path.is_fifo()


@pytest.mark.parametrize(
    ("options", "wanted"),
    [
        ({}, Format.NDJSON),
        ({"json": True}, Format.JSON),
        ({"format": Format.CSV}, Format.CSV),
        ({"output": Path("a.csv")}, Format.CSV),
        ({"output": Path("a.JSON")}, Format.JSON),
        ({"output": Path("a.txt")}, Format.NDJSON),
        ({"output": Path("-")}, Format.NDJSON),
        ({"output": Path("a.csv"), "json": True}, Format.JSON),
    ],
)
def test_the_format_is_as_asked_else_by_the_ending(
    capsys: pytest.CaptureFixture[str], options: dict[str, Any], wanted: Format
) -> None:
    asked = options.pop("format", None)
    assert choose(asked, **options) is wanted
    assert capsys.readouterr().out == ""


def test_formats_that_contradict_each_other_are_refused() -> None:
    with pytest.raises(UsageError, match="contradict"):
        choose(Format.CSV, json=True)


def test_without_a_terminal_there_is_no_bar(capsys: pytest.CaptureFixture[str]) -> None:
    with progress("reading", 10) as advance:
        advance(10)
    assert capsys.readouterr() == ("", "")


TABLE = """
from soc.cli.output import Column, results
from soc.cli.table import level_column
with results([level_column(), Column("a", "A")]) as write:
    write({"rule.level": "critical", "a": "\\x1b[31m[/red]"})
"""
BAR = """
from soc.cli.terminal import progress
with progress("reading [/red]\\x1b]0;x\\x07", 2) as advance:
    advance(2)
"""


def test_on_a_terminal_there_is_a_coloured_table() -> None:
    shown = on_terminal(TABLE)
    assert "\x1b[1;31mcrit" in shown
    assert "\\x1b[31m[/red]" in shown


@pytest.mark.parametrize("environ", [{"NO_COLOR": "1"}, {"TERM": "dumb"}])
def test_colours_can_be_switched_off(environ: dict[str, str]) -> None:
    shown = on_terminal(TABLE, environ)
    assert "crit" in shown
    assert not re.search("\x1b\\[[0-9;]*3[0-9]", shown)


def test_a_bar_shows_on_a_terminal_and_its_label_is_text() -> None:
    shown = on_terminal(BAR)
    assert safe("reading [/red]\x1b]0;x\x07") in shown
    assert "100%" in shown
    assert "[progress" not in shown
    assert on_terminal(BAR, {"TERM": "dumb"}) == ""


def test_a_narrow_terminal_breaks_no_row() -> None:
    code = TABLE.replace('"a": "', '"a": "' + "x" * 500)
    lines = on_terminal(code, {"COLUMNS": "40", "NO_COLOR": "1"}).splitlines()
    assert len(lines) == 2
    assert all(len(re.sub("\x1b\\[[0-9;]*m", "", line)) <= 40 for line in lines)
