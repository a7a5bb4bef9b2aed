"""The sections of `soc.toml` and what holds where nothing is set."""

import os
import re
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import tzinfo
from pathlib import Path
from typing import Annotated, Any, Final
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

import rules
from soc import config
from soc.config import Config, Flags, Sources
from soc.config.layers import home
from soc.config.options import Options
from soc.config.secret import SecretRef
from soc.errors import ContentError
from soc.registry import plugins
from soc.store.base import Store
from soc.store.open import Access, open_store

KIND: Final = "soc.run.options"
"""Third parties declare a section `NAME` by a plugin of this kind that defines `OPTIONS`."""
PARSERS: Final = "collectors.parsers"
LOCAL: Final = "local"


def _store_url(text: str) -> str:
    if urlsplit(text).password is not None:
        raise ValueError("a secret is given by reference, never inside a URL")
    return text


def _index_part(text: str) -> str:
    # A part of index names: Elasticsearch wants lower case, "-" separates the parts.
    if not re.fullmatch(r"[a-z0-9][a-z0-9_]{0,63}", text):
        raise ValueError("only small letters, digits and _, at most 64 characters")
    return text


def _some(text: str) -> str:
    if not text.strip():
        raise ValueError("must not be empty")
    return text


def _given(value: object) -> object:
    if value == "":  # it would be the folder one stands in
        raise ValueError("must not be empty")
    return value


def _home(path: Path) -> Path:
    try:
        return path.expanduser()
    except RuntimeError as error:
        raise ValueError("nobody knows that home folder; write the whole path") from error


def _zone(text: str) -> str:
    zone(text)
    return text


class PathsOptions(Options):
    """`[paths]`: where this machine keeps its state."""

    state: Annotated[Path, BeforeValidator(_given), AfterValidator(_home)]


class StoreOptions(Options):
    """`[store]`: where events and alerts live; for a cluster also the key, or a user, and its CA.

    Who makes keys for others gives `user` and `password`: a key may not do that.
    """

    url: Annotated[str, AfterValidator(_store_url)]
    environment: Annotated[str, AfterValidator(_index_part)] = "default"
    api_key: SecretRef | None = None
    user: str = ""
    password: SecretRef | None = None
    ca: Annotated[Path, AfterValidator(_home)] | None = None

    @property
    def idle(self) -> float:
        """Seconds between two looks at a store that had nothing new."""
        return 1.0 if self.url.startswith("http") else 0.2

    def open(self) -> Store:
        """Open the store; raise ContentError or StoreError."""
        access = Access(self.environment, self.api_key, self.ca, self.user, self.password)
        return open_store(self.url, access)


class NodeOptions(Options):
    """`[node]`: what this machine is called, and the unit it belongs to."""

    name: Annotated[str, AfterValidator(_some)]
    unit: str = ""


def _listen(text: str) -> str:
    listening(text)
    return text


def _parser(text: str) -> str:
    if text and text not in plugins(PARSERS):
        from difflib import get_close_matches

        near = get_close_matches(text, plugins(PARSERS), n=1)
        raise ValueError(
            f"no parser is called {text!r}; write {', '.join(near or plugins(PARSERS))}"
        )
    return text


class InputOptions(Options):
    """`[[inputs]]`: files to follow (`path`) or an address to listen on (`listen`), and what their
    records need to be understood.

    `zone` holds for records that name no zone themselves; `local` is this machine's own.
    """

    path: Annotated[str, AfterValidator(_some)] = ""
    listen: Annotated[str, AfterValidator(_listen)] = ""
    parser: Annotated[str, AfterValidator(_parser)] = ""
    zone: Annotated[str, AfterValidator(_zone)] = LOCAL
    unit: str = ""

    @model_validator(mode="after")
    def _one_source(self) -> "InputOptions":
        if bool(self.path) == bool(self.listen):
            raise ValueError("needs either path (files to follow) or listen (tcp://HOST:PORT)")
        return self

    @property
    def name(self) -> str:
        """What the input is called: where it reads."""
        return self.path or self.listen


class SpoolOptions(Options):
    """`[spool]`: how many bytes may wait on this node's disk while the store cannot be reached."""

    limit: Annotated[int, Field(ge=16_000_000)] = 10_000_000_000


class RulesOptions(Options):
    """`[rules]`: Sigma rule files and folders, by default those that come with soc."""

    paths: tuple[Annotated[Path, AfterValidator(_home)], ...]


class RetentionOptions(Options):
    """`[retention]`: how long events stay; whichever limit is reached first counts."""

    days: Annotated[int, Field(ge=1)] | None = None
    bytes: Annotated[int, Field(ge=1)] | None = None


SECTIONS: Final[Mapping[str, Any]] = {
    "paths": PathsOptions,
    "store": StoreOptions,
    "node": NodeOptions,
    "inputs": list[InputOptions],
    "spool": SpoolOptions,
    "rules": RulesOptions,
    "retention": RetentionOptions,
}


@dataclass(frozen=True, slots=True)
class Settings:
    """The configuration, typed; `config` knows origins and the sections of plugins."""

    paths: PathsOptions
    store: StoreOptions
    node: NodeOptions
    inputs: list[InputOptions]
    spool: SpoolOptions
    rules: RulesOptions
    retention: RetentionOptions
    config: Config


def load(flags: Flags | None = None, sources: Sources | None = None) -> Settings:
    """Return the configuration; raise ContentError naming file and line for a mistake."""
    sources = sources or Sources(flags=flags or {})
    found, problems = read(sources)
    if found is None:
        raise problems[0]
    return found


def read(sources: Sources) -> tuple[Settings | None, list[ContentError]]:
    """Return the configuration, None if it is wrong, and everything that is wrong with it."""

    def defaults(given: Mapping[str, Any]) -> dict[str, Any]:
        return _defaults(given, sources.environ)

    found, problems = config.read(sections(), sources, defaults)
    if found is None:
        return None, problems
    own = {name: found.section(name, kind) for name, kind in SECTIONS.items()}
    return Settings(**own, config=found), []


def sections() -> dict[str, Any]:
    """Return all sections by name: ours, then those that plugins declare; ours cannot be taken."""
    theirs = {name: plugin.load().OPTIONS for name, plugin in plugins(KIND).items()}
    return {**theirs, **SECTIONS}


def _defaults(given: Mapping[str, Any], environ: Mapping[str, str]) -> dict[str, Any]:
    paths = given.get("paths")
    named = paths.get("state") if isinstance(paths, dict) else None
    state = os.path.expanduser(str(named)) if named else default_state(environ)
    return {
        "paths": {"state": str(state)},
        "store": {"url": f"sqlite:{state}/store"},
        "node": {"name": socket.gethostname() or "localhost"},
        "rules": {"paths": [str(rules.SIGMA)]},
    }


def default_state(environ: Mapping[str, str]) -> Path:
    """Return the state folder where none is set: the system's for root, else the user's (XDG)."""
    if os.geteuid() == 0:
        return Path("/var/lib/metrosoc")
    return Path(environ.get("XDG_STATE_HOME") or home(environ) / ".local" / "state") / "metrosoc"


def zone(name: str) -> tzinfo:
    """Return a time zone by its name (`Asia/Ho_Chi_Minh`, `UTC`, `local`); raise ValueError."""
    if name == LOCAL:
        return _local()
    try:
        return ZoneInfo(name)
    except (KeyError, OSError, ValueError) as error:  # an unknown name is a KeyError
        raise ValueError(
            "not a time zone; write one such as Asia/Ho_Chi_Minh, UTC or local"
        ) from error


def listening(text: str) -> tuple[str, int]:
    """Return host and port of an address to listen on (`tcp://0.0.0.0:514`); raise ValueError."""
    parts = urlsplit(text)
    if parts.scheme != "tcp" or parts.port is None or not parts.hostname or parts.path:
        raise ValueError("not an address to listen on; write one such as tcp://0.0.0.0:514")
    return parts.hostname, parts.port


def _local() -> tzinfo:
    """Return the machine's zone with its rules, not today's offset; UTC where it has none."""
    try:
        if name := os.environ.get("TZ", "").removeprefix(":"):
            return ZoneInfo(name)
        with Path("/etc/localtime").open("rb") as file:
            return ZoneInfo.from_file(file)
    except (KeyError, OSError, ValueError):
        return ZoneInfo("UTC")
