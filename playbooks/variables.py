"""Typed variables of CACAO 2.0 (section 10.18): values are text, each of a declared type."""

import ipaddress
import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from playbooks.values import address
from soc.errors import InputError

NAME: Final = re.compile(r"__[a-zA-Z_][a-zA-Z0-9_-]{0,199}__")
REFERENCE: Final = re.compile(r"(__[a-zA-Z_][a-zA-Z0-9_-]{0,199}__):value")
MAX_VALUE: Final = 8192
"""Characters of a value."""

Typed = bool | int | float | str | ipaddress.IPv4Address | ipaddress.IPv6Address


@dataclass(frozen=True, slots=True)
class Variable:
    """A playbook variable; `value` None means that it is not known yet."""

    name: str
    type: str
    value: str | None = None
    constant: bool = False
    external: bool = False
    description: str = ""


def typed(kind: str, text: str) -> Typed:
    """Return a value of a declared type; raise InputError when the text is not one."""
    if len(text) > MAX_VALUE:
        raise InputError(f"a value is longer than {MAX_VALUE} characters")
    try:
        text.encode()
        return TYPES[kind](text)
    except (ValueError, RecursionError):
        raise InputError(f"{text[:80]!r} is not of type {kind}") from None
    except InputError as error:
        raise InputError(f"{error.message} (type {kind})", hint=error.hint) from None


def _bool(text: str) -> bool:
    if text not in ("true", "false"):
        raise ValueError
    return text == "true"


def _matching(pattern: str) -> Callable[[str], str]:
    compiled = re.compile(pattern)

    def check(text: str) -> str:
        if compiled.fullmatch(text) is None:
            raise ValueError
        return text

    return check


def _integer(text: str) -> int:
    return int(_DECIMAL(text))


def _float(text: str) -> float:
    return float(_FLOAT(text))


def _version(wanted: int) -> Callable[[str], Typed]:
    def check(text: str) -> Typed:
        found = address(text)
        if found.version != wanted:
            raise ValueError
        return found

    return check


def _dictionary(text: str) -> str:
    if not isinstance(json.loads(text), dict):
        raise ValueError
    return text


_DECIMAL: Final = _matching(r"-?(?:0|[1-9][0-9]{0,18})")
_FLOAT: Final = _matching(r"-?(?:0|[1-9][0-9]{0,18})(?:\.[0-9]{1,18})?")
_HEX: Final = "[0-9a-fA-F]"

TYPES: Final[dict[str, Callable[[str], Typed]]] = {
    "bool": _bool,
    "dictionary": _dictionary,
    "float": _float,
    "hash": _matching(rf"{_HEX}{{32,128}}"),
    "hexstring": _matching(rf"{_HEX}{{1,8192}}"),
    "integer": _integer,
    "ipv4-addr": _version(4),
    "ipv6-addr": _version(6),
    "long": _integer,
    "mac-addr": _matching(rf"{_HEX}{{2}}(?::{_HEX}{{2}}){{5}}"),
    "md5-hash": _matching(rf"{_HEX}{{32}}"),
    "sha256-hash": _matching(rf"{_HEX}{{64}}"),
    "string": str,
    "uri": _matching(r"[A-Za-z][A-Za-z0-9+.-]{0,40}:[!-~]{1,8000}"),
    "uuid": _matching(rf"{_HEX}{{8}}(?:-{_HEX}{{4}}){{3}}-{_HEX}{{12}}"),
}
ADDRESSES: Final = ("ipv4-addr", "ipv6-addr")
