"""The loader: from files of rules to rules that can be evaluated, and a report of the rest.

A bad rule is rejected alone, with file, line, reason and hint; everything else runs.
"""

import os
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from detectors.sigma import detection, filters, metadata
from detectors.sigma.correlation.load import Draft
from detectors.sigma.correlation.load import build as build_correlation
from detectors.sigma.correlation.resolve import Resolver
from detectors.sigma.correlation.rule import Correlation
from detectors.sigma.document import DocumentError, Value, documents
from detectors.sigma.document import Mapping as Map
from detectors.sigma.filters import Filter
from detectors.sigma.modifiers import Placeholders
from detectors.sigma.rule import Rule
from soc.errors import ContentError

MAX_FILE: Final = 4 << 20
"""Bytes of a rule file."""
_SUFFIXES: Final = (".yml", ".yaml")
_TEST_SUFFIXES: Final = (".test.yml", ".test.yaml")
Unreadable = Callable[[OSError], None]
"""Is told of a folder whose rules are missed."""


@dataclass(frozen=True, slots=True)
class Rejection:
    """A document that is not evaluated, and why."""

    path: str
    line: int
    reason: str
    hint: str = ""

    @property
    def where(self) -> str:
        """Return `file:line`."""
        return f"{self.path}:{self.line}"

    def __str__(self) -> str:
        """Return one line for a person."""
        hint = f" | try: {self.hint}" if self.hint else ""
        return f"{self.where}: {self.reason}{hint}"


@dataclass(frozen=True, slots=True)
class Warned:
    """Something about a loaded rule that somebody should look at."""

    path: str
    line: int
    message: str

    def __str__(self) -> str:
        """Return one line for a person."""
        return f"{self.path}:{self.line}: {self.message}"


@dataclass(frozen=True, slots=True)
class LoadReport:
    """What was loaded, in the order of the files' names, and what was not."""

    rules: tuple[Rule, ...]
    rejected: tuple[Rejection, ...]
    warnings: tuple[Warned, ...]
    filters: tuple[Filter, ...] = ()
    correlations: tuple[Correlation, ...] = ()
    """Inner correlations stand before those that refer to them."""

    @property
    def everything(self) -> "tuple[Rule | Correlation, ...]":
        """Return the rules and the correlations."""
        return (*self.rules, *self.correlations)

    @property
    def in_force(self) -> int:
        """Return how many rules and correlations are not parked."""
        return len(self.rules) + sum(not one.parked for one in self.correlations)

    def without(self, parked: Collection[str]) -> "LoadReport":
        """Return the report without the rules of these ids, its correlations parked or not.

        Correlations stay, whatever is parked: so nothing that they keep quiet becomes loud.
        """
        return replace(
            self,
            rules=tuple(rule for rule in self.rules if rule.id not in parked),
            correlations=tuple(replace(one, parked=one.id in parked) for one in self.correlations),
        )


def load(paths: Sequence[Path], *, placeholders: Placeholders | None = None) -> LoadReport:
    """Load every rule and filter of these files and folders (`*.yml`, `*.yaml`, not `*.test.yml`).

    `placeholders` gives the values of `%name%` (modifier expand). Raises ContentError for a path
    that does not exist; everything else that is wrong is in the report.
    """
    loader = _Loader(placeholders or {})
    for path in rule_files(paths, loader.unreadable):
        loader.file(path)
    return loader.report()


def rule_files(paths: Sequence[Path], unreadable: Unreadable | None = None) -> Iterator[Path]:
    """Yield the rule files under these paths, each once, in the order of their names.

    `unreadable` is told of folders that cannot be looked into.
    """
    seen: set[Path] = set()
    for path in paths:
        if not path.exists():
            raise ContentError(f"there is no {path}", hint="give a rule file or a folder of rules")
        for found in _walk(path, unreadable) if path.is_dir() else [path]:
            if found not in seen:
                seen.add(found)
                yield found


def _walk(folder: Path, unreadable: Unreadable | None) -> Iterator[Path]:
    for place, folders, names in os.walk(folder, onerror=unreadable):
        folders.sort()
        for name in sorted(names):
            if name.endswith(_SUFFIXES) and not name.endswith(_TEST_SUFFIXES):
                yield Path(place, name)


@dataclass
class _Loader:
    placeholders: Placeholders
    rules: dict[str, Rule] = field(default_factory=dict)
    rejected: list[Rejection] = field(default_factory=list)
    warnings: list[Warned] = field(default_factory=list)
    filters: list[Filter] = field(default_factory=list)
    drafts: dict[str, Draft] = field(default_factory=dict)

    def file(self, path: Path) -> None:
        try:
            content = _read(path)
        except DocumentError as error:
            self._reject(path, error)
            return
        for document in documents(content):
            if isinstance(document, DocumentError):
                self._reject(path, document)
                continue
            try:
                self._document(document, path)
            except DocumentError as error:
                self._reject(path, error)

    def unreadable(self, error: OSError) -> None:
        reason = f"the folder cannot be read: {error.strerror}"
        hint = "let the user who runs soc read it"
        self._reject(Path(str(error.filename)), DocumentError(reason, 1, hint))

    def _reject(self, path: Path, error: DocumentError) -> None:
        self.rejected.append(Rejection(str(path), error.line, error.reason, error.hint))

    def _document(self, document: Value, path: Path) -> None:
        if not isinstance(document, Map):
            raise DocumentError("a rule is a map of keys and values", document.line)
        warnings: list[Warned] = []

        def warn(line: int, message: str) -> None:
            warnings.append(Warned(str(path), line, message))

        if "action" in document.items:
            raise DocumentError(
                "`action` (Sigma 1 rule collections) is gone",
                document.lines["action"],
                "write each rule out",
            )
        if "correlation" in document.items:
            draft = build_correlation(document, str(path), warn)
            self._new(draft.correlation)
            self.drafts[draft.correlation.id] = draft
        elif "filter" in document.items:
            self.filters.append(filters.build(document, str(path), self.placeholders, warn))
        else:
            rule = build(document, str(path), self.placeholders, warn)
            self._new(rule)
            self.rules[rule.id] = rule
        self.warnings.extend(warnings)

    def _new(self, rule: Rule | Correlation) -> None:
        first: Rule | Correlation | None = self.rules.get(rule.id)
        if first is None and rule.id in self.drafts:
            first = self.drafts[rule.id].correlation
        if first is not None:
            _, _, line = rule.where.rpartition(":")
            raise DocumentError(
                f"id {rule.id} is taken by {first.where} ({first.info.title})",
                int(line),
                "give the copy a new id, `uuidgen` makes one",
            )

    def report(self) -> LoadReport:
        for found in self.filters:
            if not any(found.applies_to(rule) for rule in self.rules.values()):
                message = f"the filter {found.title!r} applies to no loaded rule"
                self.warnings.append(Warned(found.path, found.line, message))
        resolver = Resolver(list(self.drafts.values()), list(self.rules.values()))
        correlations = resolver.resolve()
        for draft, error in resolver.rejected:
            self._reject(Path(draft.path), error)
        return LoadReport(
            rules=tuple(filters.applied(rule, self.filters) for rule in self.rules.values()),
            rejected=tuple(self.rejected),
            warnings=tuple(self.warnings),
            filters=tuple(self.filters),
            correlations=tuple(correlations),
        )


def _read(path: Path) -> str:
    hint = "a rule file is UTF-8 text"
    try:
        if not path.is_file():
            raise DocumentError("not a regular file", 1, hint)
        with path.open("rb") as stream:
            data = stream.read(MAX_FILE + 1)
        if len(data) > MAX_FILE:
            raise DocumentError(f"larger than {MAX_FILE >> 20} MiB", 1, "split it")
        return data.decode("utf-8-sig")
    except OSError as error:
        raise DocumentError(f"cannot be read: {error.strerror}", 1) from error
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise DocumentError("not valid UTF-8", line, hint) from error


def build(document: Map, path: str, placeholders: Placeholders, warn: metadata.Warn) -> Rule:
    """Return the rule of a document; raise DocumentError."""
    info = metadata.info(document, path, warn)
    logsource = metadata.logsource(document)
    body = document.items.get("detection")
    if not isinstance(body, Map):
        line = document.lines.get("detection", document.line)
        raise DocumentError(
            "detection is missing", line, "detection: a map of selections and a condition"
        )
    context = detection.Context(placeholders, warn)
    selections = detection.selections(body, context, ("condition",))
    condition = detection.condition(body, selections)
    for name in detection.unused(condition, selections):
        warn(body.lines[name], f"the condition does not use the selection {name!r}")
    return Rule(
        info=info,
        logsource=logsource,
        condition=condition,
        selections=selections,
        name=metadata.text(document, "name"),
        status=metadata.status(document, warn),
        fields=metadata.texts(document, "fields", warn),
        where=f"{path}:{document.line}",
        tags=metadata.texts(document, "tags", _ignore),
    )


def _ignore(line: int, message: str) -> None:
    """Drop a warning that was given already."""
