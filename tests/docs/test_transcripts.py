"""What the documents show is what happens: every `$ soc ...` in a console block is run.

The blocks of a page are run in order in one home. Each line shown under a command must be in its
output; `...` stands for lines left out.
"""

import re
import shlex
from pathlib import Path

import pytest

from tests.command import Ran, soc
from tests.data import ROOT

PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
SIMULATED = {"SOC_PLAYBOOKS__PACKET_FILTER": "simulated"}
"""No test of a document looks at this machine's packet filter."""
BLOCK = re.compile(r"^```console\n(.*?)^```", re.MULTILINE | re.DOTALL)


def transcript(page: Path) -> list[tuple[str, list[str]]]:
    """Return the commands of a page, each with the lines shown under it."""
    found: list[tuple[str, list[str]]] = []
    for block in BLOCK.findall(page.read_text("utf-8")):
        for line in block.splitlines():
            if line.startswith("$ "):
                found.append((line[2:], []))
            elif line.strip() not in ("", "..."):
                found[-1][1].append(line.strip())
    return found


def run(command: str, home: Path) -> Ran:
    """Run `soc ... [| soc ...] [; echo $?]` as a shell would, from the checkout."""
    output = b""
    for part in command.split(" | "):
        name, *arguments = shlex.split(part)
        assert name == "soc", f"a console block runs something else than soc: {part}"
        inside = [f"{ROOT}/{word}" if word.startswith("soc/demo") else word for word in arguments]
        ran = soc(*inside, home=home, input=output, environ=SIMULATED)
        output = ran.out.encode()
    return ran


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_page_is_true(page: Path, tmp_path: Path) -> None:
    for command, shown in transcript(page):
        ran = run(command, tmp_path)
        assert ran.code in (0, 1), f"{command}: {ran.err}"
        said = [line.strip() for line in (ran.out + ran.err).splitlines()]
        for line in shown:
            assert line in said, f"{command}: not said: {line}\n" + "\n".join(said[:60])


def test_the_readme_has_a_transcript() -> None:
    assert len(transcript(ROOT / "README.md")) >= 3
