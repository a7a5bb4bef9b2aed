"""Text for people goes through `_()`: English is the source, catalogues lie in `soc/locale`.

A catalogue is a GNU gettext file, `soc/locale/LANGUAGE/LC_MESSAGES/metrosoc.po`, read as it is: no
tool has to compile it. The language is the first of SOC_LANG, LANGUAGE, LC_ALL, LC_MESSAGES and
LANG that is set; where a catalogue or a message is missing, the text stays English.
"""

import ast
import os
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

DOMAIN = "metrosoc"
LOCALE_DIR = Path(__file__).parent / "locale"

_LINE = re.compile(r'(msgid|msgid_plural|msgstr|msgstr\[(\d)\])?\s*("(?:[^"\\]|\\.)*")')
_PLURAL = re.compile(r"plural=([^;\n]+)")


@dataclass(frozen=True, slots=True)
class Catalogue:
    """Messages and their translations, one for each plural form; `plural` chooses the form."""

    messages: dict[str, tuple[str, ...]] = field(default_factory=dict)
    plural: Callable[[int], int] = lambda number: int(number != 1)


def languages() -> list[str]:
    """Return the wanted languages, best first, such as ["vi_VN.UTF-8"]."""
    for name in ("SOC_LANG", "LANGUAGE", "LC_ALL", "LC_MESSAGES", "LANG"):
        if value := os.environ.get(name):
            return value.split(":")
    return []


def parse(text: str) -> Catalogue:
    """Return the catalogue in the text of a .po file; fuzzy and empty translations are left out.

    Raises ValueError for a text that is no .po file.
    """
    messages = dict(filter(None, map(_entry, re.split(r"\n(?:[ \t]*\n)+", text))))
    header = messages.pop("", ("",))[0]
    rule = _PLURAL.search(header)
    if rule is None:
        return Catalogue(messages)
    from gettext import c2py

    return Catalogue(messages, c2py(rule[1]))


def _entry(block: str) -> tuple[str, tuple[str, ...]] | None:
    parts: dict[str, str] = {}
    current = ""
    for line in block.splitlines():
        if line.startswith("#"):
            if line.startswith("#,") and "fuzzy" in line:
                return None
            continue
        found = _LINE.fullmatch(line.strip())
        if found is None:
            raise ValueError(f"not a line of a .po file: {line!r}")
        current = found[1] or current
        parts[current] = parts.get(current, "") + ast.literal_eval(found[3])
    forms = tuple(value for name, value in parts.items() if name.startswith("msgstr"))
    return (parts["msgid"], forms) if parts and all(forms) else None


@cache
def _catalogue() -> Catalogue:
    for wanted in languages():
        name = re.split(r"[.@]", wanted)[0]
        for language in (name, name.partition("_")[0]):
            if not re.fullmatch(r"[A-Za-z_]{1,16}", language):
                continue
            path = LOCALE_DIR / language / "LC_MESSAGES" / f"{DOMAIN}.po"
            if path.is_file():
                return parse(path.read_text("utf-8"))
            if language in ("en", "C", "POSIX"):
                return Catalogue()
    return Catalogue()


def _(message: str) -> str:
    """Return the message in the user's language."""
    found = _catalogue().messages.get(message)
    return found[0] if found else message


def ngettext(singular: str, plural: str, number: int) -> str:
    """Return the form of the message that fits the number."""
    catalogue = _catalogue()
    if found := catalogue.messages.get(singular):
        return found[min(catalogue.plural(number), len(found) - 1)]
    return singular if number == 1 else plural
