"""What the values of eve.json become in ECS; every function returns None for what does not fit."""

from collections.abc import Callable
from typing import Any, Final

from collectors.parsers._common import LONG, address, as_text
from soc.model.time import iso, parse_iso

Convert = Callable[[Any], Any]


def text(value: Any) -> str | None:  # noqa: ANN401 - these take any JSON value
    return None if isinstance(value, list | dict) else as_text(value)


def lower(value: Any) -> str | None:  # noqa: ANN401
    return value.lower() if isinstance(value, str) else None


def whole(value: Any) -> int | None:  # noqa: ANN401
    known = isinstance(value, int) and not isinstance(value, bool)
    return value if known and -LONG <= value < LONG else None


def boolean(value: Any) -> bool | None:  # noqa: ANN401
    return value if isinstance(value, bool) else None


def ip(value: Any) -> str | None:  # noqa: ANN401
    return address(value) if isinstance(value, str) else None


def date(value: Any) -> str | None:  # noqa: ANN401
    try:
        return iso(parse_iso(value)) if isinstance(value, str) else None
    except (ValueError, OverflowError):
        return None


def texts(value: Any) -> list[str] | None:  # noqa: ANN401
    found = value if isinstance(value, list) else [value]
    return found if all(isinstance(v, str) for v in found) else None


def digest(value: Any) -> str | None:  # noqa: ANN401
    """Return a colon-separated fingerprint as ECS writes it."""
    return value.replace(":", "").upper() if isinstance(value, str) else None


def version(value: Any) -> str | None:  # noqa: ANN401
    """Return the number of `HTTP/1.1` or `TLS 1.2`."""
    if not isinstance(value, str):
        return None
    return value.upper().removeprefix("HTTP/").removeprefix("TLS").strip(" V") or None


def protocol(value: Any) -> str | None:  # noqa: ANN401
    """Return the application protocol; "failed" means that Suricata did not find one."""
    return None if value == "failed" else text(value)


def dns_type(value: Any) -> str | None:  # noqa: ANN401
    return {"request": "query", "response": "answer"}.get(value, value) if lower(value) else None


def opcode(value: Any) -> str | None:  # noqa: ANN401
    code = whole(value)
    return None if code is None else _OPCODES.get(code, str(code))


_OPCODES: Final = {0: "QUERY", 1: "IQUERY", 2: "STATUS", 4: "NOTIFY", 5: "UPDATE"}
