"""The places that values come from, and how they are laid over each other."""

import os
import tomllib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from soc.config.toml import Key, TomlFile
from soc.errors import ContentError

Flags = Mapping[str, tuple[str, Any]]
"""Option such as `store.url` -> the flag's name and its value; None: the flag was not given."""
Tree = dict[str, Any]

FILE: Final = "soc.toml"
SYSTEM: Final = Path("/etc/metrosoc") / FILE
PREFIX: Final = "SOC_"


@dataclass(frozen=True, slots=True)
class Sources:
    """Where to look for values; the defaults are those of the running process."""

    flags: Flags = field(default_factory=dict)
    environ: Mapping[str, str] = field(default_factory=lambda: os.environ)
    cwd: Path = field(default_factory=Path.cwd)
    system: Path = SYSTEM


@dataclass(frozen=True, slots=True)
class Layer:
    """Values from one place as a tree, and where in it each of them stands."""

    values: Tree
    place: Callable[[Key], str]


def places(sources: Sources) -> list[Path]:
    """Return the configuration files that are looked for, lowest precedence first."""
    user = Path(sources.environ.get("XDG_CONFIG_HOME") or home(sources.environ) / ".config")
    return [sources.system, user / "metrosoc" / FILE, sources.cwd / FILE]


def home(environ: Mapping[str, str]) -> Path:
    """Return the user's home folder; raise ContentError where the system knows none."""
    try:
        return Path(environ.get("HOME") or Path.home())
    except RuntimeError as error:  # a user id without an entry in the list of users
        raise ContentError(
            "this user has no home folder, and HOME is not set",
            hint="set HOME; or SOC_PATHS__STATE and XDG_CONFIG_HOME",
        ) from error


def file_layer(path: Path) -> Layer:
    """Return what a file sets; raise ContentError when it is no valid TOML."""
    file = TomlFile(path)
    return Layer(file.values, file.place)


def environment_layer(environ: Mapping[str, str], is_text: Callable[[Key, str], bool]) -> Layer:
    """Return what SOC_SECTION__KEY variables set; an empty one counts as not set.

    The value is the text itself where the option takes text (`is_text`), else a TOML value.
    """
    values: Tree = {}
    names: dict[Key, str] = {}
    for name, text in environ.items():
        if not name.startswith(PREFIX) or "__" not in name or not text:
            continue
        key = tuple(name.removeprefix(PREFIX).lower().split("__"))
        _put(values, key, text if is_text(key, _utf8(name, text)) else _toml_value(text))
        names[key] = name
    return Layer(values, lambda key: _name_of(key, names))


def flag_layer(flags: Flags) -> Layer:
    """Return what was given on the command line."""
    values: Tree = {}
    names: dict[Key, str] = {}
    for option, (name, value) in flags.items():
        if value is not None:
            key = tuple(option.split("."))
            _put(values, key, value)
            names[key] = name
    return Layer(values, lambda key: _name_of(key, names))


def merge(layers: Iterable[Layer], base: Tree) -> dict[Key, Layer]:
    """Lay the layers over the base tree, in place; return which layer had the last word where."""
    owners: dict[Key, Layer] = {}
    for layer in layers:
        stack: list[tuple[Key, Tree, Tree]] = [((), base, layer.values)]
        while stack:
            prefix, into, values = stack.pop()
            for name, value in values.items():
                key = (*prefix, name)
                owners[key] = layer
                if not isinstance(value, dict):
                    into[name] = value
                    continue
                if not isinstance(into.get(name), dict):
                    into[name] = {}
                stack.append((key, into[name], value))
    return owners


def _name_of(key: Key, names: Mapping[Key, str]) -> str:
    """Return the name that set this key, something inside it, or what it is inside of."""
    for own, name in names.items():
        shorter = min(len(own), len(key))
        if own[:shorter] == key[:shorter]:
            return name
    return ""


def _put(tree: Tree, key: Key, value: Any) -> None:  # noqa: ANN401 - any TOML value
    for name in key[:-1]:
        inner = tree.setdefault(str(name), {})
        if not isinstance(inner, dict):
            inner = tree[str(name)] = {}
        tree = inner
    tree[str(key[-1])] = value


def _utf8(name: str, text: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError:
        raise ContentError("the value is not UTF-8", where=name, hint=f"unset {name}") from None
    return text


def _toml_value(text: str) -> Any:  # noqa: ANN401
    try:
        parsed = tomllib.loads(f"value = {text}")
    except (tomllib.TOMLDecodeError, RecursionError):
        return text
    return parsed["value"] if len(parsed) == 1 else text
