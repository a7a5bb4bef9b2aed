"""Keywords: whether any of a set of words may be in some records, looked at together.

The records are looked at as JSON, names too. Hardly ever is there one, so a whole batch is
searched at once, and the records one by one only when something was found.
"""

from collections.abc import Iterable
from functools import lru_cache
from typing import Final

from ahocorasick_rs import BytesAhoCorasick, MatchKind

from detectors.sigma.engine.scan import chunks

FOLDING: Final = (
    "\u00df\u0130\u0149\u017f\u01f0\u1e96\u1e97\u1e98\u1e99\u1e9a\u1e9e\u212a"
    "\ufb00\ufb01\ufb02\ufb03\ufb04\ufb05\ufb06"
)
"""Characters beyond ASCII of which case folding makes ASCII (a test keeps the list complete)."""


ESCAPES: Final = ("\\/", "\\u00", "\\u01", "\\u1e9", "\\u212a", "\\ufb0")
"""How the escapes of ASCII characters and of the above begin in JSON."""


class Words:
    """A set of words as they stand in JSON text, case-folded."""

    def __init__(self, words: Iterable[bytes]) -> None:
        found = sorted(words)
        self._ascii = all(word.isascii() for word in found)
        found += [text.encode() for text in (*FOLDING, *ESCAPES)]
        self._longest = max(map(len, found))
        # Apart from each other, because short ones make the search for the others slow.
        self._searches = [
            BytesAhoCorasick(some, matchkind=MatchKind.LeftmostFirst)
            for some in ([w for w in found if len(w) > 2], [w for w in found if len(w) <= 2])
        ]

    def may_be_in(self, text: bytes) -> bool:
        """Tell whether one of the words may be in JSON text, be it behind an escape."""
        if not self._ascii and (not text.isascii() or hiding(text)):
            return True
        return any(
            search.find_matches_as_indexes(part)
            for part in chunks(text.lower(), self._longest)
            for search in self._searches
        )


@lru_cache(maxsize=256)
def words_of(words: frozenset[bytes]) -> Words:
    """Return the set of words, the same for all that ask."""
    return Words(words)


def folded(text: bytes) -> bytes:
    """Return JSON text case-folded."""
    return text.lower() if text.isascii() else text.decode().casefold().encode()


def hiding(text: bytes) -> bool:
    r"""Tell whether JSON text has escapes (`\u`, `\/`) of characters that need none."""
    if b"\\u" not in text and b"\\/" not in text:
        return False
    rest = text.replace(b"\\\\", b"")
    return b"\\u" in rest or b"\\/" in rest
