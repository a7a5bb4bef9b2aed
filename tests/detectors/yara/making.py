"""Rules and files for the tests of the scanner."""

from collections.abc import Sequence
from pathlib import Path

from detectors.yara.limits import Limits
from detectors.yara.load import load
from detectors.yara.scanner import Result, Scanner
from detectors.yara.walk import open_files
from soc.errors import InputError

META = {
    "id": "6a7d3f0e-2f86-4bb0-9f8e-0c8a6f2a9d10",
    "title": "A word",
    "level": "high",
    "description": "The word is there.",
    "author": "tests",
}


def rule(name: str, condition: str, *, n: int = 0, strings: str = "", **meta: str) -> str:
    """Return the text of a rule with a complete head; `n` makes its id another one."""
    head = META | {"id": META["id"][:-1] + str(n)} | meta
    lines = [f"rule {name}", "{", "    meta:"]
    lines += [f'        {key} = "{value}"' for key, value in head.items()]
    lines += ["    strings:", f"        {strings}"] if strings else []
    return "\n".join([*lines, f"    condition: {condition}", "}", ""])


NEEDLE = rule("needle", "$a", strings='$a = "needle"')


class Scanned:
    """What came of a scan: results by file name, and what could not be opened."""

    def __init__(self) -> None:
        self.results: dict[str, Result] = {}
        self.refused: list[InputError] = []
        self.restarts = 0

    def found(self, name: str) -> list[tuple[str, ...]]:
        """Return for each match in a file the rule and the names inside."""
        return [(match.rule.name, *match.member) for match in self.results[name].matches]


def scan(place: Path, paths: Sequence[Path], *texts: str, limits: Limits | None = None) -> Scanned:
    """Scan the paths by rules with these texts, written below `place`."""
    rules = place / "rules"
    rules.mkdir(exist_ok=True)
    for number, text in enumerate(texts or (NEEDLE,)):
        (rules / f"{number}.yar").write_text(text, "utf-8")
    scanned = Scanned()
    with Scanner(load([rules]), limits) as scanner:
        for file in open_files(paths, scanned.refused.append):
            scanned.results[Path(file.path).name] = scanner.scan(file)
        scanned.restarts = scanner.restarts
    return scanned
