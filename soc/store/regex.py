"""Regular expressions in queries: the part of RE2 and of Lucene that means the same in both.

Both match the whole value, so there are no anchors; neither has backreferences or look-around.
"""

import re
from typing import Final

import re2

MAX_LENGTH: Final = 1000
_FORBIDDEN: Final = (
    (re.compile(r"\(\?"), "(? groups are not supported", "use plain ( )"),
    (re.compile(r"[*+?}][+?]"), "lazy and possessive repetition is not supported", "drop the ?"),
    (re.compile(r"[\^$]"), "the pattern matches the whole value", "drop ^ and $, add .* instead"),
)
_ESCAPED: Final = re.compile(r"\\(.)", re.DOTALL)
_CLASS: Final = re.compile(r"\[\^?\]?[^\]]*\]")


class RegexError(ValueError):
    """A pattern that cannot be used; `hint` says what to write instead."""

    def __init__(self, message: str, hint: str) -> None:
        super().__init__(message)
        self.hint = hint


def check(pattern: str) -> None:
    """Raise RegexError when a pattern is not a part of both languages."""
    if len(pattern) > MAX_LENGTH:
        raise RegexError("too long", f"at most {MAX_LENGTH} characters")
    for escaped in _ESCAPED.findall(pattern):
        if escaped.isalnum() and escaped not in "dDwWsS":
            raise RegexError(f"\\{escaped} is not supported", r"\d \w \s, or the character itself")
    bare = _ESCAPED.sub("_", pattern)
    if "[[" in bare or "&&" in bare:
        raise RegexError("named and nested classes are not supported", "[a-z0-9]")
    for forbidden, message, hint in _FORBIDDEN:
        if forbidden.search(_CLASS.sub("_", bare)):
            raise RegexError(message, hint)
    compiled(pattern)


def compiled(pattern: str) -> "re2._Regexp[str]":
    """Return the RE2 program of a pattern: any case, a dot matches line breaks too."""
    options = re2.Options()
    options.case_sensitive = False
    options.dot_nl = True
    options.never_capture = True
    options.log_errors = False
    options.max_mem = 1 << 20
    try:
        return re2.compile(pattern, options)
    except re2.error as error:
        detail = error.args[0] if error.args else ""
        text = detail.decode("utf-8", "replace") if isinstance(detail, bytes) else str(detail)
        raise RegexError(text, "RE2 syntax, whole value: .*evil[0-9]+.*") from None
