"""Log data is hostile: `safe()` makes every character that could act on a terminal visible.

Threats: escape sequences that retitle, recolour or clear the terminal (CVE-2022-30123 and kin),
bidirectional overrides that reorder what is read (CVE-2021-42574), zero-width characters that
hide, line breaks that forge a second line.
"""

import os
import re
import unicodedata
from functools import lru_cache
from typing import Final

# Cc: controls, Cf: format (bidi, zero-width, tags), Cs: lone surrogates, Co/Cn: no agreed glyph,
# Zl/Zp: line and paragraph separators.
_ACTING: Final = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
# Letters and marks of other categories that render as nothing (Unicode Default_Ignorable).
_INVISIBLE: Final = frozenset(
    {0x034F, 0x115F, 0x1160, 0x17B4, 0x17B5, 0x3164, 0xFFA0, 0x2800}
    | set(range(0x180B, 0x1810))
    | set(range(0xFE00, 0xFE10))
    | set(range(0xE0100, 0xE01F0))
)
_CSV_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")


# isprintable() is false for all of _ACTING (and some blanks): what passes both needs no look.
_HIDING: Final = re.compile(f"[{''.join(map(chr, sorted(_INVISIBLE)))}]")


def _is_clean(text: str) -> bool:
    return text.isprintable() and (text.isascii() or _HIDING.search(text) is None)


def _acts(char: str) -> bool:
    return ord(char) in _INVISIBLE or unicodedata.category(char) in _ACTING


@lru_cache(maxsize=4096)
def _escaped(char: str) -> str:
    if not _acts(char):
        return char
    code = ord(char)
    if code <= 0xFF:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"


@lru_cache(maxsize=4096)
def _json_escaped(char: str) -> str:
    if not _acts(char):
        return char
    units = char.encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[at : at + 2].hex()}" for at in range(0, len(units), 2))


def safe(value: object) -> str:
    r"""Return the value as one line of visible text: an ESC becomes the four characters \x1b.

    >>> safe("a\x1b[31mb\nc")
    'a\\x1b[31mb\\x0ac'
    """
    text = value if isinstance(value, str) else str(value)
    return text if _is_clean(text) else "".join(map(_escaped, text))


def safe_json(text: str) -> str:
    r"""Return JSON text that says the same, with every acting character written as \uXXXX.

    The text is one line, as encoders make it: characters outside strings are left alone.
    """
    return text if _is_clean(text) else "".join(map(_json_escaped, text))


def safe_cell(value: object) -> str:
    """Return the value for a CSV cell: a spreadsheet must not take it for a formula."""
    text = value if isinstance(value, str) else str(value)
    return safe("'" + text if text.startswith(_CSV_FORMULA) else text)


def shorten(text: str, width: int) -> str:
    """Cut the text to a width in characters; what was cut shows as an ellipsis."""
    return text if len(text) <= width else text[: max(width - 1, 0)] + "…"


def of_path(path: str) -> str:
    """Return a path as text that can be stored, whatever bytes its names have."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")
