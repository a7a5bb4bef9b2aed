"""The loader: from files of YARA rules to rules that can judge, and a report of the rest.

A file is compiled alone, without includes and externals, and tried on an empty file. A rule whose
`meta` does not make a complete alert is rejected alone, with file, line, reason and hint.
"""

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from uuid import UUID

from detectors.sigma.load import MAX_FILE, Rejection, Warned
from detectors.yara.engine import compiled, engine
from soc.errors import ContentError
from soc.model.finding import LEVELS, Level, RuleInfo

SUFFIXES: Final = (".yar", ".yara")
REQUIRED: Final = ("id", "title", "level", "description", "author")
"""What `meta` must have; `attack`, `tactic`, `reference`, `date`, `falsepositives` may be there."""
TRIAL: Final = 1
"""Seconds that the rules of a file may take to judge nothing at all."""

_LINE: Final = re.compile(r"line (\d+): (.*)", re.S)
_TECHNIQUE: Final = re.compile(r"T[0-9]{4}(\.[0-9]{3})?")
_DATE: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


@dataclass(frozen=True, slots=True)
class YaraRule:
    """A rule that judges: `name` is its identifier, `where` is `file:line`."""

    info: RuleInfo
    name: str
    where: str

    @property
    def id(self) -> str:
        """Return the rule's id."""
        return self.info.id


@dataclass(frozen=True, slots=True)
class YaraReport:
    """What was loaded, what was not, and the text of the files by their paths."""

    rules: tuple[YaraRule, ...]
    rejected: tuple[Rejection, ...]
    warnings: tuple[Warned, ...]
    sources: Mapping[str, str]


def load(paths: Sequence[Path]) -> YaraReport:
    """Load every rule of these files and folders (`*.yar`, `*.yara`).

    Raises ContentError for a path that does not exist and where yara-python is missing; all else
    that is wrong is in the report.
    """
    engine()
    loader = _Loader()
    for path in rule_files(paths):
        loader.file(path)
    return YaraReport(
        tuple(loader.rules.values()),
        tuple(loader.rejected),
        tuple(loader.warnings),
        loader.sources,
    )


def rule_files(paths: Sequence[Path]) -> Iterator[Path]:
    """Yield the YARA files under these paths, each once, in the order of their names."""
    seen: set[Path] = set()
    for path in paths:
        if not path.exists():
            raise ContentError(f"there is no {path}", hint="give a rule file or a folder of rules")
        for found in _walk(path) if path.is_dir() else [path]:
            if found not in seen and found.suffix in SUFFIXES:
                seen.add(found)
                yield found


def _walk(folder: Path) -> Iterator[Path]:
    for place, folders, names in os.walk(folder):
        folders.sort()
        yield from (Path(place, name) for name in sorted(names))


class _Wrong(Exception):
    def __init__(self, line: int, reason: str, hint: str = "") -> None:
        super().__init__(reason)
        self.line, self.reason, self.hint = line, reason, hint


@dataclass
class _Loader:
    rules: dict[str, YaraRule] = field(default_factory=dict)
    rejected: list[Rejection] = field(default_factory=list)
    warnings: list[Warned] = field(default_factory=list)
    sources: dict[str, str] = field(default_factory=dict)

    def file(self, path: Path) -> None:
        before = len(self.rules)
        try:
            text = _read(path)
            found = _compile(text)
        except _Wrong as wrong:
            self._reject(path, wrong)
            return
        for line, message in map(_numbered, found.warnings):
            self.warnings.append(Warned(str(path), line, message))
        for rule in found:
            if rule.is_private:
                continue
            try:
                self._add(_rule(rule, _Text(text, rule.identifier), str(path)))
            except _Wrong as wrong:
                self._reject(path, wrong)
        if len(self.rules) > before:
            self.sources[str(path)] = text

    def _add(self, rule: YaraRule) -> None:
        first = self.rules.get(rule.id)
        if first is not None:
            line = int(rule.where.rpartition(":")[2])
            raise _Wrong(
                line,
                f"id {rule.id} is taken by {first.where} ({first.info.title})",
                "give the copy a new id, `uuidgen` makes one",
            )
        self.rules[rule.id] = rule

    def _reject(self, path: Path, wrong: _Wrong) -> None:
        self.rejected.append(Rejection(str(path), wrong.line, wrong.reason, wrong.hint))


def _read(path: Path) -> str:
    try:
        if not path.is_file():
            raise _Wrong(1, "not a regular file")
        with path.open("rb") as stream:
            data = stream.read(MAX_FILE + 1)
        if len(data) > MAX_FILE:
            raise _Wrong(1, f"larger than {MAX_FILE >> 20} MiB", "split it")
        return data.decode("utf-8-sig")
    except OSError as error:
        raise _Wrong(1, f"cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise _Wrong(line, "not valid UTF-8", "write other bytes as \\xNN") from error


def _compile(text: str) -> Any:  # noqa: ANN401
    yara = engine()
    try:
        found = compiled({"default": text})
    except yara.Error as error:
        line, reason = _numbered(str(error))
        hint = "write the rule out: no file is included" if "include" in reason else ""
        raise _Wrong(line, reason, hint) from error
    try:
        found.match(data=b"", timeout=TRIAL, console_callback=lambda _text: None)
    except yara.TimeoutError as error:
        reason = f"does not end within {TRIAL} s even on an empty file"
        raise _Wrong(1, reason, "bound its loops") from error
    except yara.Error as error:
        raise _Wrong(1, f"cannot judge an empty file: {error}") from error
    return found


def _numbered(text: str) -> tuple[int, str]:
    """Return the line and the words of yara's `line N: words`."""
    found = _LINE.search(text)
    return (int(found[1]), found[2]) if found else (1, text)


class _Text:
    """Where in a file a rule and its meta keys stand."""

    def __init__(self, text: str, name: str) -> None:
        self._lines = text.splitlines()
        head = re.compile(rf"\s*(?:(?:private|global)\s+)*rule\s+{re.escape(name)}\b")
        numbers = (n for n, line in enumerate(self._lines, 1) if head.match(line))
        self.line = next(numbers, 1)

    def of(self, key: str) -> int:
        begins = re.compile(rf"\s*{key}\s*=")
        rest = enumerate(self._lines[self.line - 1 :], self.line)
        return next((number for number, line in rest if begins.match(line)), self.line)


def _rule(rule: Any, text: _Text, path: str) -> YaraRule:  # noqa: ANN401
    meta = {key: str(value).strip() for key, value in rule.meta.items()}
    for key in REQUIRED:
        if not meta.get(key):
            raise _Wrong(text.line, f"meta has no {key}", f'{key} = "..." under meta:')
    info = RuleInfo(
        id=_uuid(meta["id"], text),
        title=meta["title"],
        level=_level(meta["level"], text),
        version=_date(meta, text),
        description=meta["description"],
        author=meta["author"],
        references=_reference(meta, text),
        techniques=_techniques(meta, text),
        tactics=_parts(meta.get("tactic", "")),
        false_positives=_parts(meta.get("falsepositives", "")),
        path=path,
    )
    return YaraRule(info, rule.identifier, f"{path}:{text.line}")


def _parts(value: str) -> tuple[str, ...]:
    return tuple(part for word in value.split(",") if (part := word.strip()))


def _uuid(value: str, text: _Text) -> str:
    try:
        if str(UUID(value)) == value:
            return value
    except ValueError:
        pass
    raise _Wrong(text.of("id"), f"id {value!r} is no UUID", "`uuidgen` makes one")


def _level(value: str, text: _Text) -> Level:
    if value not in LEVELS:
        hint = f"one of {', '.join(LEVELS)}"
        raise _Wrong(text.of("level"), f"level {value!r} does not exist", hint)
    return value


def _date(meta: Mapping[str, str], text: _Text) -> str:
    for key in ("modified", "date"):
        if value := meta.get(key):
            if not _DATE.fullmatch(value):
                raise _Wrong(text.of(key), f"{key} {value!r} is not of the form YYYY-MM-DD")
            return value
    return ""


def _reference(meta: Mapping[str, str], text: _Text) -> tuple[str, ...]:
    value = meta.get("reference", "")
    if value and not value.startswith(("https://", "http://")):
        raise _Wrong(text.of("reference"), f"reference {value!r} is no address", "https://...")
    return (value,) if value else ()


def _techniques(meta: Mapping[str, str], text: _Text) -> tuple[str, ...]:
    found = _parts(meta.get("attack", ""))
    for technique in found:
        if not _TECHNIQUE.fullmatch(technique):
            raise _Wrong(text.of("attack"), f"{technique!r} is no ATT&CK technique", "T1505.003")
    return found
