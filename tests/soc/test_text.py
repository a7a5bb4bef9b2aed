"""Nothing that is shown may act on a terminal: proven over every code point there is."""

import json
import sys
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from soc.text import safe, safe_cell, safe_json, shorten

ACTING = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
BIDI = {"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"}
# Unicode's Default_Ignorable_Code_Point and the blank braille cell: they show as nothing.
INVISIBLE = {0x34F, 0x115F, 0x1160, 0x17B4, 0x17B5, 0x2800, 0x3164, 0xFFA0} | {
    code
    for first, last in [(0x180B, 0x180F), (0xFE00, 0xFE0F), (0xE0000, 0xE0FFF)]
    for code in range(first, last + 1)
}
EVERYTHING = [chr(code) for code in range(sys.maxunicode + 1)]


def is_harmless(char: str) -> bool:
    return (
        unicodedata.category(char) not in ACTING
        and unicodedata.bidirectional(char) not in BIDI
        and ord(char) not in INVISIBLE
    )


HARMLESS = "".join(filter(is_harmless, EVERYTHING))
HARMFUL = frozenset(EVERYTHING).difference(HARMLESS)


def test_no_code_point_comes_out_harmful() -> None:
    assert not HARMFUL.intersection(safe("".join(EVERYTHING)))


def test_harmless_code_points_come_out_unchanged() -> None:
    assert safe(HARMLESS) == HARMLESS


@pytest.mark.slow
def test_every_code_point_survives_json_and_none_comes_out_harmful() -> None:
    text = "".join(EVERYTHING[:0xD800] + EVERYTHING[0xE000:])
    line = safe_json(json.dumps(text, ensure_ascii=False))
    assert json.loads(line) == text
    assert not HARMFUL.intersection(line)
    assert json.loads(safe_json('"\ud800"')) == "\ud800"


@given(st.text())
def test_safe_of_a_text_is_safe_of_its_characters(text: str) -> None:
    assert safe(text) == "".join(map(safe, text))


@pytest.mark.parametrize(
    ("hostile", "shown"),
    [
        ("\x1b]0;owned\x07", r"\x1b]0;owned\x07"),
        ("\x1b]8;;http://evil\x1b\\click\x1b]8;;\x1b\\", None),
        ("\x9b2J", r"\x9b2J"),
        ("a\nb\r\tc", r"a\x0ab\x0d\x09c"),
        ("user\u202egpj.exe", r"user\u202egpj.exe"),
        ("ad\u200bmin", r"ad\u200bmin"),
        ("\U000e0041", r"\U000e0041"),
        ("\ud800", r"\ud800"),
        ("Sở Thông tin và Truyền thông", "Sở Thông tin và Truyền thông"),
        ("[/red]", "[/red]"),
        (b"\x1b", r"b'\x1b'"),
        (None, "None"),
    ],
)
def test_what_attackers_send(hostile: object, shown: str | None) -> None:
    result = safe(hostile)
    assert result.isprintable()
    assert shown is None or result == shown


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r", "\n", "＝"])
def test_a_spreadsheet_does_not_take_a_cell_for_a_formula(start: str) -> None:
    assert safe_cell(f"{start}cmd|' /C calc'!A0").startswith("'")


def test_an_ordinary_cell_stays_as_it_is() -> None:
    assert safe_cell("10.0.0.7") == "10.0.0.7"
    assert safe_cell(7) == "7"


@given(st.text(), st.integers(0, 50))
def test_shortened_text_fits_and_shows_that_it_was_cut(text: str, width: int) -> None:
    result = shorten(text, width)
    assert len(result) <= max(width, 1)
    assert result == text or result.endswith("…")
