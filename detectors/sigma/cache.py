"""Loaded rules kept on disk, so that the next start need not read YAML.

A file of the cache is named by the hash of everything that its content follows from: the rule
files with their paths, the placeholders and the loader's own code. It is MessagePack of plain
values from which only the classes listed here are made: data, never code, whoever wrote it. A file
that is damaged is as good as none.
"""

import hashlib
import ipaddress
import os
import tempfile
from collections.abc import Sequence
from dataclasses import fields
from functools import cache
from pathlib import Path
from typing import Any, Final

import msgspec

from detectors.sigma.correlation.rule import Bounds, Correlation
from detectors.sigma.filters import Filter
from detectors.sigma.load import MAX_FILE, LoadReport, Rejection, Warned, load, rule_files
from detectors.sigma.modifiers import Placeholders
from detectors.sigma.patterns import (
    Boolean,
    Cidr,
    Compare,
    Exists,
    FieldRef,
    Null,
    Number,
    Regex,
    Text,
    TimePart,
    Word,
)
from detectors.sigma.rule import Condition, Group, Item, LogSource, Rule
from detectors.sigma.text import Wild
from soc.folders import private
from soc.model.finding import RuleInfo

KEPT: Final = 4
"""Files of the cache that stay; older ones are removed."""
_CLASSES: Final[tuple[type[Any], ...]] = (
    LoadReport,
    Rule,
    RuleInfo,
    LogSource,
    Condition,
    Group,
    Item,
    Text,
    Number,
    Word,
    Boolean,
    Null,
    Exists,
    FieldRef,
    Regex,
    Compare,
    TimePart,
    Rejection,
    Warned,
    Filter,
    Correlation,
    Bounds,
)
_TUPLE, _MAP, _WILD, _CIDR = range(4)
_FIRST: Final = 4
_NUMBERS: Final = {kind: _FIRST + number for number, kind in enumerate(_CLASSES)}
_FIELDS: Final = {k: tuple(f.name for f in fields(k) if f.init) for k in _CLASSES}


def load_cached(
    paths: Sequence[Path], folder: Path, *, placeholders: Placeholders | None = None
) -> LoadReport:
    """Return `load(paths)`, from the cache in this folder when nothing has changed since.

    Raises ContentError as `load` does. A folder that cannot be written costs only time.
    """
    key = _key(paths, placeholders or {})
    place = folder / f"rules-{key}.msgpack" if key else None
    if place is not None:
        found = _read(place)
        if found is not None:
            return found
    report = load(paths, placeholders=placeholders)
    if place is not None:
        _write(place, report)
    return report


def _key(paths: Sequence[Path], placeholders: Placeholders) -> str | None:
    """Return the hash of all that the report follows from, None when something cannot be read."""
    digest = hashlib.sha256(_code())
    digest.update(
        msgspec.json.encode({k: list(v) for k, v in placeholders.items()}, order="sorted")
    )
    missed: list[OSError] = []
    for path in rule_files(paths, missed.append):
        try:
            content = path.read_bytes() if path.is_file() else None
        except OSError:
            content = None
        if content is None or len(content) > MAX_FILE:
            return None
        name = os.fsencode(path)
        digest.update(b"%d %d " % (len(name), len(content)))
        digest.update(name + content)
    return None if missed else digest.hexdigest()


@cache
def _code() -> bytes:
    """Return the hash of the loader's code: what it makes of a file may change with it."""
    digest = hashlib.sha256()
    for path in sorted(Path(__file__).parent.rglob("*.py")):
        digest.update(path.read_bytes())
    return digest.digest()


def _read(place: Path) -> LoadReport | None:
    try:
        found = _made(msgspec.msgpack.decode(place.read_bytes()))
        os.utime(place)
    except (OSError, ValueError, TypeError, LookupError, RecursionError, msgspec.MsgspecError):
        return None
    return found if isinstance(found, LoadReport) else None


def _write(place: Path, report: LoadReport) -> None:
    try:
        data = msgspec.msgpack.encode(_plain(report))
        private(place.parent)
        with tempfile.NamedTemporaryFile(dir=place.parent, delete=False) as scratch:
            scratch.write(data)
        os.replace(scratch.name, place)
        stale = sorted(place.parent.glob("rules-*.msgpack"), key=lambda path: path.stat().st_mtime)
        for path in stale[:-KEPT]:
            path.unlink(missing_ok=True)
    except (OSError, OverflowError, TypeError, KeyError):  # such as integers beyond 64 bits
        return


def _plain(thing: object) -> Any:  # noqa: ANN401 - any MessagePack value
    """Return a value as MessagePack has it; what has parts is a list behind a number."""
    if thing is None or isinstance(thing, str | bool | int | float):
        return thing
    if isinstance(thing, tuple):
        return [_TUPLE, *map(_plain, thing)]
    if isinstance(thing, dict):
        return [_MAP, *(_plain(part) for pair in thing.items() for part in pair)]
    if isinstance(thing, Wild):
        return [_WILD, thing.name]
    if isinstance(thing, Cidr):
        return [_CIDR, thing.source, str(thing.network)]
    kind = type(thing)
    return [_NUMBERS[kind], *(_plain(getattr(thing, name)) for name in _FIELDS[kind])]


def _made(node: Any) -> Any:  # noqa: ANN401 - any MessagePack value
    if type(node) is not list:
        return node
    number, *rest = node
    parts = [_made(part) if type(part) is list else part for part in rest]
    if number >= _FIRST:
        return _CLASSES[number - _FIRST](*parts)
    if number == _TUPLE:
        return tuple(parts)
    if number == _MAP:
        return dict(zip(parts[::2], parts[1::2], strict=True))
    if number == _WILD:
        return Wild[parts[0]]
    return Cidr(parts[0], ipaddress.ip_network(parts[1]))
