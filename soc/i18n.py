"""Text for people goes through `_()`: English is the source, catalogues live in `soc/locale`.

The language is taken from SOC_LANG, then LC_ALL, LC_MESSAGES and LANG (GNU gettext's order).
"""

import gettext
import os
from functools import cache
from pathlib import Path

DOMAIN = "metrosoc"
LOCALE_DIR = Path(__file__).parent / "locale"


def languages() -> list[str]:
    """Return the wanted languages, best first, such as ["vi_VN.UTF-8"]."""
    for name in ("SOC_LANG", "LANGUAGE", "LC_ALL", "LC_MESSAGES", "LANG"):
        if value := os.environ.get(name):
            return value.split(":")
    return []


@cache
def _catalogue() -> gettext.NullTranslations:
    return gettext.translation(DOMAIN, LOCALE_DIR, languages=languages() or None, fallback=True)


def _(message: str) -> str:
    """Return the message in the user's language."""
    return _catalogue().gettext(message)


def ngettext(singular: str, plural: str, number: int) -> str:
    """Return the form of the message that fits the number."""
    return _catalogue().ngettext(singular, plural, number)
