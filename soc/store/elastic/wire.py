"""An event as Elasticsearch keeps it, and back.

What fits its mapped field travels as plain nested ECS, for everybody to read. What the server
would refuse or misread (a text in a number field, a key with empty parts, ...) travels as JSON
text in `soc.rest`. What it does not map is told to the index twice: as it is in `soc.unmapped`, a
key of its own beside the `soc` of the event, for programs of others; and folded in `soc.index`:

- `names`: fields that have a value which no mapped field holds, and the names above them;
- `tokens`: `field=folded value` of fields that are not mapped; `words`: their texts;
- `odd`: fields whose index cannot be trusted for this document. Every query on such a field takes
  the document as a candidate and decides on the document itself;
- `excess`: how many values there were no tokens for.
"""

import re
from collections.abc import Callable, Iterator
from functools import lru_cache
from math import isfinite
from typing import Any, Final, NamedTuple

import orjson

from soc.model.event import Event, flatten, nest
from soc.model.time import iso, parse_iso
from soc.store.elastic.fields import LONGEST_WORD, MAX_KEYWORD, OPEN, leaves, objects
from soc.store.elastic.foreign import sound
from soc.store.elastic.names import MAX_ID, storable
from soc.store.predicate import wordy
from soc.store.values import address, fold, searchable, text_of

HELPER: Final = "soc.index"
REST: Final = "soc.rest"
REASON: Final = "soc.reason"
ANY: Final = "*"
"""In `odd`: any text; see `LONGEST_WORD`."""
UNMAPPED: Final = "+"
"""In `odd`: any field that is not mapped; there were more than `MAX_TOKENS` values."""
MAX_TOKENS: Final = 1_000
MAX_BYTES: Final = 32_000
_OPTIONS: Final = orjson.OPT_PASSTHROUGH_DATETIME | orjson.OPT_PASSTHROUGH_DATACLASS
_SAFE: Final = re.compile(r"[A-Za-z0-9_@-]+(\.[A-Za-z0-9_@-]+){0,11}", re.ASCII)
_STAMP: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-]\d\d:\d\d)", re.ASCII)
_SCALARS: Final = (str, int, float, bool)
_INT64: Final = 1 << 63
_EXACT: Final = 1 << 53
_MAX_NAME: Final = 256
_OPENED: Final = OPEN + "."
_OBJECT: Final = object()
_NESTED: Final = object()


class Place(NamedTuple):
    """How a field's values travel; `fits` is set for mapped fields only."""

    fits: Callable[[Any], bool] | None
    plain: bool
    word: bool
    text: bool


@lru_cache(maxsize=65536)
def _place(name: str) -> Place:
    if server := leaves().get(name):
        return Place(_FITS[server], True, wordy(name), server in ("keyword", "text"))
    own = name in (HELPER, REST, OPEN) or name.startswith((HELPER + ".", REST + "."))
    parents = (name[:i] for i, char in enumerate(name) if char == ".")
    safe = (
        not own
        and len(name) <= _MAX_NAME
        and _SAFE.fullmatch(name) is not None
        and name not in objects()
        and not any(parent in leaves() for parent in parents)
    )
    return Place(None, safe, wordy(name), text=False)


def _is_text(value: Any) -> bool:  # noqa: ANN401
    return type(value) is str


def _is_long(value: Any) -> bool:  # noqa: ANN401
    return type(value) is int and -_INT64 <= value < _INT64


def _is_double(value: Any) -> bool:  # noqa: ANN401
    return type(value) is float or (type(value) is int and -_EXACT <= value <= _EXACT)


def _is_stamp(value: Any) -> bool:  # noqa: ANN401
    return type(value) is str and _STAMP.fullmatch(value) is not None


_FITS: Final[dict[str, Callable[[Any], bool]]] = {
    "keyword": _is_text,
    "text": _is_text,
    "long": _is_long,
    "double": _is_double,
    "boolean": lambda value: type(value) is bool,
    "ip": lambda value: address(value) is not None,
    "date": _is_stamp,
}


class _Helper:
    """What a document says about itself to the index."""

    def __init__(self) -> None:
        self.names: set[str] = set()
        self.odd: set[str] = set()
        self.tokens: dict[str, None] = {}
        self.words: list[str] = []
        self.open: dict[str, list[str]] = {}
        self.excess = 0

    def fields(self) -> dict[str, Any]:
        """Return the fields of `soc.index` that are not empty."""
        known = {
            "names": sorted(self.names),
            "odd": sorted(self.odd),
            "tokens": list(self.tokens),
            "words": self.words,
            "excess": self.excess,
        }
        return {name: value for name, value in known.items() if value}

    def take(self, name: str, value: Any) -> None:  # noqa: ANN401
        """Describe a scalar that no mapped field holds."""
        place = _place(name)
        if place.word and type(value) is str:
            self.words.append(value)
            if len(value) > LONGEST_WORD:
                self.odd.add(ANY)
        if not searchable(name):
            return
        if len(name) > _MAX_NAME or len(self.names) > MAX_TOKENS:
            self.odd.add(UNMAPPED if place.fits is None else name)
            self.excess += 1
            return
        self.names.add(name)
        self.names.update(name[:i] for i, char in enumerate(name) if char == "." and i)
        if place.fits is not None:
            self.odd.add(name)
        elif len(self.tokens) < MAX_TOKENS:
            text = text_of(value)
            self._token(name, fold(text))
            if place.plain and not name.startswith(_OPENED) and len(text) <= LONGEST_WORD:
                self.open.setdefault(name, []).append(text)
        else:
            self.odd.add(UNMAPPED)
            self.excess += 1

    def _token(self, name: str, text: str) -> None:
        token = f"{name}={text}"
        if len(token) > LONGEST_WORD:
            self.odd.add(name)
            token = token[:LONGEST_WORD]
        self.tokens[token] = None


def encode(event: Event, name: str, *, resent: bool = False) -> bytes:
    """Return an event (its id in the field `name`) as the line of a bulk request, without newline.

    Raises ValueError saying why it cannot be stored.
    """
    if not storable(event.get(name)):
        raise ValueError(f"{name} must be a text of 1 to {MAX_ID} characters")
    stamp = _stamp(event.get("@timestamp"))
    if stamp is None:
        raise ValueError("@timestamp must be a time such as 2026-11-22T08:15:30.000000Z")
    plain, rest, helper = _sorted(event)
    if plain.get("@timestamp") != stamp:
        plain["@timestamp"] = stamp
        rest["@timestamp"] = event["@timestamp"]
    reason = {REASON: plain.pop(REASON)} if REASON in plain else {}
    document = nest(plain) | reason
    try:
        if rest:
            document[REST] = orjson.dumps(rest, option=_OPTIONS).decode()
        fields = helper.fields()
        if resent:
            fields["resent"] = True
        if fields:
            document[HELPER] = fields
        if helper.open:
            document[OPEN] = helper.open
        return orjson.dumps(document, option=_OPTIONS)
    except TypeError as error:  # a lone surrogate, a number beyond 64 bits, no JSON type
        raise ValueError(f"not JSON: {error}") from None


def _stamp(value: Any) -> str | None:  # noqa: ANN401
    """Return a time stamp as the server reads it, None when it is not one."""
    if type(value) is not str:
        return None
    try:
        moment = parse_iso(value)
    except (ValueError, OverflowError):
        return None
    return value if _STAMP.fullmatch(value) else iso(moment)


def _sorted(event: Event) -> tuple[Event, Event, _Helper]:
    """Return what travels as it is, what travels as text, and what the index is told."""
    plain: Event = {}
    rest: Event = {}
    helper = _Helper()
    for name, value in event.items():
        place = _place(name)
        if type(value) is str and place.fits is not None and len(value) <= LONGEST_WORD:
            if place.fits(value):
                plain[name] = value
                continue
        elif name == "event.original" and type(value) is str:
            plain[name] = value
            continue
        if type(value) is list and place.text and _plain_texts(value):
            fits = True
        elif type(value) in (list, dict):
            fits = _complex(name, value, helper)
        else:
            fits = _single(name, place, value, helper)
        (plain if fits else rest)[name] = value
    return plain, rest, helper


def _plain_texts(value: list[Any]) -> bool:
    return all(type(one) is str and len(one) <= LONGEST_WORD for one in value)


def _single(name: str, place: Place, value: Any, helper: _Helper) -> bool:  # noqa: ANN401
    """Describe a scalar to the index; tell whether it travels as it is."""
    if value is None:
        return place.plain
    _checked(value)
    if place.fits is not None and place.fits(value):
        if type(value) is str and len(value) > LONGEST_WORD:
            return _long(name, place, value, helper)
        return True
    helper.take(name, value)
    return place.plain and place.fits is None


def _long(name: str, place: Place, value: str, helper: _Helper) -> bool:
    """Describe a text that may be too long to be looked up whole."""
    helper.odd |= {name, ANY}
    if not place.text or leaves()[name] == "text":
        return True
    units = len(value.encode("utf-16-le", "surrogatepass")) // 2
    fits = len(fold(value).encode("utf-8", "surrogatepass")) <= MAX_BYTES or units > MAX_KEYWORD
    if not fits:
        helper.take(name, value)
    return fits


def _complex(name: str, value: Any, helper: _Helper) -> bool:  # noqa: ANN401
    """Describe a list or an object; tell whether it travels as it is."""
    found = list(_nodes(name, value))
    for _, leaf in found:
        if leaf is not None and leaf is not _OBJECT and leaf is not _NESTED:
            _checked(leaf)
    if name == REASON:
        return True
    fits = type(value) is list and all(_harmless(path, leaf) for path, leaf in found)
    fits = fits and (bool(value) or _place(name).plain)
    for path, leaf in found:
        if type(leaf) in _SCALARS and not (fits and _place(path).fits):
            helper.take(path, leaf)
    return fits


def _harmless(path: str, leaf: Any) -> bool:  # noqa: ANN401
    place = _place(path)
    if leaf is _OBJECT:
        return path in objects() or (place.fits is None and place.plain)
    if leaf is None or not place.plain:
        return place.plain
    if leaf is _NESTED or (type(leaf) is str and len(leaf) > LONGEST_WORD):
        return False
    return place.fits is None or place.fits(leaf)


def _nodes(name: str, value: Any) -> Iterator[tuple[str, Any]]:  # noqa: ANN401
    """Yield (dotted path, scalar) of everything inside, and that there are objects and lists."""
    stack: list[tuple[str, Any, bool]] = [(name, value, False)]
    while stack:
        path, node, inside = stack.pop()
        if type(node) is dict:
            yield path, _OBJECT
            stack.extend((f"{path}.{key}", inner, False) for key, inner in node.items())
        elif type(node) is list:
            if inside:
                yield path, _NESTED
            if not node:
                yield path, None  # nothing is in it, but its name counts
            stack.extend((path, inner, True) for inner in node)
        else:
            yield path, node


def _checked(value: Any) -> None:  # noqa: ANN401
    if type(value) not in _SCALARS or (type(value) is float and not isfinite(value)):
        raise ValueError(f"not JSON: {value!r:.40} is not a JSON value")


def decode(source: dict[str, Any], identity: str = "") -> Event:
    """Return the event that a stored document is; one that others wrote is called by its `_id`."""
    if source.pop(HELPER, None):
        source.pop(OPEN, None)
    rest = source.pop(REST, None)
    reason = {REASON: source.pop(REASON)} if REASON in source else {}
    try:
        event: Event = {}
        _open(source, "", event)
    except RecursionError:  # of a foreign writer
        event = flatten(source)
    event |= reason
    if type(rest) is str:
        event.update(_rest(rest))
    if identity:
        sound(event, identity)
    return event


def _rest(text: str) -> Event:
    """Return what travelled as text; what others put there is a text like any other."""
    try:
        found = orjson.loads(text)
    except ValueError:
        found = None
    return found if type(found) is dict else {REST: text}


def _open(node: dict[str, Any], prefix: str, event: Event) -> None:
    """Flatten a document in half the time of `flatten`, which knows no limit of depth."""
    for key, value in node.items():
        if type(value) is dict:
            _open(value, f"{prefix}{key}.", event)
        else:
            event[prefix + key] = value


def resent(source: dict[str, Any]) -> bool:
    """Tell whether a document was sent again after an unknown outcome."""
    helper = source.get(HELPER)
    return type(helper) is dict and helper.get("resent") is True
