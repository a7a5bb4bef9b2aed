"""What makes a regular expression slow in RE2: its size, and nothing fixed to look for first."""

import re
import re._constants as sre
import re._parser as parser
import warnings
from collections.abc import Iterable
from typing import Any, Final

import re2

from detectors.sigma.patterns import Regex

LARGE: Final = 2_000
"""Instructions of a compiled expression above which it is slow on some text."""
SHORT: Final = 3
"""Characters of fixed text that let most values be passed over without a search."""
_REPEATS: Final = (sre.MAX_REPEAT, sre.MIN_REPEAT)


def heavy(pattern: Regex) -> str:
    """Return why an expression is slow wherever it is searched, "" when it is not known to be."""
    options = re2.Options()
    options.log_errors = False
    size = re2.compile(pattern.expression, options).programsize
    if size > LARGE:
        return f"the expression becomes {size:,} instructions; more than {LARGE:,} are slow"
    tree = _tree(pattern)
    return "nested repeats: other engines hang on them" if tree and _ambiguous(tree) else ""


def fixed(pattern: Regex) -> bool:
    """Tell whether every match has fixed text to look for first; yes where that is not known."""
    tree = _tree(pattern)
    return tree is None or _literal(tree) >= SHORT


def _tree(pattern: Regex) -> Any:  # noqa: ANN401 - the parser has no types
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return parser.parse(pattern.source)
    except (re.error, RecursionError, OverflowError):  # RE2 knows more than Python does
        return None


def _literal(tree: Iterable[Any]) -> int:
    """Return how long the longest text is that stands in every match."""
    best = run = 0
    for kind, what in tree:
        if kind is sre.LITERAL:
            run += 1
            best = max(best, run)
            continue
        if kind is sre.AT:  # takes no room
            continue
        best, run = max(best, _inside(kind, what)), 0
    return best


def _inside(kind: Any, what: Any) -> int:  # noqa: ANN401 - the parser has no types
    if kind is sre.SUBPATTERN:
        return _literal(what[-1])
    if kind is sre.BRANCH:
        return min(_literal(one) for one in what[1])
    if kind in _REPEATS and what[0] >= 1:
        return _literal(what[2])
    return 0


def _ambiguous(tree: Any) -> bool:  # noqa: ANN401
    """Tell whether a repeat without end has a body that is one by itself: `(a+)+`, `(a+b?)*`."""
    for kind, what in tree:
        if kind in _REPEATS:
            if what[1] == sre.MAXREPEAT and _endless(what[2]):
                return True
            inner = [what[2]]
        elif kind is sre.SUBPATTERN:
            inner = [what[-1]]
        else:
            inner = what[1] if kind is sre.BRANCH else []
        if any(_ambiguous(one) for one in inner):
            return True
    return False


def _endless(body: Any) -> bool:  # noqa: ANN401
    """Tell whether a repeat without end can be all that a body matches."""
    wide = [part for part in body if _least(part, body)]
    if len(wide) > 1:
        return False
    return any(_alone(kind, what) for kind, what in wide or body)


def _least(part: Any, body: Any) -> int:  # noqa: ANN401
    """Return the fewest characters that a part of a body takes."""
    return int(parser.SubPattern(body.state, [part]).getwidth()[0])


def _alone(kind: Any, what: Any) -> bool:  # noqa: ANN401
    if kind in _REPEATS:
        return bool(what[1] == sre.MAXREPEAT)
    if kind is sre.SUBPATTERN:
        return _endless(what[-1])
    return kind is sre.BRANCH and any(_endless(one) for one in what[1])
