"""From the places to one valid configuration that knows where each value came from."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

from soc.config import checking
from soc.config.layers import (
    Layer,
    Sources,
    Tree,
    environment_layer,
    file_layer,
    flag_layer,
    merge,
    places,
)
from soc.config.toml import Key
from soc.errors import ContentError

if TYPE_CHECKING:
    from pydantic import BaseModel

T = TypeVar("T")
Defaults = Callable[[Tree], Tree]
DEFAULT: Final = "default"


@dataclass(frozen=True, slots=True)
class Row:
    """One option for people: its dotted name, its value, and where that came from."""

    key: str
    value: Any
    origin: str


@dataclass(frozen=True, slots=True)
class Config:
    """A valid configuration. `files` are those that were read, lowest precedence first."""

    root: "BaseModel"
    files: tuple[Path, ...]
    given: Tree
    owners: Mapping[Key, Layer]

    def section(self, name: str, kind: type[T]) -> T:
        """Return a section; `kind` is the type it was declared with."""
        value: T = getattr(self.root, name)
        return value

    def origin(self, key: str) -> str:
        """Return where an option came from: `soc.toml:3`, a variable, a flag, or `default`."""
        return self._origin(tuple(int(p) if p.isdecimal() else p for p in key.split(".")))

    def rows(self) -> list[Row]:
        """Return all options, elements of lists of tables as `inputs.0.path`."""
        return [
            Row(".".join(map(str, key)), value, self._origin(key))
            for key, value in _leaves(self.root.model_dump(mode="json"), ())
        ]

    def _origin(self, key: Key) -> str:
        return _place(self.owners, key) if _is_set(self.given, key) else DEFAULT


def load(
    sections: Mapping[str, Any],
    sources: Sources | None = None,
    defaults: Defaults = lambda given: {},
) -> Config:
    """Return the configuration; raise ContentError with file and line for the first mistake.

    `sections` maps names to types. `defaults` gets the tree of what was set and returns a tree of
    what holds where nothing was set (for options that follow from others).
    """
    config, problems = read(sections, sources, defaults)
    if config is None:
        raise problems[0]
    return config


def read(
    sections: Mapping[str, Any],
    sources: Sources | None = None,
    defaults: Defaults = lambda given: {},
) -> tuple[Config | None, list[ContentError]]:
    """Return the configuration, None if it is wrong, and everything that is wrong with it."""
    sources = sources or Sources()
    root = checking.schema(sections)
    files = [path for path in places(sources) if path.is_file()]
    makers: list[Callable[[], Layer]] = [partial(file_layer, path) for path in files]
    text = partial(checking.is_text, root)
    makers += [
        partial(environment_layer, sources.environ, text),
        partial(flag_layer, sources.flags),
    ]
    layers, problems = _made(makers)
    given: Tree = {}
    merge(layers, given)
    tree: Tree = {}
    merge([Layer(defaults(given), lambda key: DEFAULT)], tree)
    owners = merge(layers, tree)
    values, wrong = checking.validate(root, tree, partial(_place, owners))
    problems += wrong
    if values is None or problems:
        return None, problems
    return Config(values, tuple(files), given, owners), []


def _made(makers: list[Callable[[], Layer]]) -> tuple[list[Layer], list[ContentError]]:
    layers, problems = [], []
    for make in makers:
        try:
            layers.append(make())
        except ContentError as error:
            problems.append(error)
    return layers, problems


def _place(owners: Mapping[Key, Layer], key: Key) -> str:
    """Return where a key stands, or the table that holds it."""
    for length in range(len(key), 0, -1):
        if layer := owners.get(key[:length]):
            return layer.place(key)
    return ""


def _is_set(given: Any, key: Key) -> bool:  # noqa: ANN401 - any TOML value
    for name in key:
        try:
            given = given[name]
        except (KeyError, IndexError, TypeError):
            return False
    return True


def _leaves(value: Any, key: Key) -> Iterator[tuple[Key, Any]]:  # noqa: ANN401 - any TOML value
    if isinstance(value, dict) and value:
        for name, inner in value.items():
            yield from _leaves(inner, (*key, name))
    elif isinstance(value, list) and value and isinstance(value[0], dict):
        for number, inner in enumerate(value):
            yield from _leaves(inner, (*key, number))
    else:
        yield key, value
