"""Text for people is English in the sources and Vietnamese where that is wanted."""

import re
import string
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from soc import i18n
from soc.i18n import LOCALE_DIR, Catalogue, parse
from soc.registry import plugins
from tests.command import soc
from tests.messages import messages, po, pot

TEMPLATE = LOCALE_DIR / "metrosoc.pot"
CATALOGUES = sorted(LOCALE_DIR.glob("*/LC_MESSAGES/metrosoc.po"))

Language = Callable[..., None]


@pytest.fixture
def language(monkeypatch: pytest.MonkeyPatch) -> Language:
    """Set the language variables of the environment."""

    def choose(**environ: str) -> None:
        for name in ("SOC_LANG", "LANGUAGE", "LC_ALL", "LC_MESSAGES", "LANG"):
            monkeypatch.delenv(name, raising=False)
        for name, value in environ.items():
            monkeypatch.setenv(name, value)
        i18n._catalogue.cache_clear()

    monkeypatch.setattr(i18n, "LOCALE_DIR", LOCALE_DIR)
    return choose


@pytest.fixture(autouse=True)
def _fresh() -> Iterator[None]:
    i18n._catalogue.cache_clear()
    yield  # and after it, or the tests that follow in this process would speak Vietnamese
    i18n._catalogue.cache_clear()


def test_every_message_is_in_the_template(pytestconfig: pytest.Config) -> None:
    if pytestconfig.getoption("--golden-update"):
        TEMPLATE.write_text(pot(), "utf-8")
    assert TEMPLATE.read_text("utf-8") == pot(), "run it again with --golden-update"


@pytest.mark.parametrize("path", CATALOGUES, ids=lambda path: path.parts[-3])
def test_a_catalogue_has_todays_messages(path: Path, pytestconfig: pytest.Config) -> None:
    text = path.read_text("utf-8")
    header = text.partition("\n\n")[0] + "\n"
    today = po(header, parse(text).messages)
    if pytestconfig.getoption("--golden-update"):
        path.write_text(today, "utf-8")
    assert path.read_text("utf-8") == today, "run it again with --golden-update"


@pytest.mark.parametrize("path", CATALOGUES, ids=lambda path: path.parts[-3])
def test_nine_of_ten_messages_are_translated(path: Path) -> None:
    translated = parse(path.read_text("utf-8")).messages
    missing = [text for text in messages() if text not in translated]
    assert len(missing) <= len(messages()) / 10, missing


def names(text: str) -> set[str]:
    return {name for _text, name, _spec, _conversion in string.Formatter().parse(text) if name}


def typed(text: str) -> list[str]:
    """Return commands, options and variables, which no language changes."""
    commands = "|".join(plugins("soc.cli.commands"))
    return sorted(re.findall(rf"\bsoc (?:{commands})\b|--[a-z-]+|SOC_[A-Z_]+", text))


@pytest.mark.parametrize("path", CATALOGUES, ids=lambda path: path.parts[-3])
def test_a_translation_keeps_what_programs_fill_in_and_what_people_type(path: Path) -> None:
    for text, forms in parse(path.read_text("utf-8")).messages.items():
        for form in forms:
            if "{" in text:
                assert names(form) == names(text), text
            assert typed(form) == typed(text), text


def test_vietnamese_is_there() -> None:
    assert [path.parts[-3] for path in CATALOGUES] == ["vi"]


@pytest.mark.parametrize(
    ("environ", "shown"),
    [
        ({}, "error"),
        ({"LANG": "vi_VN.UTF-8"}, "lỗi"),
        ({"LANG": "vi"}, "lỗi"),
        ({"LANG": "en_US.UTF-8", "LC_ALL": "vi_VN.UTF-8"}, "lỗi"),
        ({"SOC_LANG": "en", "LANG": "vi_VN.UTF-8"}, "error"),
        ({"SOC_LANG": "vi", "LANG": "C"}, "lỗi"),
        ({"LANGUAGE": "xx:vi"}, "lỗi"),
        ({"LANGUAGE": "en:vi"}, "error"),
        ({"LANG": "xx_YY"}, "error"),
        ({"SOC_LANG": "../../../vi"}, "error"),
    ],
)
def test_the_language_follows_the_environment(
    language: Language, environ: dict[str, str], shown: str
) -> None:
    language(**environ)
    assert i18n._("error") == shown


def test_plurals_follow_the_languages_rule(language: Language) -> None:
    language(SOC_LANG="en")
    assert [i18n.ngettext("{n} event", "{n} events", n) for n in (0, 1, 2)] == [
        "{n} events",
        "{n} event",
        "{n} events",
    ]
    language(SOC_LANG="vi")
    assert {i18n.ngettext("{n} event", "{n} events", n) for n in (0, 1, 2)} == {"{n} sự kiện"}


def test_a_message_without_a_translation_stays_english(language: Language) -> None:
    language(SOC_LANG="vi")
    assert i18n._("no such message") == "no such message"
    assert i18n.ngettext("{n} cow", "{n} cows", 2) == "{n} cows"


CATALOGUE = r"""# a comment
msgid ""
msgstr ""
"Plural-Forms: nplurals=3; plural=n==1 ? 0 : n==2 ? 1 : 2;\n"

#: somewhere.py
msgid "a \"quoted\"\n"
"text"
msgstr "ein\tText"

msgid "cow"
msgid_plural "cows"
msgstr[0] "one"
msgstr[1] "two"
msgstr[2] "many"

#, fuzzy
msgid "fuzzy"
msgstr "falsch"

msgid "empty"
msgstr ""
"""


def test_a_catalogue_is_read_as_gettext_writes_it() -> None:
    catalogue = parse(CATALOGUE)
    assert catalogue.messages == {
        'a "quoted"\ntext': ("ein\tText",),
        "cow": ("one", "two", "many"),
    }
    assert [catalogue.plural(number) for number in (1, 2, 5)] == [0, 1, 2]


def test_what_is_no_catalogue_is_refused() -> None:
    with pytest.raises(ValueError, match="not a line"):
        parse("msgid error")
    assert parse("") == Catalogue({}, parse("").plural)


def test_commands_speak_vietnamese(tmp_path: Path) -> None:
    ran = soc("--help", home=tmp_path, environ={"SOC_LANG": "vi"})
    assert "Thu thập:" in ran.out
    assert "Xem và kiểm tra cấu hình." in ran.out
    ran = soc("config", "show", "--help", home=tmp_path, environ={"SOC_LANG": "vi"})
    assert "Hiện mọi tùy chọn" in ran.out
    ran = soc("confg", home=tmp_path, environ={"SOC_LANG": "vi"})
    assert ran.err == "lỗi: không có lệnh 'confg'\n  hãy thử: soc config\n"
