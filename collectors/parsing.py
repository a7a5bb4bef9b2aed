"""The contract of a parser, and how parsers are found.

A parser is one module in `collectors/parsers/`. Its docstring's first line is what people see.

    DATASET = "sshd"             event.dataset of its events
    FIELDS = ("user.name", ...)  every field its `parse` may set (families end in `.*`)
    EXAMPLE = "Accepted ..."     one record as it arrives, made up by us
    def parse(record: str, context: Context) -> Iterable[Fields]: ...

and, where it applies:

    FRAMING = "lines"            how a file is cut into records, see `collectors.framing`
    PROGRAMS = ("sshd",)         syslog program names whose messages it understands
    def recognise(record: str) -> bool: ...   is this whole record (a file's line) one of mine?
    ENVELOPE = True              its `message` may belong to the parser of its `process.name`
    GENERIC = True               it claims records that a more specific parser may know better

`parse` yields one flat dict of ECS fields per event (usually one), without the envelope that
`collectors.normalise` adds (`event.id`, `event.original`, ...). It sets `@timestamp` as a datetime
(aware; `context.zone` and `context.received` help where the record says less), leaves it out when
the record has no time, and raises ValueError for a record it does not understand: that record
becomes an event with `error.message`, and reading goes on. It must not raise anything else, and
must return in time linear in the record's length.
"""

import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache
from types import ModuleType
from typing import Any

from collectors.frame import Context
from soc.errors import ContentError
from soc.registry import plugins

Fields = dict[str, Any]
KIND = "collectors.parsers"
log = logging.getLogger("soc.collect")


@dataclass(frozen=True, slots=True)
class Parser:
    """A loaded parser plugin; the attributes are those of its module."""

    name: str
    dataset: str
    fields: tuple[str, ...]
    example: str
    parse: Callable[[str, Context], Iterable[Fields]]
    recognise: Callable[[str], bool]
    framing: str
    programs: tuple[str, ...]
    envelope: bool = False
    generic: bool = False


def _never(record: str) -> bool:
    return False


def from_module(name: str, module: ModuleType) -> Parser:
    """Return the parser that a module defines; raise ContentError when it breaks the contract."""
    try:
        return Parser(
            name=name,
            dataset=module.DATASET,
            fields=tuple(module.FIELDS),
            example=module.EXAMPLE,
            parse=module.parse,
            recognise=getattr(module, "recognise", _never),
            framing=getattr(module, "FRAMING", "lines"),
            programs=tuple(getattr(module, "PROGRAMS", ())),
            envelope=getattr(module, "ENVELOPE", False),
            generic=getattr(module, "GENERIC", False),
        )
    except AttributeError as error:
        raise ContentError(
            f"parser {name} breaks the contract: {error}",
            where=str(module.__file__),
            hint="collectors/parsing.py says what a parser defines",
        ) from error


@cache
def parser(name: str) -> Parser:
    """Return a parser by name; raise ContentError naming the known ones."""
    found = plugins(KIND).get(name)
    if found is None:
        raise ContentError(f"no parser is called {name!r}", hint=", ".join(plugins(KIND)))
    return from_module(name, found.load())


@cache
def parsers() -> tuple[Parser, ...]:
    """Return every parser that loads, in name order; a broken one is one warning."""
    found = []
    for name in plugins(KIND):
        try:
            found.append(parser(name))
        except ContentError as error:
            log.warning("%s", error)
    return tuple(found)
