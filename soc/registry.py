"""A file is a plugin: the name of the file is the name of the plugin.

Listing reads directory entries and the first line of each docstring, and imports nothing.
Third parties add plugins by entry point; the group is `metrosoc.<kind>` and the value a module.
A broken plugin is one warning, never a crash of its neighbours.
"""

import ast
import importlib
import importlib.metadata
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType

from soc.errors import ContentError


@dataclass(frozen=True, slots=True)
class Plugin:
    """Where a plugin lives; `kind` is a package such as `collectors.parsers`."""

    kind: str
    name: str
    module: str

    def load(self) -> ModuleType:
        """Import the plugin; raise ContentError when it is broken."""
        try:
            return importlib.import_module(self.module)
        except Exception as error:
            raise ContentError(
                f"plugin {self.name} does not load: {type(error).__name__}: {error}",
                where=self.module,
                hint=f"python -c 'import {self.module}' shows the whole trace",
            ) from error

    def summary(self) -> str:
        """Return the first line of the module's docstring without importing it, "" if unknown."""
        try:
            spec = find_spec(self.module)
            origin = spec.origin if spec else None
            return _docstring(Path(origin)).partition("\n")[0] if origin else ""
        except (ImportError, OSError, SyntaxError, ValueError):
            return ""


def _docstring(path: Path) -> str:
    # Only up to the docstring's end: parsing whole modules would cost half of `soc --help`.
    opening, quotes, rest = path.read_text("utf-8").partition('"""')
    closed = rest.partition('"""')[0]
    return ast.get_docstring(ast.parse(f"{opening}{quotes}{closed}{quotes}")) or ""


@cache
def plugins(kind: str) -> dict[str, Plugin]:
    """Return the plugins of a kind by name, in name order; shipped ones win over entry points."""
    found = {p.name: p for p in _third_party(kind)}
    found.update({p.name: p for p in _shipped(kind)})
    return dict(sorted(found.items()))


def _shipped(kind: str) -> Iterator[Plugin]:
    spec = find_spec(kind)
    for folder in (spec.submodule_search_locations or []) if spec else []:
        for path in Path(folder).glob("*.py"):
            if path.stem.isidentifier() and not path.stem.startswith("_"):
                yield Plugin(kind, path.stem, f"{kind}.{path.stem}")


def _third_party(kind: str) -> Iterator[Plugin]:
    for entry in importlib.metadata.entry_points(group=f"metrosoc.{kind}"):
        yield Plugin(kind, entry.name, entry.module)
